"""Members: header, blocks and end record. docs/format.md describes them byte by byte.

What a block's payload means is told in :mod:`llmzip.blocks`, one module a method.
"""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import xxhash

from llmzip.errors import DamagedError, LlmzError, TruncatedError
from llmzip.format.reader import Reader
from llmzip.format.varint import pack_varint

MAGIC = b"LLMZ"
VERSION = 1
FINGERPRINT_BYTES = 4
"""First bytes of the model's fingerprint that a header names."""
LEAST_BLOCK_BITS, MOST_BLOCK_BITS = 11, 26
LEAST_TABLE_BITS = 11
MAX_BLOCK_BYTES = 1 << MOST_BLOCK_BITS
MOST_LANE_BITS = 8
MAX_LANES = 1 << MOST_LANE_BITS
_SHORT = 1
"""The parameter of an end record that lists no blocks and has no sections."""
BLOCK_OVERHEAD = 32
"""A block that is not the only one takes less than this beside its payload, its line in the end record included."""

_SINGLE, _INDEPENDENT, _NEEDS_MODEL, _WIDE = 1, 2, 4, 8
_CRC_BYTES = 2
CHECKSUM_BYTES = 4
DIGEST_BYTES = 8
_LENGTH_BYTES = 4
CHECKS_BYTES = _CRC_BYTES + CHECKSUM_BYTES
"""Between a block's head and its payload."""
END_TAIL_BYTES = CHECKSUM_BYTES + _LENGTH_BYTES + len(MAGIC)
"""Of an end record: checksum, length, magic."""
HEADER_BYTES = (len(MAGIC) + 2, len(MAGIC) + 2 + FINGERPRINT_BYTES)
"""Of a header without and with a model."""
_CRC_START = 0xFFFF
SECTIONS_LIMIT = 1 << 48
_SKIP_BYTES = 1 << 16


class Method(IntEnum):
    """How a block, or a stream of a transformed block, is coded."""

    END = 0
    STORED = 1
    LZMA = 2
    TOKENS = 3
    MIXED = 4
    CONTEXT = 5
    COPY = 6
    TRANSFORMED = 7

    @property
    def has_lanes(self) -> bool:
        """Whether the parameter is the logarithm of a number of lanes; that of other methods is 0."""
        return self in (Method.TOKENS, Method.MIXED)

    @property
    def has_models(self) -> bool:
        """Whether probabilities from models decide what is coded."""
        return self.has_lanes or self is Method.CONTEXT

    @property
    def most_parameter(self) -> int:
        """The highest that a head's parameter may be."""
        if self.has_lanes:
            return MOST_LANE_BITS
        return _SHORT if self is Method.END else 0


_METHODS = frozenset(Method)


class Header(NamedTuple):
    """A member's header.

    Attributes:
        block_bits: logarithm of a bound of its blocks' plain lengths, 11 to 26.
        table_bits: logarithm of the number of buckets in the tables of mixed and of context mode; 0 where no block
            is in one of these modes.
        fingerprint: of the model, shortened; None where no block needs one.
        single: the member ends after its first block.
        independent: every block starts from fresh models.
        wide: some block may be of context mode's wide profile.
    """

    block_bits: int
    table_bits: int = 0
    fingerprint: bytes | None = None
    single: bool = False
    independent: bool = False
    wide: bool = False

    def to_bytes(self) -> bytes:
        flags = _SINGLE * self.single | _INDEPENDENT * self.independent | _WIDE * self.wide
        flags |= _NEEDS_MODEL * (self.fingerprint is not None)
        tables = self.table_bits - LEAST_TABLE_BITS + 1 if self.table_bits else 0
        bounds = tables << 4 | self.block_bits - LEAST_BLOCK_BITS
        return MAGIC + bytes([VERSION << 4 | flags, bounds]) + (self.fingerprint or b"")


