"""Streams: sizes of blocks, limits of memory and output, bytes that are pushed."""

from __future__ import annotations

import io
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip import member_encoder
from llmzip import settings as settings_module
from llmzip.blocks import limits, mixed
from llmzip.blocks.adaptive import AdaptiveModels
from llmzip.blocks.lanes import cut_into_lanes
from llmzip.errors import DamagedError, LlmzError, MemoryLimitError, OutputLimitError
from llmzip.format.member import Coded, Header, MemberReader, MemberWriter, Method, read_header
from llmzip.format.reader import Reader
from llmzip.format.varint import pack_varint
from llmzip.inspection import describe
from llmzip.member_decoder import PushDecoder
from llmzip.member_encoder import MemberEncoder
from llmzip.network.model import load_model
from llmzip.progress import SILENT, Progress
from llmzip.settings import BLOCK_BYTES, REPETITIVE_BLOCK_BYTES, ReadSettings, Settings
from llmzip.streams import compress, compress_stream, decompress, decompress_stream, iterate_plain
from tests.conftest import TINY_PATH

FAST = Settings(level=1)
READ = ReadSettings(model=TINY_PATH)


def prose(size: int, seed: int = 0) -> bytes:
    """Words at random: some that LZMA cannot make vanish."""
    random = np.random.default_rng(seed)
    words = [random.bytes(int(n)).hex().encode() for n in random.integers(1, 5, 2000)]
    return b" ".join(words[i] for i in random.integers(0, 2000, size // 4))[:size]


def block_lengths(packed: bytes) -> list[int]:
    reader = Reader(packed)
    header = read_header(reader)
    assert header is not None
    member = MemberReader(reader, header)
    return [block.coded.plain_length for block in iter(member.next_block, None)]


def test_small_files_are_one_block() -> None:
    assert block_lengths(compress(prose(FAST.whole_bytes), FAST)) == [FAST.whole_bytes]


@pytest.fixture
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels 1 and 6 with blocks that are coded sooner: the rules do not depend on their lengths."""
    fast, default = (settings_module._LEVELS[level] for level in (1, 6))
    monkeypatch.setitem(settings_module._LEVELS, 1, fast._replace(first_block_bytes=16 << 10))
    monkeypatch.setitem(settings_module._LEVELS, 6, default._replace(first_block_bytes=8 << 10, opening_bytes=1 << 10))
    monkeypatch.setattr(member_encoder, "LONG_BYTES", 20 << 10)
    monkeypatch.setattr(member_encoder, "FAST_WHOLE_BYTES", 8 << 10)


def test_long_ones_begin_with_a_block_that_is_read_at_once(short_blocks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # One block of level 1 would be smaller than what the tiny model makes of such a text.
    monkeypatch.setattr(MemberEncoder, "_smallest", lambda self, start, member, by_lzma: member)
    plain, default = prose((20 << 10) + 1), Settings(level=6, model=TINY_PATH)
    packed = compress(plain, default)
    assert block_lengths(packed) == [1 << 10, 8 << 10, (11 << 10) + 1]
    assert decompress(packed, READ) == plain
    assert block_lengths(compress(plain[:-1], default)) == [8 << 10, 12 << 10]
    assert Settings(level=6, block_bytes=1 << 16).opening_bytes == 0
    assert Settings(level=6, independent=True).opening_bytes == 0
    assert Settings(level=6, group_bytes=1 << 20).opening_bytes == 0


def test_longer_ones_begin_with_small_blocks(short_blocks: None) -> None:
    first = FAST.first_block_bytes(repetitive=False)
    assert block_lengths(compress(prose(7 * first), FAST)) == [first, 2 * first, 4 * first]


def test_first_blocks_are_short() -> None:
    assert all(Settings(level=level).whole_bytes <= 128 << 10 for level in (2, 3, 6, 9))


def test_a_rest_joins_the_last_block(short_blocks: None) -> None:
    first = FAST.first_block_bytes(repetitive=False)
    assert block_lengths(compress(prose(4 * first), FAST)) == [first, 3 * first]
    assert block_lengths(compress(prose(5 * first - 1), FAST)) == [first, 4 * first - 1]
    assert block_lengths(compress(prose(5 * first), FAST)) == [first, 2 * first, 2 * first]
    asked_for = Settings(level=1, block_bytes=first)
    assert block_lengths(compress(prose(3 * first + 1), asked_for)) == [first, first, first, 1]


def test_blocks_grow_to_a_bound_and_larger_where_a_text_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, repetitive = BLOCK_BYTES // 4, REPETITIVE_BLOCK_BYTES // 4  # to be coded sooner
    for module in (settings_module, member_encoder):
        monkeypatch.setattr(module, "BLOCK_BYTES", usual)
    monkeypatch.setattr(settings_module, "REPETITIVE_BLOCK_BYTES", repetitive)
    line = b"2026-11-24 10:00:01 INFO worker-7 finished job 4711 in 12 ms\n" * 200
    lines = b"".join(line + b"%d\n" % i for i in range(8 * usual // len(line)))
    lengths = block_lengths(compress(lines, FAST))
    assert lengths[0] == usual
    assert max(lengths) == repetitive
    noise = np.random.default_rng(0).bytes(3 * usual // 2)
    assert max(block_lengths(compress(noise, FAST))) <= usual


def test_a_block_size_that_was_asked_for_is_kept() -> None:
    assert block_lengths(compress(prose(2500), Settings(level=1, block_bytes=1000))) == [1000, 1000, 500]


def test_neighbours_that_are_stored_become_one_block() -> None:
    noise = np.random.default_rng(0).bytes(3_000_000)
    assert block_lengths(compress(noise, FAST)) == [len(noise)]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3000), st.integers(1, 700), st.booleans())
def test_pieces_in_and_pieces_out(size: int, piece: int, independent: bool) -> None:
    data = prose(size)
    encoder = MemberEncoder(Settings(level=1, block_bytes=600, independent=independent, threads=2))
    packed = b"".join(encoder.feed(data[i : i + piece]) for i in range(0, size, piece)) + encoder.finish()
    assert decompress(packed) == data
    decoder, out = PushDecoder(ReadSettings()), bytearray()
    stream = packed + b"what follows"
    position = 0
    while not decoder.ended:
        decoder.push(stream[position : position + piece])
        position += piece
        while (plain := decoder.next_plain()) is not None:
            out += plain
    assert out == data
    assert decoder.rest() + stream[position:] == b"what follows"


def test_a_push_decoder_says_how_much_it_wants() -> None:
    packed = compress(prose(3000), FAST)
    decoder, pushes = PushDecoder(ReadSettings()), 0
    position = 0
    while not decoder.ended:
        part = packed[position : position + decoder.wanted]
        decoder.push(part)
        position += len(part)
        pushes += 1
        assert pushes < 40
        while decoder.next_plain() is not None:
            pass
    assert decoder.rest() == b""


def test_a_push_decoder_notices_damage() -> None:
    packed = bytearray(compress(prose(500), FAST))
    packed[-3] ^= 4
    decoder = PushDecoder(ReadSettings())
    decoder.push(bytes(packed))
    with pytest.raises(DamagedError):
        decoder.next_plain()


def test_flushing_a_block_makes_readable_what_was_written() -> None:
    encoder, decoder = MemberEncoder(FAST), PushDecoder(ReadSettings())
    assert encoder.flush_block() == b""
    for i in range(5):
        line = b"line %d\n" % i
        decoder.push(encoder.feed(line) + encoder.flush_block())
        assert decoder.next_plain() == line
        assert decoder.next_plain() is None
        assert encoder.flush_block() == b""
    decoder.push(encoder.finish())
    assert decoder.next_plain() is None
    assert decoder.ended


def test_streams_of_files() -> None:
    data = prose(150_000)
    packed, restored = io.BytesIO(), io.BytesIO()
    compress_stream(io.BytesIO(data), packed, FAST)
    assert packed.getvalue() == compress(data, FAST)
    decompress_stream(io.BytesIO(packed.getvalue()), restored)
    assert restored.getvalue() == data


@pytest.mark.parametrize("level", [1, 6])
def test_progress_adds_up(level: int) -> None:
    told: list[float] = []
    data = prose(5000)
    packed = compress(data, Settings(level=level, block_bytes=1500, model=TINY_PATH), Progress(told.append))
    assert sum(told) == pytest.approx(len(data))
    told.clear()
    decompress(packed, READ, Progress(told.append))
    assert sum(told) == pytest.approx(len(data))


def test_output_can_be_limited() -> None:
    data = prose(3000)
    packed = compress(data, Settings(level=1, block_bytes=1000))
    assert decompress(packed, ReadSettings(max_output=3000)) == data
    for limit in (0, 999, 2999):
        with pytest.raises(OutputLimitError):
            decompress(packed, ReadSettings(max_output=limit))
    with pytest.raises(OutputLimitError):
        decompress(packed + packed, ReadSettings(max_output=5000))
    blocks = iterate_plain(io.BytesIO(packed), ReadSettings(max_output=2500))
    assert [next(blocks), next(blocks)] == [data[:1000], data[1000:2000]]
    with pytest.raises(OutputLimitError):
        next(blocks)


@pytest.mark.parametrize("threads", [1, 3, 64])
@pytest.mark.parametrize("independent", [False, True])
def test_headers_that_ask_for_much_memory_are_refused_at_once(threads: int, independent: bool) -> None:
    header = Header(26, 25, None, independent=independent)
    writer = MemberWriter(header)
    packed = writer.add(Coded(Method.CONTEXT, 0, 100, b"\0" + bytes(50)), bytes(100)) + writer.finish()
    assert limits.memory_needed(header, None) > 1 << 30
    tracemalloc.start()
    try:
        with pytest.raises(MemoryLimitError) as error:
            decompress(packed, ReadSettings(threads=threads))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert error.value.needed == limits.memory_needed(header, None)
    assert error.value.limit == 1 << 30


def test_lanes_count_for_the_memory_limit(text: bytes) -> None:
    model = load_model(TINY_PATH)
    plain, header = text[:3000], Header(12, 12, model.fingerprint[:4], single=True)
    payload = mixed.encode(AdaptiveModels(12, model, 1), plain, cut_into_lanes(plain, 256), 0, None, False, SILENT)
    assert payload is not None
    packed = MemberWriter(header).add(Coded(Method.MIXED, 8, len(plain), payload), plain)
    enough = limits.memory_needed(header, model, lanes=256)
    assert enough > limits.memory_needed(header, model)
    assert decompress(packed, ReadSettings(TINY_PATH, memory_limit=enough)) == plain
    with pytest.raises(MemoryLimitError):
        decompress(packed, ReadSettings(TINY_PATH, memory_limit=enough - 1))


def test_blocks_side_by_side_share_the_memory_for_lanes() -> None:
    model, header = load_model(TINY_PATH), Header(12, 12, b"abcd", independent=True)
    for_ten = limits.memory_needed(header, model, 4, 10)
    budget = limits.LaneBudget(header, model, 4, for_ten)
    in_use, most, lock = 0, 0, threading.Lock()

    def use(lanes: int) -> None:
        nonlocal in_use, most
        with budget.taken(lanes):
            with lock:
                in_use += lanes
                most = max(most, in_use)
            time.sleep(0.002)
            with lock:
                in_use -= lanes

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, [1, 2, 4, 8, 10] * 8))
    assert in_use == 0
    assert 8 <= most <= 10
    with pytest.raises(MemoryLimitError), budget.taken(11):
        pass


def test_fewer_threads_work_where_memory_is_short() -> None:
    header = Header(22, 22, None, independent=True)
    needed = [limits.memory_needed(header, None, threads, 64) for threads in (1, 2, 3)]
    assert [limits.share_threads(header, None, 6, limit) for limit in (1, *needed)] == [(1, 6), (1, 6), (2, 3), (3, 2)]
    assert limits.share_threads(Header(22, 22), None, 6, 1 << 40) == (1, 6)


@pytest.mark.parametrize("level", [1, 6])
def test_what_is_compressed_can_be_read_within_the_limit(level: int, text: bytes) -> None:
    for limit in (200 << 20, 300 << 20, 600 << 20):
        packed = compress(text, Settings(level=level, model=TINY_PATH, memory_limit=limit))
        assert decompress(packed, ReadSettings(TINY_PATH, memory_limit=limit)) == text
    with pytest.raises(MemoryLimitError):
        compress(text, Settings(level=level, model=TINY_PATH, memory_limit=1 << 20))


@pytest.mark.parametrize("method", [Method.TOKENS, Method.MIXED, Method.CONTEXT, Method.LZMA, Method.COPY])
@pytest.mark.parametrize("single", [False, True])
def test_blocks_that_claim_much_and_hold_little(method: Method, single: bool) -> None:
    model = load_model(TINY_PATH)
    header = Header(26, 12, model.fingerprint[:4], single)
    for payload in (b"", b"\0", b"\0" * 50, pack_varint(1 << 25) + bytes(46)):
        packed = MemberWriter(header).add(Coded(method, 0, 1 << 26, payload), b"")
        with pytest.raises(LlmzError):
            decompress(packed, ReadSettings(TINY_PATH, memory_limit=4 << 30))


def swapped(packed: bytes) -> bytes:
    """The first two blocks in each other's place."""
    reader = Reader(packed)
    header = read_header(reader)
    assert header is not None
    member = MemberReader(reader, header)
    places = [reader.position]
    for _ in range(2):
        member.next_block()
        places.append(reader.position)
    start, middle, end = places
    return packed[:start] + packed[middle:end] + packed[start:middle] + packed[end:]


@pytest.mark.parametrize("independent", [False, True])
def test_blocks_of_equal_length_in_each_others_place_are_noticed(independent: bool) -> None:
    chosen = Settings(level=1, block_bytes=1000, independent=independent)
    packed = compress(prose(3000), chosen)
    with pytest.raises(DamagedError):
        decompress(swapped(packed))


def test_settings_out_of_range() -> None:
    for wrong in (
        {"level": 0},
        {"level": 10},
        {"lanes": 3},
        {"lanes": 512},
        {"threads": 0},
        {"block_bytes": 0},
        {"block_bytes": 1 << 27},
        {"memory_limit": 0},
    ):
        with pytest.raises(ValueError, match="must be"):
            Settings(**wrong)  # type: ignore[arg-type]
    for wrong in ({"threads": 0}, {"memory_limit": 0}, {"max_output": -1}):
        with pytest.raises(ValueError, match="must"):
            ReadSettings(**wrong)  # type: ignore[arg-type]


def test_levels_that_mean_another() -> None:
    for size in (1000, 100_000, 1_000_000):
        for known_bytes in (0, size):
            lanes = [Settings(level=level).lanes_for(size, known_bytes) for level in range(1, 10)]
            assert lanes[2] == lanes[3] == lanes[4]
            assert lanes[5] == lanes[6] == lanes[7]
            assert lanes[8] == 1
    assert Settings(lanes=64).lanes_for(10) == 8


@pytest.mark.slow
def test_fifty_megabytes_through_streams_in_bounded_memory() -> None:
    import resource

    line = b"".join(b"%06d some text that goes on for a while, record %d\n" % (i, i * i) for i in range(2000))
    data = (line * (52_000_000 // len(line) + 1))[:50_000_000]
    target, restored = io.BytesIO(), io.BytesIO()
    compress_stream(io.BytesIO(data), target, Settings(level=2, model=TINY_PATH))
    decompress_stream(io.BytesIO(target.getvalue()), restored, READ)
    assert restored.getvalue() == data
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1_000_000  # KiB
    assert describe(io.BytesIO(target.getvalue()))["methods"]["copy"] > 1
