"""What a compressed file holds, read from its headers."""

from __future__ import annotations

from collections import Counter
from typing import Any, BinaryIO

from llmzip.container import Reader, read_header
from llmzip.errors import LlmzError
from llmzip.streams import NO_MODEL, member_blocks


def describe(source: BinaryIO) -> dict[str, Any]:
    """Return ``members``, ``plain_bytes``, ``stored_bytes``, ``methods`` (blocks by method), ``lanes`` and ``models``.

    Raises:
        LlmzError: the file's structure is damaged.
    """
    reader = Reader(source)
    members = plain = 0
    methods: Counter[str] = Counter()
    lanes: set[int] = set()
    models: set[str] = set()
    independent = False
    while (header := read_header(reader)) is not None:
        members += 1
        independent |= header.independent
        if header.fingerprint != NO_MODEL:
            models.add(header.fingerprint.hex())
        for block in member_blocks(reader, header):
            plain += block.plain_length
            methods[block.method.name.lower()] += 1
            if block.method.needs_model:
                lanes.add(1 << block.parameter)
    if not members:
        raise LlmzError("empty input is not an llmzip file")
    return {
        "members": members,
        "plain_bytes": plain,
        "stored_bytes": reader.position,
        "methods": dict(methods),
        "lanes": sorted(lanes),
        "independent_blocks": independent,
        "models": sorted(models),
    }
