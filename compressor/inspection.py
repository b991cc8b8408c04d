"""What a compressed file holds, read from its headers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

from llmzip.blocks import limits, transformed
from llmzip.errors import TruncatedError
from llmzip.format.member import Coded, Header, MemberReader, Method, read_header
from llmzip.format.reader import Reader
from llmzip.format.record_kinds import RecordKind
from llmzip.format.sections import (
    GROUPS,
    KEYS,
    RECORDS,
    parse_groups,
    parse_keys,
    parse_records,
    parse_sections,
)
from llmzip.progress import SILENT, Progress


def describe(source: BinaryIO, progress: Progress = SILENT) -> dict[str, Any]:
    """Describe a file without decoding it.

    Args:
        progress: told the plain bytes of each block whose head was read.

    Returns:
        ``members``, ``blocks``, ``plain_bytes``, ``stored_bytes``, ``methods`` (blocks by method, streams of
        transformed blocks among them), ``transforms`` (blocks and streams by a transform's number), ``lanes``,
        ``independent_blocks``, ``groups`` (places where reading may begin), ``records`` (None where a member has no
        index of them), ``record_kinds``, ``keys`` (names of fields that have an index), ``models``, and
        ``memory_bytes``, what reading takes beside the model.

    Raises:
        DamagedError: the file's structure is damaged.
    """
    reader = Reader(source)
    found = _Found()
    header = read_header(reader)
    while header is not None:
        found.add_header(header)
        member = MemberReader(reader, header)
        blocks_before = found.blocks
        while (block := member.next_block()) is not None:
            found.add_block(block.coded)
            progress.advance(block.coded.plain_length)
        sections = bytearray()
        member.read_end(verified=False, sections=sections)
        found.plain_bytes += member.plain_bytes
        if blocks := found.blocks - blocks_before:
            found.add_index(_index(bytes(sections), blocks, member.plain_bytes), blocks if header.independent else None)
        header = read_header(reader, first=False)
    if not found.members:
        raise TruncatedError("empty input is not an llmzip file")
    return found.described(reader.position)


@dataclass
class _Found:
    """What the members of a file hold, added up; names as in :func:`describe`."""

    members: int = 0
    blocks: int = 0
    plain_bytes: int = 0
    methods: Counter[str] = field(default_factory=Counter)
    transforms: Counter[int] = field(default_factory=Counter)
    lanes: set[int] = field(default_factory=set)
    independent_blocks: bool = False
    groups: int = 0
    records: int | None = 0
    record_kinds: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    memory_bytes: int = 0

    def add_header(self, header: Header) -> None:
        self.members += 1
        self.independent_blocks |= header.independent
        self.memory_bytes = max(self.memory_bytes, limits.memory_needed(header, None))
        if header.fingerprint is not None:
            self.models.add(header.fingerprint.hex())

    def add_block(self, block: Coded) -> None:
        """A block, and the streams in it if it is transformed."""
        self.blocks += 1
        for coded in transformed.all_coded(block):
            if coded.method is Method.TRANSFORMED:
                self.transforms[transformed.number_of(coded)] += 1
            else:
                self.methods[coded.method.name.lower()] += 1
            if coded.method.has_lanes:
                self.lanes.add(1 << coded.parameter)

    def add_index(self, index: _Index, independent_blocks: int | None) -> None:
        """The index of a member that is not empty, where blocks are independent with how many there are."""
        self.groups += index.groups if independent_blocks is None else independent_blocks
        self.records = None if self.records is None or index.records is None else self.records + index.records
        self.record_kinds |= index.kinds
        self.keys |= index.keys

    def described(self, stored_bytes: int) -> dict[str, Any]:
        return {
            "members": self.members,
            "blocks": self.blocks,
            "plain_bytes": self.plain_bytes,
            "stored_bytes": stored_bytes,
            "methods": dict(self.methods),
            "transforms": dict(self.transforms),
            "lanes": sorted(self.lanes),
            "independent_blocks": self.independent_blocks,
            "groups": self.groups,
            "records": self.records if self.record_kinds else None,
            "record_kinds": sorted(self.record_kinds),
            "keys": sorted(self.keys),
            "models": sorted(self.models),
            "memory_bytes": self.memory_bytes,
        }


class _Index(NamedTuple):
    """What the end record of a member says of groups and records."""

    groups: int
    records: int | None = None
    kinds: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()


def _index(stored: bytes, blocks: int, plain_bytes: int) -> _Index:
    """Read the sections of a member that is not empty.

    Raises:
        DamagedError: they make no sense.
    """
    sections = parse_sections(stored)
    groups = len(parse_groups(sections.get(GROUPS, b""), blocks))
    if RECORDS not in sections:
        return _Index(groups)
    records = parse_records(sections[RECORDS], plain_bytes)
    known = records.kind in set(RecordKind)
    kinds = frozenset([RecordKind(records.kind).name.lower() if known else f"kind {records.kind}"])
    keys = frozenset([parse_keys(sections[KEYS], records).field] if KEYS in sections else [])
    return _Index(groups, int(records.firsts[-1]), kinds, keys)
