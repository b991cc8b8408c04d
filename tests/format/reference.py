"""End records and their sections in plain Python, as docs/format.md has them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import xxhash


@dataclass
class Member:
    """What an end record says: for each block its place in the file, its place in the plain bytes, its plain length."""

    start: int
    end: int
    blocks: list[tuple[int, int, int]] = field(default_factory=list)
    plain_bytes: int = 0
    sections: dict[int, bytes] = field(default_factory=dict)


class Numbers:
    """Varints and bytes, one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                assert byte or shift == 7
                return value

    def take(self, count: int) -> bytes:
        assert self.at + count <= len(self.data)
        self.at += count
        return self.data[self.at - count : self.at]

    def all(self) -> list[int]:
        numbers = []
        while self.at < len(self.data):
            numbers.append(self.number())
        return numbers


def members_from_the_end(data: bytes) -> list[Member]:
    """Members of a file of which none is single."""
    members: list[Member] = []
    end = len(data)
    while end:
        end = len(data[:end].rstrip(b"\0"))
        assert data[end - 4 : end] == b"ZMLL"
        length = int.from_bytes(data[end - 8 : end - 4], "little")
        record = data[end - length : end]
        member = _member(data, end - length, record)
        members.insert(0, member)
        end = member.start
    return members


def _member(data: bytes, place: int, record: bytes) -> Member:
    numbers = Numbers(record)
    assert numbers.take(1) == b"\0"
    lengths = []
    for _ in range(numbers.number()):
        lengths.append((numbers.number(), numbers.number()))
        numbers.take(4)
    plain_bytes = numbers.number()
    assert plain_bytes == sum(plain for plain, _ in lengths)
    numbers.take(8)
    sections = Numbers(numbers.take(numbers.number()))
    checksum = numbers.take(4)
    assert numbers.at + 8 == len(record)
    first = place - sum(stored for _, stored in lengths)
    for header_bytes, flag in ((6, 0), (10, 4)):
        header = data[first - header_bytes : first]
        body = record[:-12]
        seed = xxhash.xxh3_64_intdigest(header)
        if (
            header.startswith(b"LLMZ")
            and header[4] & 4 == flag
            and xxhash.xxh3_64_intdigest(body, seed).to_bytes(8, "little")[:4] == checksum
        ):
            member = Member(first - header_bytes, place + len(record), plain_bytes=plain_bytes)
            break
    else:
        raise AssertionError("no header fits")
    stored_place, plain_place = first, 0
    for plain, stored in lengths:
        member.blocks.append((stored_place, plain_place, plain))
        stored_place, plain_place = stored_place + stored, plain_place + plain
    while sections.at < len(sections.data):
        number = sections.number()
        assert number > max(member.sections, default=-1)
        member.sections[number] = sections.take(sections.number())
    return member


def groups(member: Member) -> list[list[tuple[int, int, int]]]:
    """Blocks by group."""
    out, blocks = [], list(member.blocks)
    for count in Numbers(member.sections.get(1, b"")).all():
        assert 1 <= count < len(blocks)
        out.append(blocks[:count])
        blocks = blocks[count:]
    return [*out, blocks]


def marks(member: Member) -> tuple[int, list[tuple[int, int]]]:
    """The kind of records; place and count of each mark."""
    content = member.sections[2]
    numbers = Numbers(content[1:]).all()
    place, out = 0, []
    for gap, count in zip(numbers[::2], numbers[1::2], strict=True):
        place += gap
        out.append((place, count))
    return content[0], out


def records(member: Member, plain: bytes) -> tuple[bytes, list[list[bytes]]]:
    """The head, and the records of each mark."""
    kind, places = marks(member)
    ends = [place for place, _ in places[1:]] + [len(plain)]
    out = []
    for (place, count), end in zip(places, ends, strict=True):
        found = split(kind, plain[place:end])
        assert len(found) == count >= 1
        out.append(found)
    return plain[: places[0][0]] if places else plain, out


def split(kind: int, text: bytes) -> list[bytes]:
    """The records of a text that begins with one."""
    found = []
    while text:
        length = min(_length(kind, text), len(text))
        found.append(text[:length])
        text = text[length:]
    return found


def _length(kind: int, text: bytes) -> int:
    if kind == 5:
        return _warc_length(text)
    for i in range(1, len(text)):
        before = text[:i]
        if kind in (1, 2) and before.endswith(b"\n"):
            return i
        if kind == 3 and before.endswith(b"\n") and before.count(b'"') % 2 == 0:
            return i
        if kind == 4 and before.endswith((b"\n\n", b"\n\r\n")) and text.startswith(b"From ", i):
            return i
        run = before[len(before.rstrip(b"\r\n")) :]
        if kind == 6 and run.count(b"\n") >= 2 and run != before and text[i] not in b"\r\n":
            return i
        if kind == 7 and before.endswith(b"\0"):
            return i
    return len(text)


def _warc_length(text: bytes) -> int:
    empty = text[:65536].find(b"\r\n\r\n")
    if empty >= 0 and text.startswith(b"WARC/"):
        for line in text[:empty].split(b"\r\n")[1:]:
            if found := re.fullmatch(rb"content-length:[ \t]*([0-9]{1,18})[ \t]*", line, re.IGNORECASE):
                end = min(empty + 4 + int(found[1]), len(text))
                return end + len(text[end:]) - len(text[end:].lstrip(b"\r\n"))
    following = text.find(b"\nWARC/")
    return following + 1 if following >= 0 else len(text)


def marks_with_key(member: Member, name: str, key: bytes) -> list[int]:
    """Numbers of the marks that may have a record with a key."""
    numbers = Numbers(member.sections[3])
    assert numbers.take(numbers.number()).decode() == name
    k = numbers.take(1)[0]
    assert 1 <= k <= 16
    hashed, found = xxhash.xxh3_64_intdigest(key) >> 32, []
    for number, (_, most) in enumerate(marks(member)[1]):
        n = numbers.number()
        assert n <= most
        high, low = (int.from_bytes(numbers.take((bits + 7) // 8), "little") for bits in (2 * n, k * n))
        values: list[int] = []
        for bit in range(2 * n):
            if high >> bit & 1:
                i = len(values)
                values.append((bit - i) << k | (low >> i * k & (1 << k) - 1))
        assert len(values) == n
        assert values == sorted(values)
        if hashed * n * 2**k >> 32 in values:
            found.append(number)
    assert numbers.at == len(numbers.data)
    return found