def block_bits_for(longest: int) -> int:
    """What a header says of blocks of at most ``longest`` plain bytes."""
    return max(LEAST_BLOCK_BITS, (longest - 1).bit_length())


class CodedHead(NamedTuple):
    """What stands before a payload.

    Attributes:
        parameter: the logarithm of the number of lanes where the method has them; 1 for a short end record; else 0.
    """

    method: Method
    parameter: int
    plain_length: int = 0
    payload_length: int = 0

    @property
    def is_short_end(self) -> bool:
        """Whether it begins an end record that lists no blocks."""
        return self.method is Method.END and self.parameter == _SHORT

    def to_bytes(self) -> bytes:
        return (
            bytes([self.parameter << 4 | self.method])
            + pack_varint(self.plain_length)
            + pack_varint(self.payload_length)
        )


class Coded(NamedTuple):
    """Coded bytes: a block, or a stream of a transformed block."""

    method: Method
    parameter: int
    plain_length: int
    payload: bytes

    @property
    def head(self) -> CodedHead:
        return CodedHead(self.method, self.parameter, self.plain_length, len(self.payload))


def read_head(reader: Reader, longest: int, least: int = 1) -> CodedHead:
    """Read what stands before the payload of ``least`` to ``longest`` plain bytes, or the first byte of an end record.

    Raises:
        LlmzError: it is cut off or makes no sense.
    """
    start = reader.read(1)[0]
    number, parameter = start & 15, start >> 4
    if number not in _METHODS:
        raise DamagedError("a block has an unknown method")
    method = Method(number)
    if parameter > method.most_parameter:
        raise DamagedError("a block's parameter is out of range")
    if method is Method.END:
        return CodedHead(method, parameter)
    plain_length = reader.read_varint(longest)
    if plain_length < least:
        raise DamagedError("a block is empty")
    return CodedHead(method, parameter, plain_length, reader.read_varint(plain_length))


class Block(NamedTuple):
    """A block as it was read.

    Attributes:
        checksum: of the plain bytes, seeded with ``seed``.
    """

    coded: Coded
    checksum: bytes
    seed: int


@dataclass
class Account:
    """What was written or read of a member so far."""

    header: bytes
    blocks: int = 0
    plain_bytes: int = 0

    def __post_init__(self) -> None:
        self._lines = bytearray()
        self.plain_hash = xxhash.xxh3_64()

    def checks(self, head: CodedHead, payload: bytes) -> tuple[bytes, int]:
        """CRC of the next block, and the seed of its checksum: they cover all that is stored of it, and its place."""
        crc, hashed = _CRC_START, xxhash.xxh3_64()
        place = self.header + pack_varint(self.blocks) + pack_varint(self.plain_bytes)
        for part in (place, head.to_bytes(), payload):
            crc = crc_hqx(part, crc)
            hashed.update(part)
        return crc.to_bytes(_CRC_BYTES, "little"), hashed.intdigest()

    def add(self, head: CodedHead, checksum: bytes) -> None:
        stored_length = len(head.to_bytes()) + CHECKS_BYTES + head.payload_length
        self.blocks += 1
        self.plain_bytes += head.plain_length
        self._lines += pack_varint(head.plain_length) + pack_varint(stored_length) + checksum

    def listing(self) -> bytes:
        """What an end record says of the blocks."""
        return pack_varint(self.blocks) + self._lines + pack_varint(self.plain_bytes)

    def short_end_record(self) -> bytes:
        """What ends a member without a list of its blocks, and still tells whether they are all there."""
        seed = xxhash.xxh3_64_intdigest(self.header)
        return bytes([_SHORT << 4 | Method.END]) + _checksum(self.listing(), seed)

    def read_short_end(self, reader: Reader) -> None:
        """Read what follows the first byte of a short end record.

        Raises:
            LlmzError: it is cut off, or is that of other blocks.
        """
        if reader.read(CHECKSUM_BYTES) != self.short_end_record()[1:]:
            raise DamagedError("the end record does not fit the blocks")

    def new_end_record_hash(self) -> xxhash.xxh3_64:
        return xxhash.xxh3_64(bytes([Method.END]), seed=xxhash.xxh3_64_intdigest(self.header))


