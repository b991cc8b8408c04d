"""Any range of the plain bytes, from any place of the file, and only what it takes is decoded."""

from __future__ import annotations

import io
import random
import threading
from collections import Counter
from typing import Any

import pytest

import llmzip
from llmzip.access.ranges import BlockMap
from llmzip.benchmarks.stream import log_lines
from llmzip.errors import DamagedError, LlmzError
from llmzip.format import sections
from llmzip.format.member import Coded, Header, MemberReader, MemberWriter, Method, read_header
from llmzip.format.reader import Reader
from llmzip.format.varint import pack_varint
from llmzip.progress import SILENT
from llmzip.settings import ReadSettings
from tests.conftest import TINY_PATH
from tests.format import reference

NOISE = random.Random(7).randbytes(40_000)
"""What models do not make smaller, so that blocks are read at once."""
SETTINGS: dict[str, dict[str, Any]] = {
    "groups": {"level": 1, "group_bytes": 3000, "block_bytes": 1500},
    "groups of mixed mode": {"group_bytes": 3000, "block_bytes": 1500, "model": TINY_PATH},
    "groups of tokens": {"level": 2, "group_bytes": 3000, "block_bytes": 1500, "model": TINY_PATH},
    "independent": {"level": 1, "independent": True, "block_bytes": 3000},
    "no groups": {"level": 1, "block_bytes": 3000},
    "one block": {"level": 1},
}


def archive(plain: bytes, **settings: Any) -> bytes:
    return llmzip.compress(plain, **settings)


def copied(count: int, header: Header, distance: int = 40_000) -> tuple[bytes, bytes]:
    """A member of a stored block and copies of copies of it."""
    writer, plain = MemberWriter(header), NOISE
    out = writer.add(Coded(Method.STORED, 0, len(NOISE), NOISE), NOISE)
    for i in range(count):
        part = plain[len(plain) - distance :][:1000]
        out += writer.add(Coded(Method.COPY, 0, len(part), reference_varint(distance)), part)
        plain += part
        if i % 5 == 0:
            out += writer.add(Coded(Method.STORED, 0, 2, b"-%d" % (i % 10)), b"-%d" % (i % 10))
            plain += b"-%d" % (i % 10)
    return plain, out + writer.finish()


def reference_varint(value: int) -> bytes:
    return (
        bytes([value & 127 | 128, value >> 7])
        if value < 1 << 14
        else bytes([value & 127 | 128, value >> 7 & 127 | 128, value >> 14])
    )


def check(plain: bytes, data: bytes, tries: int) -> None:
    generator = random.Random(5)
    with llmzip.open(io.BytesIO(data), model=TINY_PATH) as file:
        for _ in range(tries):
            place, length = generator.randrange(len(plain) + 9), generator.randrange(3000)
            assert file.seek(place) == place
            assert file.read(length) == plain[place : place + length]
            assert file.tell() == max(place, min(place + length, len(plain)))
        assert file.seek(-3, io.SEEK_END) == len(plain) - 3
        assert file.read() == plain[-3:]
        assert file.read() == b""


@pytest.mark.parametrize("name", SETTINGS)
def test_random_ranges(name: str, text: bytes) -> None:
    plain = text[:5000] + NOISE[:2000]
    check(plain * 2, archive(plain, **SETTINGS[name]) * 2, 3)


@pytest.mark.parametrize("name", list(SETTINGS)[:3])
def test_groups_are_what_the_end_record_says(name: str, text: bytes) -> None:
    plain = text[:6000]
    data = archive(plain, **SETTINGS[name])
    assert llmzip.decompress(data, model=TINY_PATH) == plain
    (member,) = reference.members_from_the_end(data)
    groups = reference.groups(member)
    assert len(groups) == len(plain) // SETTINGS[name]["group_bytes"] + (len(plain) % SETTINGS[name]["group_bytes"] > 0)
    for group in groups:
        assert sum(length for _, _, length in group) <= SETTINGS[name]["group_bytes"]


