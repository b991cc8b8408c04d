"""What a compressed file holds, read from its headers."""

from __future__ import annotations

from collections import Counter
from typing import Any, BinaryIO

from llmzip.blocks import limits, transformed
from llmzip.errors import TruncatedError
from llmzip.format.member import MemberReader, Method, read_header
from llmzip.format.reader import Reader
from llmzip.progress import SILENT, Progress


def describe(source: BinaryIO, progress: Progress = SILENT) -> dict[str, Any]:
    """Describe a file without decoding it.

    Args:
        progress: told the plain bytes of each block whose head was read.

    Returns:
        ``members``, ``blocks``, ``plain_bytes``, ``stored_bytes``, ``methods`` (blocks by method, streams of
        transformed blocks among them), ``transforms`` (blocks and streams by a transform's number), ``lanes``,
        ``independent_blocks``, ``models``, and ``memory_bytes``, what reading takes beside the model.

    Raises:
        DamagedError: the file's structure is damaged.
    """
    reader = Reader(source)
    members = blocks = plain_bytes = memory = 0
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
        member.read_end(verified=False)
        plain_bytes += member.plain_bytes
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
        "models": sorted(models),
        "memory_bytes": memory,
    }