class MemberWriter:
    """Turns a member's blocks into bytes one by one."""

    def __init__(self, header: Header) -> None:
        self._single = header.single
        self._account = Account(header.to_bytes())

    def add(self, coded: Coded, plain: bytes) -> bytes:
        """The block's bytes, with the header before the first one's. ``plain`` is what it holds."""
        account, head = self._account, coded.head
        before = b"" if account.blocks else account.header
        crc, seed = account.checks(head, coded.payload)
        checksum = _checksum(plain, seed)
        account.add(head, checksum)
        account.plain_hash.update(plain)
        return before + head.to_bytes() + crc + checksum + coded.payload

    @property
    def blocks(self) -> int:
        """Number of those that were added."""
        return self._account.blocks

    def finish(self, sections: bytes = b"", short: bool = False) -> bytes:
        """What stands after the last block.

        Args:
            sections: as :func:`llmzip.format.sections.pack_sections` gives them; none in a single member.
            short: do not list the blocks: to find one, a reader goes from block to block. Not with sections.
        """
        account = self._account
        if self._single:
            return b""
        before = b"" if account.blocks else account.header
        if short:
            if sections:
                raise ValueError("a short end record has no sections")
            return before + account.short_end_record()
        body = account.listing() + _little_endian(account.plain_hash) + pack_varint(len(sections)) + sections
        hashed = account.new_end_record_hash()
        hashed.update(body)
        return before + bytes([Method.END]) + body + _end_record_tail(hashed, 1 + len(body))


class MemberReader:
    """Reads a member's blocks one by one, and checks whatever can be checked without decoding them.

    Where a stream does not hold a block or an end record whole, reading can be repeated from its start.

    Args:
        reader: stands after the header, or before any other block.
        blocks: how many are before that.
        plain_bytes: how many they have.
    """

    def __init__(self, reader: Reader, header: Header, blocks: int = 0, plain_bytes: int = 0) -> None:
        self._reader = reader
        self._header = header
        self._account = Account(header.to_bytes(), blocks, plain_bytes)
        self._end_is_short = False

    @property
    def blocks(self) -> int:
        """Up to the last one that was read."""
        return self._account.blocks

    @property
    def plain_bytes(self) -> int:
        """Up to the end of the last block that was read."""
        return self._account.plain_bytes

    def next_block(self) -> Block | None:
        """Read the next block, or return None after the last one, where an end record begins its first byte read.

        Raises:
            LlmzError: it is cut off or damaged.
        """
        if self._header.single and self._account.blocks:
            return None
        head = read_head(self._reader, 1 << self._header.block_bits)
        if head.method is Method.END:
            if self._header.single:
                raise DamagedError("a member has no block")
            self._end_is_short = head.is_short_end
            return None
        crc, checksum = self._reader.read(_CRC_BYTES), self._reader.read(CHECKSUM_BYTES)
        payload = self._reader.read(head.payload_length)
        expected, seed = self._account.checks(head, payload)
        if crc != expected:
            raise DamagedError(f"block {self._account.blocks + 1} is damaged")
        self._account.add(head, checksum)
        return Block(Coded(head.method, head.parameter, head.plain_length, payload), checksum, seed)

    def verify(self, block: Block, plain: bytes) -> None:
        """Check what was decoded, block by block in their order.

        Raises:
            DamagedError: it is not what was coded.
        """
        if len(plain) != block.coded.plain_length or _checksum(plain, block.seed) != block.checksum:
            raise DamagedError("checksum mismatch: the data is damaged")
        self._account.plain_hash.update(plain)

    def read_end(self, verified: bool = True, sections: bytearray | None = None) -> None:
        """Read the member to its end, after :meth:`next_block` has given None.

        Args:
            verified: all blocks of the member were verified, so that a hash of the whole can be compared too.
            sections: where to put those of the end record, as they are stored.

        Raises:
            LlmzError: the end record is damaged, or is that of other blocks.
        """
        if self._header.single:
            return
        reader, account = self._reader, self._account
        if self._end_is_short:
            account.read_short_end(reader)
            return
        start = reader.position - 1
        listing = account.listing()
        if reader.read(len(listing)) != listing:
            raise DamagedError("the end record does not fit the blocks")
        digest = reader.read(DIGEST_BYTES)
        if verified and digest != _little_endian(account.plain_hash):
            raise DamagedError("the file is not what was compressed: its blocks do not belong together")
        sections_length = reader.read_varint(SECTIONS_LIMIT)
        hashed = account.new_end_record_hash()
        hashed.update(listing + digest + pack_varint(sections_length))
        for skipped in range(0, sections_length, _SKIP_BYTES):
            part = reader.read(min(_SKIP_BYTES, sections_length - skipped))
            hashed.update(part)
            if sections is not None:
                sections += part
        tail = _end_record_tail(hashed, reader.position - start)
        if reader.read(len(tail)) != tail:
            raise DamagedError("the end record is damaged")


