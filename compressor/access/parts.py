"""Parts of a compressed stream, piece by piece: ranges of bytes, lines, records."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from llmzip.access.plain_reader import PlainReader
from llmzip.access.ranges import BlockMap
from llmzip.access.records import Records
from llmzip.errors import DamagedError, LlmzError
from llmzip.format.record_kinds import RecordKind
from llmzip.format.sections import RECORDS, parse_sections
from llmzip.settings import ReadSettings

_PIECE_BYTES = 1 << 18
_LINE_KINDS = bytes([RecordKind.JSONL]), bytes([RecordKind.LINES])


def plain_range(source: BinaryIO, settings: ReadSettings, first: int, last: int | None) -> Iterator[bytes]:
    """Plain bytes from number ``first`` to number ``last``, both counted from 0, or to the end.

    Raises:
        LlmzError: as for :func:`llmzip.streams.iterate_plain`.
    """
    reader = PlainReader(source, settings, None)
    if reader.seekable():
        reader.seek(first)
    else:
        _skip(reader, first)
    left = -1 if last is None else last - first + 1
    while left and (part := reader.read(_PIECE_BYTES if left < 0 else min(left, _PIECE_BYTES))):
        left -= len(part) if left > 0 else 0
        yield part


def lines(source: BinaryIO, settings: ReadSettings, first: int, last: int | None) -> Iterator[bytes]:
    """Lines from number ``first`` to number ``last``, both counted from 1, or to the end: at once where an index of
    records has lines, else after all that comes before was restored. Errors as for :func:`plain_range`.
    """
    first = max(first, 1)
    if source.seekable() and _has_lines(source, settings):
        yield from records(source, settings, first - 1, None if last is None else last - 1)
        return
    number = 1
    with io.BufferedReader(PlainReader(source, settings, None), _PIECE_BYTES) as reader:
        while (last is None or number <= last) and (part := reader.readline(_PIECE_BYTES)):
            if number >= first:
                yield part
            number += part.endswith(b"\n")


def records(source: BinaryIO, settings: ReadSettings, first: int, last: int | None) -> Iterator[bytes]:
    """Records from number ``first`` to number ``last``, both counted from 0, or to the end.

    Raises:
        LlmzError: there is no index of records, or the file is damaged.
    """
    found = _records_of(source, settings)
    for number in range(first, len(found) if last is None else min(last + 1, len(found))):
        yield found[number]


def with_key(source: BinaryIO, settings: ReadSettings, key: str) -> Iterator[bytes]:
    """Records that have a key, given as ``NAME=VALUE``.

    Raises:
        LlmzError: there is no index of records, their kind has no such key, or the file is damaged.
    """
    found = _records_of(source, settings)
    name, _, value = key.partition("=")
    if found.key is not None and key.startswith(f"{found.key}="):  # it may contain an equals sign itself
        name, value = found.key, key.removeprefix(f"{found.key}=")
    for number in found.find(value, name):
        yield found[number]


def _records_of(source: BinaryIO, settings: ReadSettings) -> Records:
    if not source.seekable():
        raise LlmzError("records are found in a file that can seek")
    return Records(source, **vars(settings))


def _has_lines(source: BinaryIO, settings: ReadSettings) -> bool:
    """Whether there is one member, the records of which are lines."""
    start = source.tell()
    try:
        members = BlockMap(source, start, settings).members
        return len(members) == 1 and parse_sections(members[0].sections).get(RECORDS, b"")[:1] in _LINE_KINDS
    except DamagedError:
        return False  # what can be read will be
    finally:
        source.seek(start)


def _skip(reader: PlainReader, count: int) -> None:
    while count and (part := reader.read(min(count, _PIECE_BYTES))):
        count -= len(part)
