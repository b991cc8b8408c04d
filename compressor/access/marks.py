"""Marks of records, while a text is compressed."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

from llmzip.access.keys import Extract, extractor
from llmzip.format.record_kinds import RecordKind, Splitter, guess_kind, splitter_for
from llmzip.format.sections import KEYS, RECORDS, hash_key, pack_keys, pack_records

_GUESS_BYTES = 1 << 16
_MOST_RECORD_BYTES = 1 << 20
"""Of a record, so much at most is looked through for a key."""
_REACH_BYTES = 16
"""A record is known to begin so many bytes later, at most."""
_NO_KEY = -1


class RecordMarker:
    """Follows a text to know where its records begin, and which keys they have.

    Args:
        kind: None guesses it from the text's beginning.
        key: the name of a key to keep an index of.
    """

    def __init__(self, kind: RecordKind | None, key: str | None) -> None:
        self._kind = kind
        self._key = key
        self._splitter: Splitter | None = None
        self._unsplit = bytearray()
        """What is not enough yet to guess from."""
        self._starts: list[int] = []
        """Of records that belong to no mark yet."""
        self._places = array("Q")
        self._counts = array("Q")
        self._keys: _Keys | None = None

    def feed(self, plain: bytes) -> None:
        """Take more text.

        Raises:
            NoKeyError: its records have no keys of this name.
        """
        if self._splitter is None:
            self._unsplit += plain
            if self._kind is None and len(self._unsplit) < _GUESS_BYTES:
                return
            plain = self._begin()
        self._split(plain)

    def cut(self, begin: int, end: int) -> int:
        """Where a block from the place ``begin`` on should end, at ``end`` at most: with a record, if it can."""
        self._settle()
        before = bisect_right(self._starts, end)
        return self._starts[before - 1] if before and self._starts[before - 1] > begin else end

    def mark(self, end: int) -> None:
        """Mark the first record that belongs to no mark yet, for all that begin before the place ``end``."""
        self._settle()
        count = bisect_left(self._starts, end)
        if count:
            self._places.append(self._starts[0])
            self._counts.append(count)
            del self._starts[:count]

    def sections(self) -> dict[int, bytes]:
        """What the end record is to say, after all text was marked."""
        assert self._kind is not None
        sections = {RECORDS: pack_records(self._kind, self._places, self._counts)}
        if self._key is not None and self._keys is not None and (hashes := self._keys.finish()) is not None:
            by_mark = np.split(hashes, np.cumsum(self._counts)[:-1])
            sections[KEYS] = pack_keys(self._key, [part[part != _NO_KEY] for part in by_mark])
        return sections

    def _settle(self) -> None:
        if self._splitter is None:
            self._split(self._begin())

    def _begin(self) -> bytes:
        plain = bytes(self._unsplit)
        self._unsplit.clear()
        self._kind = self._kind or guess_kind(plain[:_GUESS_BYTES])
        self._splitter = splitter_for(self._kind)
        if self._key is not None:
            self._keys = _Keys(self._kind, self._key)
        return plain

    def _split(self, plain: bytes) -> None:
        assert self._splitter is not None
        assert self._kind is not None
        starts = self._splitter.feed(plain)
        if self._keys is not None:
            self._keys.feed(plain, starts)
        if self._kind is RecordKind.CSV and starts and starts[0] == 0:
            del starts[0]  # the head
        self._starts += starts


class _Keys:
    """Hashes of the keys of records, one after the other."""

    def __init__(self, kind: RecordKind, name: str) -> None:
        self._name = name
        self._extract: Extract | None = None
        self._is_head = kind is RecordKind.CSV
        if not self._is_head:
            self._begin(kind, b"")
        self._text = bytearray()
        self._place = 0
        """Of the text's first byte: where the present record begins, or what is left of it, if it is long."""
        self._early: bytes | None = None
        self._is_long = False
        self._hashes = array("q")

    def feed(self, plain: bytes, starts: list[int]) -> None:
        """Take more text, in which, or right before which, these records begin."""
        self._text += plain
        for start in starts:
            if start:
                self._end(start - self._place)
            self._place = start
        if len(self._text) > _MOST_RECORD_BYTES:
            if not self._is_long:
                self._early, self._is_long = self._key_of(bytes(self._text)), True
            left = len(self._text) - _REACH_BYTES
            del self._text[:left]
            self._place += left

    def finish(self) -> NDArray[np.int64] | None:
        """``[records]``, -1 where there is no key; None if there can be none."""
        if self._text:
            self._end(len(self._text))
        return None if self._extract is None else np.array(self._hashes, np.int64)

    def _end(self, length: int) -> None:
        key = self._early if self._is_long else self._key_of(bytes(self._text[:length]))
        del self._text[:length]
        self._early, self._is_long = None, False
        if self._is_head:
            self._is_head = False
        else:
            self._hashes.append(_NO_KEY if key is None else hash_key(key))

    def _key_of(self, record: bytes) -> bytes | None:
        if self._is_head:
            self._begin(RecordKind.CSV, record)
            return None
        return self._extract(record) if self._extract else None

    def _begin(self, kind: RecordKind, head: bytes) -> None:
        self._extract = extractor(kind, self._name, head)
