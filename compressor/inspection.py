"""What a compressed file holds, read from its headers."""

from __future__ import annotations

from collections import Counter
from typing import Any, BinaryIO

from llmzip.format.container import Method, Reader, read_header
from llmzip.errors import LlmzError
from llmzip.streams import NO_MODEL, member_blocks


def describe(source: BinaryIO) -> dict[str, Any]:
    """Return ``members``, ``plain_bytes``, ``stored_bytes``, ``methods`` (blocks by method),
    ``laid_out_blocks`` (those whose layout is stored apart), ``lanes`` and ``models``.

    Raises:
        LlmzError: the file's structure is damaged.
    """
    reader = Reader(source)
    members = plain = laid_out = 0
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
            method, parameter = block.text_coding
            methods[method.name.lower()] += 1
            laid_out += block.method is Method.LAID_OUT
            if method.needs_model:
                lanes.add(1 << parameter)
    if not members:
        raise LlmzError("empty input is not an llmzip file")
    return {
        "members": members,
        "plain_bytes": plain,
        "stored_bytes": reader.position,
        "methods": dict(methods),
        "laid_out_blocks": laid_out,
        "lanes": sorted(lanes),
        "independent_blocks": independent,
        "models": sorted(models),
    }