def test_a_seek_decodes_one_group() -> None:
    """Of stored blocks, so that each is decoded in no time; counted is what is read of the file."""
    writer = MemberWriter(Header(12))
    parts = [NOISE[i : i + 1000] for i in range(0, 40_000, 1000)]
    blocks = b"".join(writer.add(Coded(Method.STORED, 0, 1000, part), part) for part in parts)
    data = blocks + writer.finish(sections.pack_sections({1: sections.pack_groups(range(0, 40, 4))}))
    read: list[int] = []

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            found = super().read(size)
            read.append(len(found))
            return found

    with llmzip.open(Counted(data)) as file:
        file.seek(30_500)
        assert file.read(10) == NOISE[30_500:30_510]
        assert sum(read) < 5000  # blocks 28 to 30, and the end record
        read.clear()
        file.seek(29_000)  # back within the group
        assert file.read(10) == NOISE[29_000:29_010]
        assert sum(read) < 3000
        read.clear()
        file.seek(31_999)
        assert file.read(2) == NOISE[31_999:32_001]  # on into the next group
        assert sum(read) < 5000


def test_what_is_read_from_the_start_is_checked_to_the_end() -> None:
    writer = MemberWriter(Header(11))
    data = writer.add(Coded(Method.STORED, 0, 4, b"text"), b"text") + writer.finish()
    damaged = bytearray(data)
    damaged[-20] ^= 1
    with llmzip.open(io.BytesIO(damaged)) as file, pytest.raises(LlmzError):
        file.read()


def test_damage_elsewhere_does_not_matter(text: bytes) -> None:
    plain = text[:7500]
    data = bytearray(archive(plain, **SETTINGS["groups"]))
    (member,) = reference.members_from_the_end(bytes(data))
    second = reference.groups(member)[1]
    data[second[0][0] + 20] ^= 1
    with llmzip.open(io.BytesIO(data)) as file:
        file.seek(7000)
        assert file.read() == plain[7000:]
        file.seek(second[0][1])
        with pytest.raises(DamagedError):
            file.read(1)
        with pytest.raises(DamagedError):
            file.read(1)
        file.seek(100)
        assert file.read(100) == plain[100:200]


def test_a_file_that_is_cut_off_gives_what_is_there(text: bytes) -> None:
    data = archive(text[:6000], **SETTINGS["groups"])
    (member,) = reference.members_from_the_end(data)
    with llmzip.open(io.BytesIO(data[: member.blocks[2][0] + 50])) as file:
        file.seek(2500)
        assert file.read(100) == text[2500:2600]
        file.seek(10)
        assert file.read(100) == text[10:110]
        with pytest.raises(LlmzError):
            file.seek(0, io.SEEK_END)


@pytest.mark.parametrize("block_bits", [16, 26])
def test_copies_reach_back_across_independent_blocks(block_bits: int) -> None:
    plain, data = copied(60, Header(block_bits, independent=True))
    assert llmzip.decompress(data) == plain
    check(plain, data, 40)
    plain, data = copied(60, Header(block_bits, independent=True), 1000)  # copies of copies of copies
    check(plain, data, 40)


@pytest.mark.parametrize(("count", "length"), [(1, 4), (100, 4), (2700, 800)])
def test_looking_up_copies_decodes_no_block_again_and_again(count: int, length: int) -> None:
    """The last blocks copy a copy of 200 copies of one small block, or these 200 themselves."""
    writer, plain = MemberWriter(Header(16, independent=True)), NOISE
    out = writer.add(Coded(Method.STORED, 0, 4, NOISE[:4]), NOISE[:4])
    out += writer.add(Coded(Method.STORED, 0, len(NOISE) - 4, NOISE[4:]), NOISE[4:])
    copied, end = len(NOISE), len(NOISE) + 800
    copies = [(0, 4)] * 200 + [(copied, 800), (end, 4)]
    copies += [(end + 800 if length == 4 else copied, length)] * count
    for place, size in copies:
        part = plain[place : place + size]
        out += writer.add(Coded(Method.COPY, 0, size, pack_varint(len(plain) - place)), part)
        plain += part
    visits: Counter[int] = Counter()

    class Noting(io.BytesIO):
        def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
            visits[offset] += whence == io.SEEK_SET
            return super().seek(offset, whence)

    with llmzip.open(Noting(out + writer.finish())) as file:
        file.seek(-count * length, io.SEEK_END)
        assert file.read() == plain[-count * length :]
    assert max(visits.values()) <= 2  # once for copies, and once when all is read from the start


