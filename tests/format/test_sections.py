"""What lies at a file's end is what the reference says, and nothing that may stand there leads far astray."""

from __future__ import annotations

import contextlib
import io
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmzip.errors import DamagedError, LlmzError, MemoryLimitError, TruncatedError
from llmzip.format import sections
from llmzip.format.layout import MemberLayout, find_layout
from llmzip.format.member import Coded, Header, MemberWriter, Method
from llmzip.format.record_kinds import RecordKind, guess_kind, splitter_for
from llmzip.format.varint import pack_varint, unpack_varints
from tests.format import reference

ROOM = 1 << 24
HEADERS = [Header(11), Header(12, 18, b"abcd"), Header(11, independent=True)]
TEXTS = {
    RecordKind.JSONL: b'{"a":1}\n{"b":2}\n\n{"c"}',
    RecordKind.LINES: b"\nso\n\nand so\n",
    RecordKind.CSV: b'1,"x\ny"\n2,"z""\n"\n3,4\n',
    RecordKind.MBOX: b"From a\nx\n\nFrom b\n\nFrom\n\nFrom c\r\n\r\nFrom d\nFrom e\n\n\nFrom f",
    RecordKind.WARC: b"WARC/1.0\r\nContent-Length: 5\r\n\r\nab\n\r\n\r\n\r\n"
    b"WARC/1.0\r\nx: y\r\ncontent-length:0 \r\n\r\n\r\n"
    b"WARC/1.0\r\nContent-Length: 5x\r\n\r\n foo\n"
    b"WARC/1.0\r\nA: 1\r\nContent-Length: 12\r\n\r\nWARC/WARC/12WARC/1.0\r\n",
    RecordKind.PARAGRAPHS: b"\n\nx\ny\n\nz\n\n\n\nq\r\n\r\nr\r\ns\n\n",
    RecordKind.NUL: b"a\0b\0\0c\0",
}


def member(blocks: list[bytes], header: Header = HEADERS[0], extra: bytes = b"", short: bool = False) -> bytes:
    writer = MemberWriter(header)
    stored = [writer.add(Coded(Method.STORED, 0, len(plain), plain), plain) for plain in blocks]
    return b"".join(stored) + writer.finish(extra, short)


def layout(data: bytes, start: int = 0) -> list[MemberLayout]:
    return find_layout(io.BytesIO(data), start, ROOM)


def places(found: MemberLayout) -> list[tuple[int, int]]:
    return list(zip(found.places[:-1], found.plain_places[:-1], strict=True))


@given(st.lists(st.tuples(st.sampled_from(HEADERS), st.lists(st.binary(min_size=1, max_size=200), max_size=4),
                          st.integers(0, 9)), min_size=1, max_size=4))  # fmt: skip
def test_blocks_are_found_from_the_end_and_from_the_start(members: list) -> None:
    data = b"".join(member(blocks, header) + bytes(padding) for header, blocks, padding in members)
    expected = [found for found in reference.members_from_the_end(data) if found.blocks]
    assert [places(found) for found in layout(data)] == [[block[:2] for block in m.blocks] for m in expected]
    shifted = layout(b"before" + data, 6)
    assert [[(at - 6, plain) for at, plain in places(found)] for found in shifted] == list(map(places, layout(data)))
    for last in (member([b"alone"], Header(11, single=True)), member([b"alone"], short=True)):
        mixed = layout(data + last)
        assert [places(found) for found in mixed[:-1]] == [places(found) for found in layout(data)]
        assert [found.checksums for found in mixed[:-1]] == [found.checksums for found in layout(data)]
        assert places(mixed[-1]) == [(len(data) + 6, 0)]


@pytest.mark.parametrize("short", [False, True])
def test_a_member_that_lacks_its_last_block_is_noticed_without_decoding(short: bool) -> None:
    blocks = [b"first", b"second, longer", b"third"]
    data = member(blocks, short=short)
    (found,) = layout(data)
    end = data[found.places[-1] :]
    with pytest.raises(DamagedError, match="end record"):
        layout(data[: found.places[-2]] + end)


@given(st.lists(st.tuples(st.lists(st.binary(min_size=1, max_size=200), max_size=4), st.booleans(),
                          st.integers(0, 9)), min_size=1, max_size=4))  # fmt: skip
def test_members_without_a_list_of_blocks_are_found_too(members: list) -> None:
    data = b"".join(member(blocks, short=short) + bytes(padding) for blocks, short, padding in members)
    found = [(found.plain_bytes, found.blocks) for found in layout(data)]
    assert found == [(sum(map(len, blocks)), len(blocks)) for blocks, _, _ in members if blocks]


