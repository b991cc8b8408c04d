"""Where members and blocks lie in a file that can seek: found from the end, or block by block from the start.

Full end records tell it at once. Where the last one is short or not there, or members before do not join on, heads of
blocks are read one after the other instead.
"""

from __future__ import annotations

import io
from array import array
from dataclasses import dataclass, field
from typing import BinaryIO

from llmzip.errors import DamagedError, LlmzError, MemoryLimitError, TruncatedError
from llmzip.format.member import (
    CHECKS_BYTES,
    CHECKSUM_BYTES,
    DIGEST_BYTES,
    END_TAIL_BYTES,
    HEADER_BYTES,
    MAGIC,
    MAX_BLOCK_BYTES,
    SECTIONS_LIMIT,
    Account,
    Header,
    Method,
    is_end_record,
    read_head,
    read_header,
)
from llmzip.format.reader import Reader

_MOST_PLAIN_BYTES = 1 << 62
_MOST_STORED_BYTES = 2 * MAX_BLOCK_BYTES
_SKIP_BYTES = 1 << 16
_BYTES_PER_BLOCK = 48
_BYTES_PER_MEMBER = 1024


@dataclass
class MemberLayout:
    """Where the blocks of a member lie.

    Attributes:
        header: the member's.
        places: of each block, and of what follows the last one, bytes of the file before it.
        plain_places: the same for the member's plain bytes.
        checksums: of all blocks, one after the other; what the end record says, or the blocks themselves.
        sections: of the end record, as they are stored.
    """

    header: Header
    places: array[int] = field(default_factory=lambda: array("Q", [0]))
    plain_places: array[int] = field(default_factory=lambda: array("Q", [0]))
    checksums: bytearray = field(default_factory=bytearray)
    sections: bytes = b""

    @property
    def blocks(self) -> int:
        return len(self.places) - 1

    @property
    def plain_bytes(self) -> int:
        return self.plain_places[-1]

    def checksum(self, block: int) -> bytes:
        return bytes(self.checksums[block * CHECKSUM_BYTES : (block + 1) * CHECKSUM_BYTES])


