"""What a compressed file holds, read from its headers."""

from __future__ import annotations

from collections import Counter
from typing import Any, BinaryIO, NamedTuple

from llmzip.blocks import limits, transformed
from llmzip.errors import TruncatedError
from llmzip.format.member import MemberReader, Method, read_header
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
    members = blocks = groups = plain_bytes = memory = 0
    records: int | None = 0
    kinds: set[str] = set()
    keys: set[str] = set()
    methods: Counter[str] = Counter()
    transforms: Counter[int] = Counter()
    lanes: set[int] = set()
    models: set[str] = set()
    independent = False
    header = read_header(reader)
    while header is not None:
        members += 1
        independent |= header.independent
        memory = max(memory, limits.memory_needed(header, None))
        if header.fingerprint is not None:
            models.add(header.fingerprint.hex())
        member = MemberReader(reader, header)
        blocks_before = blocks
        while (block := member.next_block()) is not None:
            blocks += 1
            progress.advance(block.coded.plain_length)
            for coded in transformed.all_coded(block.coded):
                if coded.method is Method.TRANSFORMED:
                    transforms[transformed.number_of(coded)] += 1
                else:
                    methods[coded.method.name.lower()] += 1
                if coded.method.has_lanes:
                    lanes.add(1 << coded.parameter)
        stored = bytearray()
        member.read_end(verified=False, sections=stored)
        plain_bytes += member.plain_bytes
        if blocks > blocks_before:
            index = _index(bytes(stored), blocks - blocks_before, member.plain_bytes)
            groups += blocks - blocks_before if header.independent else index.groups
            records = None if records is None or index.records is None else records + index.records
            kinds |= index.kinds
            keys |= index.keys
        header = read_header(reader, first=False)
    if not members:
        raise TruncatedError("empty input is not an llmzip file")
    return {
        "members": members,
        "blocks": blocks,
        "plain_bytes": plain_bytes,
        "stored_bytes": reader.position,
        "methods": dict(methods),
        "transforms": dict(transforms),
        "lanes": sorted(lanes),
        "independent_blocks": independent,
        "groups": groups,
        "records": records if kinds else None,
        "record_kinds": sorted(kinds),
        "keys": sorted(keys),
        "models": sorted(models),
        "memory_bytes": memory,
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