def test_an_archive_inside_an_archive_is_not_taken_for_a_member() -> None:
    inner = member([b"inner", b"more"])
    outer = member([b"junk " + inner], Header(11, single=True))
    assert [places(found) for found in layout(outer)] == [[(6, 0)]]
    two = member([b"first"]) + outer
    assert [found.plain_bytes for found in layout(two)] == [5, len(inner) + 5]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("short", [False, True])
def test_no_damage_is_worse_than_one_error(header: Header, short: bool) -> None:
    extra = b"" if short else sections.pack_sections({1: b"\1", 9: b"later"})
    data = member([b"first", b"second, longer", b"third"], header, extra, short)
    for cut in range(len(data)):
        with pytest.raises((TruncatedError, DamagedError)):
            layout(data[:cut])
    intact = layout(data)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            found = layout(bytes(damaged))
        except LlmzError:
            continue
        assert found[0].places == intact[0].places  # what is damaged is a payload or its check


def test_listings_take_no_more_memory_than_allowed() -> None:
    many = member([b"x"] * 3000)
    with pytest.raises(MemoryLimitError):
        find_layout(io.BytesIO(many), 0, 30_000)
    with pytest.raises(MemoryLimitError):
        find_layout(io.BytesIO(many + member([b"x"], Header(11, single=True))), 0, 30_000)
    with pytest.raises(MemoryLimitError):
        find_layout(io.BytesIO(member([]) * 3000), 0, 30_000)
    with pytest.raises(MemoryLimitError):
        find_layout(io.BytesIO(member([b"x"], extra=bytes(100_000))), 0, 30_000)
    assert find_layout(io.BytesIO(many), 0, 300_000)[0].blocks == 3000


