"""Members of stored blocks: every damage is noticed, and nothing makes the reader take memory or time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmzip.errors import DamagedError, LlmzError, TruncatedError
from llmzip.format.member import (
    BLOCK_OVERHEAD,
    Coded,
    Header,
    MemberReader,
    MemberWriter,
    Method,
    block_bits_for,
    read_header,
)
from llmzip.format.reader import Reader
from llmzip.format.varint import pack_varint

HEADERS = st.builds(
    Header,
    block_bits=st.integers(11, 26),
    table_bits=st.sampled_from([0, *range(11, 26)]),
    fingerprint=st.none() | st.binary(min_size=4, max_size=4),
    single=st.booleans(),
    independent=st.booleans(),
)
PLAIN = Header(11)


def stored(plain: bytes) -> Coded:
    return Coded(Method.STORED, 0, len(plain), plain)


def written(blocks: list[bytes], header: Header = PLAIN, short: bool = False) -> bytes:
    writer = MemberWriter(header)
    return b"".join(writer.add(stored(plain), plain) for plain in blocks) + writer.finish(short=short)


def read(data: bytes) -> list[bytes]:
    """Plain bytes of the blocks of all members."""
    reader, blocks = Reader(data), []
    header = read_header(reader)
    while header is not None:
        member = MemberReader(reader, header)
        for block in iter(member.next_block, None):
            member.verify(block, block.coded.payload)
            blocks.append(block.coded.payload)
        member.read_end()
        header = read_header(reader, first=False)
    return blocks


@given(HEADERS)
def test_headers_come_back(header: Header) -> None:
    reader = Reader(header.to_bytes())
    assert read_header(reader) == header
    assert reader.rest() == b""


@pytest.mark.parametrize(("longest", "bits"), [(1, 11), (2048, 11), (2049, 12), (1 << 26, 26)])
def test_a_header_bounds_the_longest_block(longest: int, bits: int) -> None:
    assert block_bits_for(longest) == bits


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5), HEADERS, st.booleans())
def test_blocks_come_back(blocks: list[bytes], header: Header, short: bool) -> None:
    header = header._replace(single=header.single and len(blocks) == 1)
    data = written(blocks, header, short)
    assert read(data) == blocks
    assert read(data + written([b"another"]) + bytes(1000)) == [*blocks, b"another"]
    assert len(data) <= sum(map(len, blocks)) + BLOCK_OVERHEAD * len(blocks) + 40


SAMPLES = {
    "empty": written([]),
    "single": written([b"one block"], Header(11, 18, b"abcd", single=True)),
    "several": written([b"first", b"second, longer", b"third"], Header(12, 20, b"abcd", independent=True)),
    "empty, short": written([], short=True),
    "several, short": written([b"first", b"second, longer", b"third"], Header(12, 20, b"abcd"), short=True),
}


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> bytes:
    return SAMPLES[request.param]


def test_every_flipped_bit_is_noticed(sample: bytes) -> None:
    for bit in range(8 * len(sample)):
        damaged = bytearray(sample)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(LlmzError):
            read(bytes(damaged))


@pytest.mark.parametrize("byte", [0, 1, 0x7F, 0xFF])
def test_every_overwritten_byte_is_noticed(sample: bytes, byte: int) -> None:
    for position in range(len(sample)):
        if sample[position] != byte:
            with pytest.raises(LlmzError):
                read(sample[:position] + bytes([byte]) + sample[position + 1 :])


def test_every_truncation_is_noticed(sample: bytes) -> None:
    for length in range(1, len(sample)):
        with pytest.raises(TruncatedError):
            read(sample[:length])


@pytest.mark.parametrize("tail", [b"x", b"LLM", b"LLMX", b"\1", bytes(5) + b"garbage"])
def test_what_follows_and_is_not_llmzips_is_named_by_its_place(sample: bytes, tail: bytes) -> None:
    with pytest.raises(DamagedError) as error:
        read(sample + tail)
    if tail != b"LLM":
        place = len(sample) + len(tail) - len(tail.lstrip(b"\0"))
        assert f"from byte {place} on" in str(error.value)


def test_foreign_files_and_later_versions_are_refused() -> None:
    for data in (b"\x1f\x8b\x08" + bytes(50), b"plain text", bytes(100), b"LLMX", b"LLM"):
        with pytest.raises(DamagedError, match="not an llmzip file"):
            read(data)
    for start in (b"LLMZ\x20", b"LLMZ\x28", b"LLMZ\x00"):
        with pytest.raises(LlmzError, match="later llmzip"):
            read(start + bytes(30))


def blocks_of(data: bytes, header: Header) -> Iterator[bytes]:
    """A member's blocks as they are stored, and at last its end record."""
    reader = Reader(data)
    assert read_header(reader) == header
    member, start = MemberReader(reader, header), reader.position
    while member.next_block() is not None:
        yield data[start : reader.position]
        start = reader.position
    yield data[start:]


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (2, 1, 0), (0, 1), (0, 1, 1, 2), (0, 0, 1, 2)])
def test_swapped_missing_and_repeated_blocks_are_noticed(order: tuple[int, ...], short: bool) -> None:
    plain = [b"AAAA BBBB", b"CCCC DDDD", b"EEEE FFFF"]
    *blocks, end = blocks_of(written(plain, short=short), PLAIN)
    assert read(PLAIN.to_bytes() + b"".join(blocks) + end) == plain
    with pytest.raises(DamagedError):
        read(PLAIN.to_bytes() + b"".join(blocks[i] for i in order) + end)