class _Room:
    """Memory that may be taken.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    def take(self, count: int) -> None:
        """Raises: MemoryLimitError: there are not so many bytes more."""
        self._taken += count
        if self._taken > self._limit:
            raise MemoryLimitError(self._taken, self._limit)


def find_layout(source: BinaryIO, start: int, memory_limit: int) -> list[MemberLayout]:
    """Members of a file from its byte ``start`` to its end, in order; without those that are empty.

    Raises:
        LlmzError: there are none, they are damaged or cut off, or where they lie takes more than ``memory_limit``
            bytes to remember.
    """
    end = source.seek(0, io.SEEK_END)
    members = _from_end_records(source, start, end, _Room(memory_limit))
    if members is None:
        members = _from_heads(source, start, end, _Room(memory_limit))
    return [member for member in members if member.blocks]


def _from_end_records(source: BinaryIO, start: int, end: int, room: _Room) -> list[MemberLayout] | None:
    """None where there is anything but members with full end records, and padding."""
    members: list[MemberLayout] = []
    while end > start:
        found = _member_before(source, start, _without_padding(source, start, end), room)
        if found is None:
            return None
        member, end = found
        members.append(member)
    return members[::-1] or None


def _without_padding(source: BinaryIO, start: int, end: int) -> int:
    """The end of what is left without zero bytes at its end."""
    count = END_TAIL_BYTES
    while end > start:
        count = min(count, end - start)
        part = _read_at(source, end - count, count).rstrip(b"\0")
        end -= count - len(part)
        if part:
            break
        count = _SKIP_BYTES
    return end


def _member_before(source: BinaryIO, start: int, end: int, room: _Room) -> tuple[MemberLayout, int] | None:
    """The member that ends at ``end``, and where it begins; None if no end record says so."""
    tail = _read_at(source, max(start, end - END_TAIL_BYTES), min(END_TAIL_BYTES, end - start))
    if len(tail) < END_TAIL_BYTES or not tail.endswith(MAGIC[::-1]):
        return None
    length = int.from_bytes(tail[CHECKSUM_BYTES : -len(MAGIC)], "little")
    if not END_TAIL_BYTES < length <= end - start - HEADER_BYTES[0]:
        return None
    room.take(length)
    record = _read_at(source, end - length, length)
    reader = Reader(record)
    try:
        member = _parse_end_record(reader, room)
    except DamagedError:
        return None
    if reader.position != length - END_TAIL_BYTES:
        return None
    for header_bytes in HEADER_BYTES:
        begin = end - length - member.places[-1] - header_bytes
        if begin < start:
            continue
        reader = Reader(_read_at(source, begin, header_bytes))
        try:
            header = read_header(reader)
        except LlmzError:
            continue
        if header is None or header.single or reader.position != header_bytes or not is_end_record(record, header):
            continue
        member.header = header
        member.places = array("Q", (begin + header_bytes + place for place in member.places))
        _check_bound(member)
        return member, begin
    return None


def _parse_end_record(reader: Reader, room: _Room) -> MemberLayout:
    """Where blocks lie, the first at place 0, read up to the sections' end; without header.

    Raises:
        LlmzError: it makes no sense, is cut off, or its sections take too much memory.
    """
    room.take(_BYTES_PER_MEMBER)
    member = MemberLayout(Header(0))
    if reader.read(1)[0] != Method.END:
        raise DamagedError("an end record does not begin as one")
    for _ in range(reader.read_varint(_MOST_PLAIN_BYTES)):
        plain_length, stored_length = reader.read_varint(MAX_BLOCK_BYTES), reader.read_varint(_MOST_STORED_BYTES)
        if not plain_length:
            raise DamagedError("a block is empty")
        member.checksums += reader.read(CHECKSUM_BYTES)
        member.plain_places.append(member.plain_bytes + plain_length)
        member.places.append(member.places[-1] + stored_length)
        room.take(_BYTES_PER_BLOCK)
    if reader.read_varint(_MOST_PLAIN_BYTES) != member.plain_bytes:
        raise DamagedError("an end record's sum is wrong")
    reader.read(DIGEST_BYTES)
    sections_bytes = reader.read_varint(SECTIONS_LIMIT)
    room.take(sections_bytes)
    member.sections = reader.read(sections_bytes)
    return member


def _check_bound(member: MemberLayout) -> None:
    longest = 1 << member.header.block_bits
    if any(member.plain_places[i + 1] - member.plain_places[i] > longest for i in range(member.blocks)):
        raise DamagedError("a block is longer than its member's header allows")


def _from_heads(source: BinaryIO, start: int, end: int, room: _Room) -> list[MemberLayout]:
    """Raises: LlmzError: what is there is not members."""
    members: list[MemberLayout] = []
    while True:
        source.seek(start)
        reader = Reader(source)
        header = read_header(reader, first=not members)
        if header is None:
            break
        member, start = _walk(source, start + reader.position, end, header, room)
        members.append(member)
    if not members:
        raise TruncatedError("empty input is not an llmzip file")
    return members


def _walk(source: BinaryIO, start: int, end: int, header: Header, room: _Room) -> tuple[MemberLayout, int]:
    """The member whose header ends at ``start``, and where it ends."""
    room.take(_BYTES_PER_MEMBER)
    member = MemberLayout(header, array("Q", [start]))
    source.seek(start)
    reader = Reader(source)
    account = Account(header.to_bytes())
    while not header.single or not member.blocks:
        head = read_head(reader, 1 << header.block_bits)
        if head.method is Method.END:
            break
        checks = reader.read(CHECKS_BYTES)
        reader.skip(head.payload_length)
        if start + reader.position > end:
            raise TruncatedError("unexpected end of file")
        account.add(head, checks[-CHECKSUM_BYTES:])
        member.checksums += checks[-CHECKSUM_BYTES:]
        member.plain_places.append(member.plain_bytes + head.plain_length)
        member.places.append(start + reader.position)
        room.take(_BYTES_PER_BLOCK)
    if header.single:
        if not member.blocks:
            raise DamagedError("a member has no block")
        return member, member.places[-1]
    begin = member.places[-1]
    if head.is_short_end:
        account.read_short_end(reader)
        return member, start + reader.position
    source.seek(begin)
    reader = Reader(source)
    listed = _parse_end_record(reader, room)
    length = reader.position + END_TAIL_BYTES
    if (
        listed.plain_places != member.plain_places
        or any(place + start != other for place, other in zip(listed.places, member.places, strict=True))
        or listed.checksums != member.checksums
    ):
        raise DamagedError("the end record does not fit the blocks")
    if not is_end_record(_read_at(source, begin, length), header):
        raise DamagedError("the end record is damaged")
    member.sections = listed.sections
    return member, begin + length


def _read_at(source: BinaryIO, place: int, count: int) -> bytes:
    source.seek(place)
    return Reader(source).read(count)