HOSTILE = {
    "huge count": b"\0" + pack_varint(1 << 60),
    "huge plain length": b"\0\1" + pack_varint(1 << 62) + pack_varint(9) + bytes(4),
    "huge stored length": b"\0\1" + pack_varint(9) + pack_varint(1 << 62) + bytes(4),
    "before the start": b"\0\1" + pack_varint(9) + pack_varint(1000) + bytes(4) + b"\x09" + bytes(8) + b"\0",
    "huge sections": b"\0\0\0" + bytes(8) + pack_varint(1 << 47),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_end_records(name: str) -> None:
    import xxhash

    body, header = HOSTILE[name], HEADERS[0].to_bytes()
    checksum = xxhash.xxh3_64_intdigest(body, xxhash.xxh3_64_intdigest(header)).to_bytes(8, "little")[:4]
    record = body + checksum + (len(body) + 12).to_bytes(4, "little") + b"ZMLL"
    tracemalloc.start()
    try:
        for data in (header + record, header + bytes(50) + record, record, record + record):
            with pytest.raises(LlmzError):
                layout(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@given(st.lists(st.integers(0, (1 << 63) - 1)))
def test_many_numbers(numbers: list[int]) -> None:
    assert unpack_varints(b"".join(map(pack_varint, numbers))).tolist() == numbers


@pytest.mark.parametrize("data", [b"\x80", b"\1\x80", b"\x80\0", b"\xff" * 9 + b"\1", b"\x80\x80\0"])
def test_wrong_numbers(data: bytes) -> None:
    with pytest.raises(DamagedError):
        unpack_varints(data)


def test_sections_come_back() -> None:
    packed = sections.pack_sections({3: b"keys", 1: b"groups", 2: b"", 700: bytes(300)})
    assert sections.parse_sections(packed) == {1: b"groups", 3: b"keys", 700: bytes(300)}
    assert reference.members_from_the_end(member([b"text"], extra=packed))[0].sections.keys() == {1, 3, 700}
    assert layout(member([b"text"], extra=packed))[0].sections == packed
    for wrong in (packed[:-1], packed + packed, packed + b"\1", b"\x80", b"\1" + pack_varint(1 << 40)):
        with pytest.raises(DamagedError):
            sections.parse_sections(wrong)


def test_groups_come_back() -> None:
    packed = sections.pack_groups([0, 1, 5, 7])
    assert sections.parse_groups(packed, 8).tolist() == [0, 1, 5, 7]
    assert sections.parse_groups(b"", 8).tolist() == [0]
    found = reference.members_from_the_end(member([b"x"] * 8, extra=sections.pack_sections({1: packed})))[0]
    assert [len(group) for group in reference.groups(found)] == [1, 4, 2, 1]
    for wrong in (packed + b"\1", b"\0", b"\x80", pack_varint((1 << 63) - 1) * 3):
        with pytest.raises(DamagedError):
            sections.parse_groups(wrong, 8)


@pytest.mark.parametrize("kind", RecordKind)
def test_records_are_divided_as_the_reference_has_it(kind: RecordKind) -> None:
    generator = random.Random(kind)
    for text in (TEXTS[kind], TEXTS[kind] * 3, b"\n", b"x", b"\r\n\r\n\r\nx"):
        starts = splitter_for(kind).feed(text)
        expected = np.cumsum([0, *map(len, reference.split(kind, text))])[:-1].tolist()
        assert starts == expected
        for _ in range(100):  # the same in pieces, and from every mark on
            splitter, at, found = splitter_for(kind), 0, []
            while at < len(text):
                length = generator.randint(1, 7)
                found += splitter.feed(text[at : at + length])
                at += length
            assert found == starts
        for start in starts:
            assert [start + place for place in splitter_for(kind).feed(text[start:])] == [
                s for s in starts if s >= start
            ]


def test_a_long_header_is_none() -> None:
    header = b"WARC/1.0\r\nX: " + b"x" * 65536 + b"\r\nContent-Length: 3\r\n\r\n"
    text = header + b"abc\r\nWARC/1.0\r\n"
    assert splitter_for(RecordKind.WARC).feed(text) == [0, text.rindex(b"WARC")]
    assert [len(record) for record in reference.split(5, text)] == [len(header) + 5, 10]


def test_kinds_are_guessed() -> None:
    assert guess_kind(TEXTS[RecordKind.JSONL].replace(b"\n\n", b"\n")) is RecordKind.JSONL
    assert guess_kind(b"a,b,c\n" + b'1,"x,y",3\n' * 9) is RecordKind.CSV
    assert guess_kind(b"one\n" * 99) is guess_kind(b"") is RecordKind.LINES
    for kind in (RecordKind.MBOX, RecordKind.WARC, RecordKind.PARAGRAPHS, RecordKind.NUL):
        assert guess_kind(TEXTS[kind]) is kind


def test_marks_come_back() -> None:
    packed = sections.pack_records(RecordKind.LINES, [3, 10, 500], [2, 7, 1])
    index = sections.parse_records(packed, 501)
    assert (index.kind, index.places.tolist(), index.firsts.tolist()) == (2, [3, 10, 500], [0, 2, 9, 10])
    none = sections.parse_records(sections.pack_records(RecordKind.CSV, [], []), 9)
    assert none.firsts.tolist() == [0]
    wrong = [b"", packed[:-1], packed + b"\0", sections.pack_records(2, [3, 10, 500], [2, 8, 2]),
             sections.pack_records(2, [3, 3], [1, 1]), sections.pack_records(2, [501], [1]),
             sections.pack_records(2, [0, 9], [0, 1]), b"\2" + pack_varint((1 << 63) - 1) * 4]  # fmt: skip
    for data in wrong:
        with pytest.raises(DamagedError):
            sections.parse_records(data, 501)


def test_keys_are_found() -> None:
    keys = [[b"a%d" % i for i in range(500)], [], [b"twice", b"twice", b"b"]]
    counts = [700, 2, 3]
    records = sections.pack_records(RecordKind.JSONL, [0, 5000, 6000], counts)
    packed = sections.pack_keys("naïve", [np.array([*map(sections.hash_key, of)], np.int64) for of in keys])
    index = sections.parse_keys(packed, sections.parse_records(records, 9000))
    assert index.field == "naïve"
    found = reference.members_from_the_end(member([b"x"], extra=sections.pack_sections({2: records, 3: packed})))[0]
    for mark, mark_keys in enumerate(keys):
        for key in mark_keys[:50]:
            assert mark in index.marks_of(key)
            assert reference.marks_with_key(found, "naïve", key) == index.marks_of(key)
    alarms = sum(len(index.marks_of(b"c%d" % i)) for i in range(5000))
    assert 0.5 < alarms / (2 * 5000 / 64) < 2
    for cut in range(len(packed)):
        with pytest.raises(DamagedError):
            sections.parse_keys(packed[:cut], sections.parse_records(records, 9000))
    fewer = sections.parse_records(sections.pack_records(1, [0, 5000, 6000], [499, 2, 3]), 9000)
    for data, parsed in ((packed, fewer), (packed + b"\0", sections.parse_records(records, 9000)), (b"\0\0", fewer)):
        with pytest.raises(DamagedError):
            sections.parse_keys(data, parsed)


@given(st.binary(max_size=60))
def test_hostile_sections(data: bytes) -> None:
    for parse in (
        sections.parse_sections,
        lambda data: sections.parse_groups(data, 9),
        lambda data: sections.parse_records(data, 900),
        lambda data: sections.parse_keys(data, sections.parse_records(sections.pack_records(1, [0], [9]), 900)),
    ):
        with contextlib.suppress(DamagedError):
            parse(data)