def test_copies_outside_of_a_group_are_damage() -> None:
    writer = MemberWriter(Header(16))
    out = writer.add(Coded(Method.STORED, 0, len(NOISE), NOISE), NOISE)
    out += writer.add(Coded(Method.COPY, 0, 1000, reference_varint(30_000)), NOISE[10_000:11_000])
    data = out + writer.finish(sections.pack_sections({1: sections.pack_groups([0, 1])}))
    assert llmzip.decompress(data) == NOISE + NOISE[10_000:11_000]
    with llmzip.open(io.BytesIO(data)) as file:
        file.seek(40_500)
        with pytest.raises(DamagedError, match="outside"):
            file.read()


@pytest.mark.parametrize("name", list(SETTINGS)[:3])
def test_a_group_that_goes_on_from_blocks_before_is_damage(name: str, text: bytes) -> None:
    """What says that reading may begin where it may not."""
    plain = text[:6000]
    settings = {**SETTINGS[name], "group_bytes": None}
    data = archive(plain, **settings)
    (member,) = reference.members_from_the_end(listed(data, plain))
    for block in (1, len(member.blocks) - 1):
        lying = listed(data, plain, {1: sections.pack_groups([0, block])})
        assert llmzip.decompress(lying, model=TINY_PATH) == plain
        with llmzip.open(io.BytesIO(lying), model=TINY_PATH) as file:
            file.seek(member.blocks[block][1])
            with pytest.raises(DamagedError, match="index of groups"):
                file.read(1)


def listed(data: bytes, plain: bytes, found: dict[int, bytes] | None = None) -> bytes:
    """The same member with these sections, and a full end record."""
    reader = Reader(data)
    header = read_header(reader)
    assert header is not None
    writer, out, at = MemberWriter(header), b"", 0
    for block in iter(MemberReader(reader, header).next_block, None):
        out += writer.add(block.coded, plain[at : at + block.coded.plain_length])
        at += block.coded.plain_length
    return out + writer.finish(sections.pack_sections(found or {}))


WRONG = {
    "as many blocks as there are": sections.pack_varint(7),
    "no blocks": b"\1\0",
    "cut off": b"\x80",
    "huge": sections.pack_varint((1 << 63) - 1) * 3,
}


@pytest.mark.parametrize("name", WRONG)
def test_hostile_groups(name: str, text: bytes) -> None:
    lying = listed(archive(text[:6000], level=1, block_bytes=1500), text[:6000], {1: WRONG[name]})
    assert llmzip.decompress(lying) == text[:6000]
    with llmzip.open(io.BytesIO(lying)) as file:
        file.seek(100)
        assert file.read(5) == text[100:105]  # the index is of no use: read from the start


def test_blocks_have_to_be_those_of_the_end_record(text: bytes) -> None:
    data, other = (archive(part, level=1, group_bytes=1500) for part in (text[:6000], text[1:6001]))
    (member,), (theirs,) = map(reference.members_from_the_end, (data, other))
    if [block[2] for block in member.blocks] == [block[2] for block in theirs.blocks]:
        mixed = BlockMap(io.BytesIO(data), 0, ReadSettings())
        mixed.members[0].checksums[5] ^= 1
        with pytest.raises(DamagedError, match="does not fit"):
            list(mixed.blocks_from(mixed.place_before(2000), SILENT))


def test_several_threads_read_one_file(text: bytes) -> None:
    plain = NOISE
    data = archive(plain, level=1, group_bytes=4000, block_bytes=2000)
    failures: list[BaseException] = []

    def read() -> None:
        generator = random.Random(threading.get_ident())
        try:
            with llmzip.open(io.BytesIO(data)) as file:
                for _ in range(5):
                    place = generator.randrange(len(plain))
                    file.seek(place)
                    assert file.read(50) == plain[place : place + 50]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_output_limits_hold_for_places_too() -> None:
    data = archive(NOISE, level=1, group_bytes=4000)
    with llmzip.open(io.BytesIO(data), max_output=10_000) as file:
        file.seek(3000)
        assert file.read(5) == NOISE[3000:3005]
        file.seek(20_000)
        with pytest.raises(llmzip.OutputLimitError):
            file.read(5)


@pytest.mark.slow
def test_a_thousand_ranges_of_twenty_megabytes() -> None:
    """One group in ten is text; what is stored between costs no time."""
    group = 1 << 16
    logs, generator = b"".join(log_lines(32 * group)), random.Random(8)
    parts = [logs[i : i + group] + generator.randbytes(9 * group) for i in range(0, len(logs), group)]
    plain = b"".join(parts)
    assert len(plain) > 20_000_000
    check(plain, archive(plain, level=1, group_bytes=group), 1000)