@pytest.mark.parametrize("short", [False, True])
def test_blocks_of_other_members_are_noticed(short: bool) -> None:
    ours, theirs = [b"AAAA BBBB", b"CCCC DDDD"], [b"GGGG HHHH", b"CCCC DDDD"]
    *ours_stored, end = blocks_of(written(ours, short=short), PLAIN)
    *theirs_stored, _ = blocks_of(written(theirs, short=short), PLAIN)
    assert ours_stored[1] == theirs_stored[1]  # nothing tells them apart but what stands before
    with pytest.raises(DamagedError, match="end record"):
        read(PLAIN.to_bytes() + theirs_stored[0] + ours_stored[1] + end)
    with pytest.raises(DamagedError):
        read(Header(12).to_bytes() + b"".join(ours_stored) + end)


def test_a_hash_of_the_whole_is_checked_apart_from_the_blocks() -> None:
    reader = Reader(written([b"first", b"second"]))
    header = read_header(reader)
    assert header is not None
    member = MemberReader(reader, header)
    blocks = list(iter(member.next_block, None))
    member.verify(blocks[1], b"second")
    member.verify(blocks[0], b"first")
    with pytest.raises(DamagedError, match="do not belong together"):
        member.read_end()


def test_sections_of_the_end_record_are_passed_over() -> None:
    """A later llmzip may write some: what is unknown here does no harm, and is covered by the checksum."""
    import xxhash

    *_, end = blocks_of(written([b"text"]), PLAIN)
    section = pack_varint(7) + pack_varint(100_000) + b"s" * 100_000
    body = end[: -1 - 12] + pack_varint(len(section)) + section
    hashed = xxhash.xxh3_64_intdigest(body, xxhash.xxh3_64_intdigest(PLAIN.to_bytes())).to_bytes(8, "little")
    longer = body + hashed[:4] + (len(body) + 12).to_bytes(4, "little") + b"ZMLL"
    start = written([b"text"])[: -len(end)]
    assert read(start + longer) == [b"text"]
    place = len(start) + len(longer) // 2
    with pytest.raises(DamagedError, match="end record is damaged"):
        read(start + longer.replace(b"ss", b"st", 1))
    with pytest.raises(TruncatedError):
        read((start + longer)[:place])


HOSTILE = {
    "plain length": bytes([Method.STORED]) + pack_varint(1 << 26) + pack_varint(1 << 26) + bytes(50),
    "too long for the header": bytes([Method.STORED]) + pack_varint(2049) + pack_varint(9) + bytes(50),
    "huge plain length": bytes([Method.STORED]) + pack_varint(1 << 60) + pack_varint(9) + bytes(50),
    "payload longer than plain": bytes([Method.LZMA]) + pack_varint(9) + pack_varint(10) + bytes(50),
    "empty block": bytes([Method.STORED, 0, 0]) + bytes(50),
    "unknown method": bytes([8, 9, 9]) + bytes(50),
    "parameter": bytes([Method.STORED | 16, 9, 9]) + bytes(50),
    "end record neither short nor full": bytes([Method.END | 32]) + bytes(50),
    "too many lanes": bytes([Method.MIXED | 9 << 4, 9, 9]) + bytes(50),
    "blocks in the end record": bytes([Method.END]) + pack_varint(1 << 62) + bytes(50),
    "sections": bytes([Method.END, 0, 0]) + written([])[9:17] + pack_varint(1 << 47) + bytes(50),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("block_bits", [11, 26])
def test_hostile_lengths_take_no_memory(name: str, block_bits: int) -> None:
    data = Header(block_bits).to_bytes() + HOSTILE[name]
    tracemalloc.start()
    try:
        with pytest.raises(LlmzError):
            read(data)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("short", [False, True])
def test_reading_can_be_repeated_where_a_stream_was_cut(short: bool) -> None:
    data = written([b"first", b"second"], short=short)
    for cut in range(len(data)):
        reader = Reader(data)
        header = read_header(reader)
        assert header is not None
        member = MemberReader(reader, header)
        begin = reader.position
        while True:
            part = Reader(data[begin : max(cut, begin)])
            member._reader = part
            try:
                block = member.next_block()
                if block is None:
                    member.read_end(verified=False)
                    break
            except TruncatedError:
                member._reader = part = Reader(data[begin:])
                block = member.next_block()
                if block is None:
                    member.read_end(verified=False)
                    break
            begin += part.position
        assert member.plain_bytes == len(b"firstsecond")
