"""Records of a compressed file, by their numbers or by a key."""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple, cast, overload

import numpy as np

from llmzip.access.keys import extractor, same_field
from llmzip.access.plain_reader import PlainReader
from llmzip.access.ranges import BlockMap
from llmzip.errors import DamagedError, LlmzError, MemoryLimitError
from llmzip.format.record_kinds import RecordKind, splitter_for
from llmzip.format.sections import KEYS, RECORDS, KeyIndex, RecordIndex, parse_keys, parse_records, parse_sections
from llmzip.settings import ReadSettings

_KEPT_SPANS = 4


class _Member(NamedTuple):
    """Records of a member.

    Attributes:
        kind: their kind.
        marks: of the records
        keys: the index of its keys, if it has one.
        plain_start, plain_end: of the member in the file's plain bytes.
        first: number of the first record.
        first_mark: number of the first mark.
    """

    kind: RecordKind
    marks: RecordIndex
    keys: KeyIndex | None
    plain_start: int
    plain_end: int
    first: int
    first_mark: int


class Records(Sequence[bytes]):
    """The records of a file that was compressed with an index of them, in the order of the file.

    A record is bytes with what ends it, such as a line feed: joined, after the :attr:`head`, records are the text. To
    get one, the group of blocks that holds it is restored up to it. The last few blocks' records are kept.

    One object may be used by several threads. One that was made from a path may be passed to other processes, forked
    ones included.

    Args:
        file: a path, or a binary file object that can seek and stays open.
        settings: as in :class:`llmzip.settings.ReadSettings`.

    Raises:
        LlmzError: the file is damaged or has no index of records.
        OSError: it cannot be opened.
    """

    def __init__(self, file: str | bytes | os.PathLike[str] | os.PathLike[bytes] | BinaryIO, **settings: Any) -> None:
        self._file = file
        self._settings = ReadSettings(**settings)
        self._lock = threading.RLock()
        self._open()

    def _open(self) -> None:
        self._kept: OrderedDict[int, list[bytes]] = OrderedDict()
        self._owned = None if hasattr(self._file, "read") else open(cast(str, self._file), "rb")
        source = self._owned or cast(BinaryIO, self._file)
        try:
            start = source.tell()
            blocks = BlockMap(source, start, self._settings)
            source.seek(start)
            self._members = self._find_members(blocks)
        except BaseException:
            if self._owned is not None:
                self._owned.close()
            raise
        self._reader = PlainReader(source, self._settings, None, blocks)
        self._firsts = [member.first for member in self._members]
        self._first_marks = [member.first_mark for member in self._members]
        self._process = os.getpid()

    def _find_members(self, blocks: BlockMap) -> list[_Member]:
        members = []
        first = first_mark = 0
        for layout, start, end in zip(blocks.members, blocks.plain_starts, blocks.plain_starts[1:], strict=False):
            sections = parse_sections(layout.sections)
            if RECORDS not in sections:
                raise LlmzError("there is no index of records: it is made when compressing, with --records (records=)")
            index = parse_records(sections[RECORDS], layout.plain_bytes)
            if index.kind not in set(RecordKind):
                raise LlmzError("records of a kind that is not known here; a later llmzip may read them")
            keys = parse_keys(sections[KEYS], index) if KEYS in sections else None
            members.append(_Member(RecordKind(index.kind), index, keys, start, end, first, first_mark))
            first += int(index.firsts[-1])
            first_mark += index.places.size
        self._count = first
        return members

    @property
    def head(self) -> bytes:
        """What comes before the first record, such as the row with the columns' names."""
        return self._head_of(self._members[0]) if self._members else b""

    @property
    def kind(self) -> str | None:
        """``"jsonl"`` or whatever the records of the file's first member are; None if there are none."""
        return self._members[0].kind.name.lower() if self._members else None

    @property
    def key(self) -> str | None:
        """The name of the key by which records of the first member can be found at once."""
        return self._members[0].keys.field if self._members and self._members[0].keys else None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> bytes: ...

    @overload
    def __getitem__(self, number: slice) -> list[bytes]: ...

    def __getitem__(self, number: int | slice) -> bytes | list[bytes]:
        """A record, or a list of some.

        Raises:
            IndexError: there is none of this number.
            LlmzError: the file is damaged.
        """
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(self._count))]
        place = number + self._count if number < 0 else number
        if not 0 <= place < self._count:
            raise IndexError(f"there are {self._count} records, and no number {number}")
        member = self._members[bisect_right(self._firsts, place) - 1]
        place -= member.first
        mark = int(np.searchsorted(member.marks.firsts, place, "right")) - 1
        return self._span(member, mark)[place - int(member.marks.firsts[mark])]

    def __iter__(self) -> Iterator[bytes]:
        for member in self._members:
            for mark in range(member.marks.places.size):
                yield from self._span(member, mark)

    def find(self, key: str, name: str | None = None) -> Iterator[int]:
        """Numbers of the records with a key.

        Args:
            name: of the key; None for that of which there is an index. Without an index of it, all records are read.

        Raises:
            LlmzError: the file is damaged, or there is no index, and no name.
            NoKeyError: its records have no keys of this name.
        """
        wanted = key.encode(errors="surrogatepass").strip()
        for member in self._members:
            field = name if name is not None else member.keys.field if member.keys else None
            if field is None:
                raise LlmzError("there is no index of keys: say which key is meant")
            extract = extractor(member.kind, field, self._head_of(member))
            marks: Sequence[int] = range(member.marks.places.size)
            if member.keys is not None and same_field(member.kind, member.keys.field, field):
                marks = member.keys.marks_of(wanted)
            for mark in marks:
                first = member.first + int(member.marks.firsts[mark])
                for number, record in enumerate(self._span(member, mark), first):
                    if extract(record) == wanted:
                        yield number

    def close(self) -> None:
        """Close the file, if it was given as a path."""
        self._reader.close()
        if self._owned is not None:
            self._owned.close()

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        if self._owned is None:
            raise TypeError("records of a file object cannot be passed on; those of a path can")
        return _reopened, (self._file, self._settings)

    def _head_of(self, member: _Member) -> bytes:
        first = int(member.marks.places[0]) if member.marks.places.size else member.plain_end - member.plain_start
        return self._plain(member.plain_start, member.plain_start + first)

    def _span(self, member: _Member, mark: int) -> list[bytes]:
        """The records from a mark to the next."""
        number = member.first_mark + mark
        with self._lock:
            records = self._kept.get(number)
            if records is None:
                records = self._kept[number] = self._split(member, mark)
                if len(self._kept) > _KEPT_SPANS:
                    self._kept.popitem(last=False)
            else:
                self._kept.move_to_end(number)
        return records

    def _split(self, member: _Member, mark: int) -> list[bytes]:
        places = member.marks.places
        begin = member.plain_start + int(places[mark])
        end = member.plain_start + int(places[mark + 1]) if mark + 1 < places.size else member.plain_end
        text = self._plain(begin, end)
        starts = splitter_for(member.kind).feed(text)
        if len(starts) != member.marks.firsts[mark + 1] - member.marks.firsts[mark]:
            raise DamagedError("the index of records does not fit the text")
        return [text[start:stop] for start, stop in zip(starts, [*starts[1:], len(text)], strict=True)]

    def _plain(self, begin: int, end: int) -> bytes:
        if (needed := 2 * (end - begin)) > self._settings.memory_bytes:
            raise MemoryLimitError(needed, self._settings.memory_bytes)
        parts = []
        with self._lock:
            if self._process != os.getpid() and self._owned is not None:
                self._open()  # a forked process shares the position in the file with its parent
            self._reader.seek(begin)
            while begin < end and (part := self._reader.read(end - begin)):
                parts.append(part)
                begin += len(part)
        return b"".join(parts)


def _reopened(file: Any, settings: ReadSettings) -> Records:
    return Records(file, **vars(settings))


def records(file: str | bytes | os.PathLike[str] | os.PathLike[bytes] | BinaryIO, **settings: Any) -> Records:
    """The records of a compressed file; see :class:`Records`."""
    return Records(file, **settings)