def read_header(reader: Reader, first: bool = True) -> Header | None:
    """Read a member's header, or return None at the end of the stream.

    Args:
        first: no member came before; else zero bytes are padding.

    Raises:
        LlmzError: something else is there, or a later version of the format.
    """
    byte = reader.read_at_most(1)
    while byte == b"\0" and not first:
        byte = reader.read_at_most(1)
    if not byte:
        return None
    start = reader.position - 1
    magic = byte + reader.read_at_most(len(MAGIC) - 1)
    if magic != MAGIC[: len(magic)]:
        raise DamagedError("not an llmzip file" if first else f"what follows is not llmzip's, from byte {start} on")
    if len(magic) < len(MAGIC):
        raise TruncatedError("not an llmzip file: it ends too early" if first else "unexpected end of file")
    version_and_flags, bounds = reader.read(2)
    version, flags = version_and_flags >> 4, version_and_flags & 15
    if version != VERSION:
        raise LlmzError(f"format version {version}.{flags} is not known here; a later llmzip may read it")
    fingerprint = reader.read(FINGERPRINT_BYTES) if flags & _NEEDS_MODEL else None
    tables = bounds >> 4
    table_bits = tables + LEAST_TABLE_BITS - 1 if tables else 0
    block_bits = (bounds & 15) + LEAST_BLOCK_BITS
    single, independent, wide = (bool(flags & flag) for flag in (_SINGLE, _INDEPENDENT, _WIDE))
    return Header(block_bits, table_bits, fingerprint, single, independent, wide)


def _checksum(plain: bytes, seed: int) -> bytes:
    return _little_endian(xxhash.xxh3_64(plain, seed))[:CHECKSUM_BYTES]


def _little_endian(hashed: xxhash.xxh3_64) -> bytes:
    return hashed.intdigest().to_bytes(DIGEST_BYTES, "little")


def is_end_record(record: bytes, header: Header) -> bool:
    """Whether ``record`` ends as an end record of a member with this header does: checksum, length, magic."""
    body = record[:-END_TAIL_BYTES]
    hashed = xxhash.xxh3_64(body, seed=xxhash.xxh3_64_intdigest(header.to_bytes()))
    return record[len(body) :] == _end_record_tail(hashed, len(body))


def _end_record_tail(hashed: xxhash.xxh3_64, length_before: int) -> bytes:
    """Checksum of an end record, its length and the magic reversed."""
    length = length_before + END_TAIL_BYTES
    stored_length = (length & 0xFFFFFFFF).to_bytes(_LENGTH_BYTES, "little")
    return _little_endian(hashed)[:CHECKSUM_BYTES] + stored_length + MAGIC[::-1]
