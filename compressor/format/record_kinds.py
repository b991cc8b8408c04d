"""Kinds of records, and the rules that tell where a record begins. docs/format.md has them.

A splitter takes text piece by piece, from the beginning of a record on, and tells where records begin, each time as far
as what it has seen decides it. It keeps a bounded amount of text.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_LF, _CR, _QUOTE = 10, 13, 34
_FROM = re.compile(rb"\n\r?\n(?=From )")
_FROM_BYTES = len(b"\n\r\nFrom ")
_MOST_HEADER_BYTES = 1 << 16
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_WARC = b"WARC/"
_EMPTY_LINE = b"\r\n\r\n"


class RecordKind(IntEnum):
    """What records are."""

    JSONL = 1
    """Lines, each a JSON object."""
    LINES = 2
    CSV = 3
    """Rows; a line feed between quotation marks does not end one. The first row is the head."""
    MBOX = 4
    """Messages, each after an empty line and from a line that begins with ``From ``."""
    WARC = 5
    PARAGRAPHS = 6
    """What empty lines separate."""
    NUL = 7
    """What ends with a NUL byte."""


KINDS_WITH_HEADERS = (RecordKind.MBOX, RecordKind.WARC)
KINDS_WITH_KEYS = (RecordKind.JSONL, RecordKind.CSV, *KINDS_WITH_HEADERS)


class Splitter(Protocol):
    """Tells where records begin."""

    def feed(self, text: bytes) -> list[int]:
        """Take more text; return places where records begin that were not told before, in ascending order.

        Places count from the first text's first byte, at which a record begins, and are those of bytes that were fed.
        """


def splitter_for(kind: RecordKind) -> Splitter:
    if kind is RecordKind.CSV:
        return _Rows()
    if kind is RecordKind.MBOX:
        return _Messages()
    if kind is RecordKind.WARC:
        return _WarcRecords()
    if kind is RecordKind.PARAGRAPHS:
        return _Paragraphs()
    return _Ended(0 if kind is RecordKind.NUL else _LF)


class _Pieces:
    """Counts what was fed."""

    def __init__(self) -> None:
        self._fed = 0

    def feed(self, text: bytes) -> list[int]:
        if not text:
            return []
        starts = self._starts(np.frombuffer(text, np.uint8)) + self._fed
        self._fed += len(text)
        return starts.tolist()

    def _starts(self, text: NDArray[np.uint8]) -> NDArray[np.int64]:
        raise NotImplementedError


class _Ended(_Pieces):
    """A record begins after every ``end`` byte."""

    def __init__(self, end: int) -> None:
        super().__init__()
        self._end = end
        self._after_end = True

    def _ends(self, text: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return text == self._end

    def _starts(self, text: NDArray[np.uint8]) -> NDArray[np.int64]:
        ends = self._ends(text)
        begins = np.concatenate([[self._after_end], ends[:-1]])
        self._after_end = bool(ends[-1])
        return np.flatnonzero(begins)


class _Rows(_Ended):
    """A record begins after every line feed before which the record has an even number of quotation marks."""

    def __init__(self) -> None:
        super().__init__(_LF)
        self._quoted = False

    def _ends(self, text: NDArray[np.uint8]) -> NDArray[np.bool_]:
        quoted = np.logical_xor.accumulate(text == _QUOTE) ^ self._quoted
        self._quoted = bool(quoted[-1])
        return super()._ends(text) & ~quoted


class _Paragraphs(_Pieces):
    """A record begins with every byte, but CR and LF, that comes right after a run of CR and LF with two LF or more."""

    def __init__(self) -> None:
        super().__init__()
        self._feeds: int | None = None
        """In the run of line ends that what was fed ends with; None where no text came before it."""

    def _starts(self, text: NDArray[np.uint8]) -> NDArray[np.int64]:
        first = self._fed == 0
        ends = (text == _LF) | (text == _CR)
        feeds = np.cumsum(text == _LF)
        inside = np.flatnonzero(~ends)
        if not inside.size:
            if self._feeds is not None:
                self._feeds += int(feeds[-1])
            return np.zeros(int(first), np.int64)
        since = np.diff(feeds[inside], prepend=0)
        since[0] = 0 if self._feeds is None else since[0] + self._feeds
        self._feeds = int(feeds[-1] - feeds[inside[-1]])
        starts = inside[since >= 2]
        return np.concatenate([[0], starts]) if first else starts


class _Messages:
    def __init__(self) -> None:
        self._fed = self._last = 0
        self._tail = b""

    def feed(self, text: bytes) -> list[int]:
        if not text:
            return []
        starts = [0] if self._fed == 0 else []
        seen = self._tail + text
        base = self._fed - len(self._tail)
        starts += [place for match in _FROM.finditer(seen) if (place := base + match.end()) > self._last]
        self._last = starts[-1] if starts else self._last
        self._fed += len(text)
        self._tail = seen[1 - _FROM_BYTES :]
        return starts


class _WarcRecords:
    """A record is a header up to an empty line, as many bytes as its Content-Length says, and the CR and LF after them.
    Where there is no such header, it goes on up to the next line that begins with ``WARC/``."""

    def __init__(self) -> None:
        self._kept = b""
        self._at = self._before = self._left = 0
        """Place in what is kept; what came before that; bytes left of the content."""
        self._state = self._between
        self._starts: list[int] = []

    def feed(self, text: bytes) -> list[int]:
        self._kept += text
        self._starts = []
        while self._at < len(self._kept) and self._state():
            pass
        self._before += self._at
        self._kept = self._kept[self._at :]
        self._at = 0
        return self._starts

    def _between(self) -> bool:
        """After a record. Like the other states, tells whether it is done with."""
        while self._kept[self._at : self._at + 1] in (b"\r", b"\n") and self._before + self._at:
            self._at += 1
        if self._at == len(self._kept):
            return False
        self._starts.append(self._before + self._at)
        self._state = self._in_header
        return True

    def _in_header(self) -> bool:
        start, most = self._at, self._at + _MOST_HEADER_BYTES
        end = self._kept.find(_EMPTY_LINE, start, most)
        if end < 0 and len(self._kept) < most:
            return False
        length = _CONTENT_LENGTH.search(self._kept, start, end + len(b"\r\n")) if end >= 0 else None
        if length and self._kept.startswith(_WARC, start):
            self._left = end + len(_EMPTY_LINE) - start + int(length[1])
            self._state = self._in_content
        else:
            self._state = self._lost
        return True

    def _in_content(self) -> bool:
        count = min(self._left, len(self._kept) - self._at)
        self._at += count
        self._left -= count
        if not self._left:
            self._state = self._between
        return not self._left

    def _lost(self) -> bool:
        found = self._kept.find(b"\n" + _WARC, self._at)
        if found < 0:
            self._at = max(self._at, len(self._kept) - len(_WARC))
            return False
        self._at = found + 1
        self._state = self._between
        return True


def guess_kind(text: bytes) -> RecordKind:
    """The kind of records that a file which begins with ``text`` seems to have."""
    if text.startswith(_WARC):
        return RecordKind.WARC
    if text.startswith(b"From "):
        return RecordKind.MBOX
    if b"\0" in text:
        return RecordKind.NUL
    lines = text.split(b"\n", 32)[:-1]
    if text.lstrip().startswith(b"{") and all(line.strip().endswith(b"}") for line in lines if line.strip()):
        return RecordKind.JSONL
    if any(_is_table(lines, delimiter) for delimiter in DELIMITERS):
        return RecordKind.CSV
    return RecordKind.PARAGRAPHS if text.count(b"\n\n") * 40 > text.count(b"\n") else RecordKind.LINES


DELIMITERS = (b",", b";", b"\t", b"|")
"""Between the fields of a row."""


def _is_table(lines: list[bytes], delimiter: bytes) -> bool:
    """Whether all lines have as many delimiters, outside of quotation marks, as the first, and it has some."""
    counts = {b"".join(line.split(b'"')[::2]).count(delimiter) for line in lines}
    return len(lines) > 1 and len(counts) == 1 and counts != {0}
