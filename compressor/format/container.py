"""The .llmz format: members, blocks, index. docs/format.md describes it byte by byte.

A file is one or more members. A member is a header, blocks, and, unless it holds at most one block, an end record with
the index of its blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import BinaryIO

import xxhash

from llmzip.errors import LlmzError, TruncatedError

MAGIC = b"LLMZ"
OLDEST_VERSION, VERSION = 1, 2
"""Versions that are read, of which the last is written; the second added blocks with a layout."""
FINGERPRINT_BYTES = 4
"""First bytes of the model's fingerprint; zeros in a member that needs no model."""
HEADER_BYTES = len(MAGIC) + 1 + FINGERPRINT_BYTES
MAX_BLOCK_BYTES = 1 << 26
MAX_LANES = 1 << 8
MAX_EXPANSION = 1 << 10
"""A block's coded length is at most its plain length plus this."""
CHECKSUM_BYTES = 4
FOOTER_BYTES = 8

FLAG_SINGLE = 1
"""The member ends after its first block: no end record."""
FLAG_INDEPENDENT = 2
"""Every block starts from fresh models."""
KNOWN_FLAGS = FLAG_SINGLE | FLAG_INDEPENDENT


RESTART_MIXED = 1
"""The first mixed block behind a stored or LZMA block starts from fresh models."""
RESTART_CONTEXT = 2
"""The same for context mode."""


class Method(IntEnum):
    """How a block is coded."""

    END = 0
    STORED = 1
    LZMA = 2
    TOKENS = 3
    MIXED = 4
    CONTEXT = 5
    COPY = 6
    MIXED_LANE = 7
    """Mixed mode in one lane without side information."""
    LAID_OUT = 8
    """A block of another method and the layout that its text had: :mod:`llmzip.text.line_breaks`."""

    @property
    def is_mixed(self) -> bool:
        return self in (Method.MIXED, Method.MIXED_LANE)

    @property
    def needs_model(self) -> bool:
        return self.is_mixed or self is Method.TOKENS


@dataclass(frozen=True)
class Header:
    """A member's header."""

    fingerprint: bytes
    single: bool
    independent: bool
    version: int = VERSION

    def to_bytes(self) -> bytes:
        flags = FLAG_SINGLE * self.single | FLAG_INDEPENDENT * self.independent
        return MAGIC + bytes([self.version << 4 | flags]) + self.fingerprint


@dataclass(frozen=True)
class Block:
    """A coded block; ``parameter`` is the logarithm of its lanes or, where it has none, what restarts behind it."""

    method: Method
    parameter: int
    plain_length: int
    checksum: bytes
    payload: bytes

    @property
    def text_coding(self) -> tuple[Method, int]:
        """Method and parameter by which the text is coded, without its layout where that is stored apart."""
        if self.method is not Method.LAID_OUT:
            return self.method, self.parameter
        return _unpack_method(self.payload[0] if self.payload else 0)

    def to_bytes(self) -> bytes:
        start = pack_method(self.method, self.parameter)
        lengths = pack_varint(self.plain_length) + pack_varint(len(self.payload))
        return start + lengths + self.checksum + self.payload


@dataclass
class Index:
    """Plain and stored length of every block of a member."""

    blocks: list[tuple[int, int]] = field(default_factory=list)

    def to_end_record(self) -> bytes:
        """End byte, block count, lengths, checksum, and a footer: length of this record and the magic reversed."""
        body = bytes([Method.END]) + pack_varint(len(self.blocks))
        body += b"".join(pack_varint(plain) + pack_varint(stored) for plain, stored in self.blocks)
        body += pack_checksum(body, b"")
        return body + (len(body) + FOOTER_BYTES).to_bytes(4, "little") + MAGIC[::-1]


class MemberWriter:
    """Turns a member's blocks into bytes one by one.

    Attributes:
        started: the header has been written.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self._index = Index()
        self.started = False

    def add(self, block: Block) -> bytes:
        """The block's bytes, the header in front of the first."""
        data = block.to_bytes()
        self._index.blocks.append((block.plain_length, len(data)))
        return self._start() + data

    def finish(self) -> bytes:
        """What stands behind the last block."""
        return self._start() + (b"" if self._header.single else self._index.to_end_record())

    def _start(self) -> bytes:
        if self.started:
            return b""
        self.started = True
        return self._header.to_bytes()


