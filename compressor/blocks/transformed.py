"""Transformed: a block in other words, by one of the reversible transforms in :mod:`llmzip.text`.

Payload: the transform's number (1 byte), the length of its description (varint), the description, then streams to the
payload's end. A stream is coded as a block is, but has no checks of its own: method and parameter (1 byte), plain
length, payload length (varints), payload. A stream may be transformed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from llmzip import text
from llmzip.errors import DamagedError
from llmzip.format.member import Coded, Method, read_head
from llmzip.format.reader import Reader
from llmzip.format.varint import pack_varint
from llmzip.progress import Progress

MOST_NESTED = 4
"""A stream is inside so many transforms at most."""
MOST_STREAMS = 4096
"""Of one block or stream."""
_EXPANSION, _EXPANSION_MARGIN = 6, 4096


def most_stream_bytes(plain_length: int) -> int:
    """Plain bytes that the streams of a block have together at most, those inside others included."""
    return _EXPANSION * plain_length + _EXPANSION_MARGIN


class Transformed(NamedTuple):
    """What a payload says."""

    number: int
    description: bytes
    streams: list[Coded]


def encode(transformed: Transformed) -> bytes:
    streams = (coded.head.to_bytes() + coded.payload for coded in transformed.streams)
    description = transformed.description
    return bytes([transformed.number]) + pack_varint(len(description)) + description + b"".join(streams)


def parse(payload: bytes, most_plain: int) -> Transformed:
    """Undo :func:`encode`; the streams have ``most_plain`` plain bytes at most.

    Raises:
        DamagedError: the payload makes no sense.
    """
    reader = Reader(payload)
    number = reader.read(1)[0]
    description = reader.read(reader.read_varint(len(payload)))
    streams: list[Coded] = []
    while reader.position < len(payload):
        head = read_head(reader, most_plain, least=0)
        if head.method is Method.END or len(streams) == MOST_STREAMS:
            raise DamagedError("a transformed block's streams make no sense")
        most_plain -= head.plain_length
        streams.append(Coded(head.method, head.parameter, head.plain_length, reader.read(head.payload_length)))
    return Transformed(number, description, streams)


def all_coded(coded: Coded) -> Iterator[Coded]:
    """A block and, where it is transformed, all streams inside it.

    Raises:
        DamagedError: a transformed payload makes no sense.
    """
    yield from _all_coded(coded, most_stream_bytes(coded.plain_length), 0)


def _all_coded(coded: Coded, most_plain: int, depth: int) -> Iterator[Coded]:
    yield coded
    if coded.method is Method.TRANSFORMED:
        if depth == MOST_NESTED:
            raise DamagedError("a block's transforms are nested too deep")
        for stream in parse(coded.payload, most_plain).streams:
            yield from _all_coded(stream, most_plain, depth + 1)


def number_of(coded: Coded) -> int:
    """The number of a transformed block's transform."""
    return parse(coded.payload, most_stream_bytes(coded.plain_length)).number


def put_back(transformed: Transformed, streams: list[bytes], plain_length: int) -> bytes:
    """The plain bytes of a block or stream from those of its ``streams``.

    Raises:
        DamagedError: there is no such transform here, or its description makes no sense.
    """
    return text.put_back(text.Taken(transformed.number, transformed.description, streams), plain_length)


def share_of(progress: Progress, plain_length: int, stream_bytes: int) -> Progress:
    """Progress on streams of so many bytes in all that stand for ``plain_length`` bytes."""
    factor = plain_length / max(1, stream_bytes)
    return Progress(lambda done: progress.advance(done * factor))