def pack_method(method: Method, parameter: int) -> bytes:
    return bytes([parameter << 4 | method])


def _unpack_method(byte: int) -> tuple[Method, int]:
    """Undo :func:`pack_method`.

    Raises:
        LlmzError: there is no such method or parameter.
    """
    try:
        method, parameter = Method(byte & 15), byte >> 4
    except ValueError:
        raise LlmzError("a block has an unknown method") from None
    if 1 << parameter > MAX_LANES:
        raise LlmzError("a block has more lanes than there can be")
    return method, parameter


def pack_checksum(plain: bytes, context: bytes) -> bytes:
    """XXH3 of ``plain``, seeded with that of ``context`` (what else must not change), shortened to 4 bytes."""
    return xxhash.xxh3_64_digest(plain, seed=xxhash.xxh3_64_intdigest(context))[-CHECKSUM_BYTES:]


def pack_varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; the high bit says that more follow."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """Reads a stream to the exact byte.

    Attributes:
        position: bytes read so far.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.position = 0

    def read(self, count: int) -> bytes:
        """Return exactly ``count`` bytes.

        Raises:
            LlmzError: the stream ends before.
        """
        data = self.read_at_most(count)
        if len(data) < count:
            raise TruncatedError("unexpected end of file")
        return data

    def read_at_most(self, count: int) -> bytes:
        parts = []
        left = count
        while left:
            part = self._stream.read(left)
            if not part:
                break
            parts.append(part)
            left -= len(part)
        self.position += count - left
        return b"".join(parts)

    def read_varint(self, limit: int) -> int:
        value = shift = 0
        while True:
            byte = self.read(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if value > limit or shift > 63:
                raise LlmzError("a length in the file is out of range")
            if byte < 0x80:
                return value


def read_header(reader: Reader) -> Header | None:
    """Read a member's header, or return None at the end of the stream.

    Raises:
        LlmzError: something else is there, or a later version of the format.
    """
    first = reader.read_at_most(1)
    if not first:
        return None
    data = first + reader.read_at_most(HEADER_BYTES - 1)
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise LlmzError("not an llmzip file")
    if len(data) < len(MAGIC):
        raise TruncatedError("not an llmzip file: it ends too early")
    if len(data) < HEADER_BYTES:
        raise TruncatedError("unexpected end of file")
    version, flags = data[len(MAGIC)] >> 4, data[len(MAGIC)] & 15
    if not OLDEST_VERSION <= version <= VERSION or flags & ~KNOWN_FLAGS:
        raise LlmzError(f"format version {version}.{flags} is not known here; a later llmzip may read it")
    return Header(data[len(MAGIC) + 1 :], bool(flags & FLAG_SINGLE), bool(flags & FLAG_INDEPENDENT), version)


def read_block(reader: Reader) -> Block | None:
    """Read a block, or return None in front of an end record (its first byte read).

    Raises:
        LlmzError: the block is cut off or its header makes no sense.
    """
    start = reader.read(1)[0]
    if start == Method.END:
        return None
    method, parameter = _unpack_method(start)
    plain_length = reader.read_varint(MAX_BLOCK_BYTES)
    coded_length = reader.read_varint(plain_length + MAX_EXPANSION)
    if method is Method.END or plain_length == 0:
        raise LlmzError("a block's header makes no sense")
    checksum = reader.read(CHECKSUM_BYTES)
    return Block(method, parameter, plain_length, checksum, reader.read(coded_length))


def read_end_record(reader: Reader) -> Index:
    """Read an end record behind its first byte.

    Raises:
        LlmzError: it is damaged.
    """
    count = reader.read_varint(1 << 40)
    index = Index()
    for _ in range(count):
        plain = reader.read_varint(MAX_BLOCK_BYTES)
        index.blocks.append((plain, reader.read_varint(MAX_BLOCK_BYTES + 2 * MAX_EXPANSION)))
    expected = index.to_end_record()
    tail = reader.read(CHECKSUM_BYTES + FOOTER_BYTES)
    if tail != expected[-len(tail) :]:
        raise LlmzError("the index is damaged")
    return index
