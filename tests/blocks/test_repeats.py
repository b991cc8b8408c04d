"""Long repeats: found wherever they are, coded as copies, restored exactly, and never outside the text."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.blocks import repeats
from llmzip.blocks.repeats import CHUNK, MAX_DISTANCE, MIN_REPEAT, Piece, RepeatFinder, RepeatWindow
from llmzip.core import _native
from llmzip.errors import DamagedError
from llmzip.format.varint import pack_varint
from llmzip.inspection import describe
from llmzip.settings import ReadSettings, Settings
from llmzip.streams import compress, decompress
from tests.conftest import GOLDEN, TINY_PATH


def random_bytes(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def restored(blocks: list[bytes], pieces: list[list[Piece]]) -> bytes:
    window = RepeatWindow()
    out = b""
    for plain, cut in zip(blocks, pieces, strict=True):
        at = 0
        for length, distance in cut:
            part = window.decode(repeats.encode(distance), length) if distance else plain[at : at + length]
            window.append(part)
            out += part
            at += length
    return out


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3 * MIN_REPEAT)), min_size=1, max_size=6),
    st.integers(1000, 1 << 18),
)
def test_pieces_give_back_the_text(parts: list[tuple[int, int]], block_bytes: int) -> None:
    sources = [random_bytes(3 * MIN_REPEAT, seed) for seed in range(2)] + [b"ab" * (3 * MIN_REPEAT)]
    text = b"".join(sources[which][:size] for which, size in parts)
    blocks = [text[i : i + block_bytes] for i in range(0, len(text), block_bytes)]
    finder = RepeatFinder()
    pieces = [finder.split(block) for block in blocks]
    assert restored(blocks, pieces) == text
    assert all(piece.length >= MIN_REPEAT for cut in pieces for piece in cut if piece.distance)


@pytest.mark.parametrize("shift", [0, 1, 1234, CHUNK - 1])
def test_a_repeat_is_found_at_any_alignment_and_over_blocks(shift: int) -> None:
    repeat = random_bytes(3 * MIN_REPEAT, 1)
    text = random_bytes(5000, 2) + repeat + random_bytes(2 * MIN_REPEAT + shift, 3) + repeat + random_bytes(99, 4)
    pieces = RepeatFinder().split(text)
    assert [piece.length for piece in pieces if piece.distance] == [len(repeat)]
    finder = RepeatFinder()
    cut = len(text) - len(repeat) // 2
    copied = [piece.length for block in (text[:cut], text[cut:]) for piece in finder.split(block) if piece.distance]
    assert sum(copied) >= len(repeat) - MIN_REPEAT


@pytest.mark.parametrize("unit", [b"\0", b"a line that repeats\n", random_bytes(9999)])
def test_what_comes_again_and_again_is_one_copy_that_overlaps_itself(unit: bytes) -> None:
    text = unit * ((1 << 20) // len(unit))
    finder = RepeatFinder()
    pieces = finder.split(text)
    assert len(pieces) == 2
    assert pieces[1].length > len(text) - 40 * CHUNK
    assert restored([text], [pieces]) == text
    assert [piece.length for piece in finder.split(text)] == [len(text)]


def test_repeats_are_found_as_far_back_as_they_may_be_and_no_farther() -> None:
    repeat = random_bytes(4 * MIN_REPEAT, 1)
    noise = random_bytes(1 << 22, 2)
    finder = RepeatFinder()
    finder.split(repeat)
    for i in range(15):
        finder.split(bytes([i]) + noise)
    room = MAX_DISTANCE - len(repeat) - 15 * (1 + len(noise))
    found = [piece.distance for piece in finder.split(noise[:room] + repeat) if piece.distance]
    assert found[-1] == MAX_DISTANCE
    finder.split(random_bytes(1, 3))
    assert [piece.distance for piece in finder.split(repeat)] == [len(repeat) + 1]


def test_the_finder_keeps_its_memory_bounded() -> None:
    finder = RepeatFinder()
    block = random_bytes(1 << 22)
    for i in range(30):
        pieces = finder.split(bytes([i]) * 100 + block)
        assert len(finder._text) <= MAX_DISTANCE + (1 << 24) + 2 * len(block)
        assert bool(i) == any(piece.distance for piece in pieces)


def test_the_window_forgets_what_no_copy_reaches() -> None:
    window = RepeatWindow()
    block = random_bytes(1 << 24)
    for _ in range(9):
        window.append(block)
    window.append(b"end")
    assert window._bytes < MAX_DISTANCE + 2 * len(block)
    assert window.decode(pack_varint(MAX_DISTANCE), 10) == (block + b"end" + block)[len(block) + 3 :][3:13]
    for _ in range(3 << 16):
        window.append(b"x")
    assert len(window._parts) < 20


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=30), st.data())
def test_the_window_copies_from_wherever_blocks_meet(blocks: list[bytes], data: st.DataObject) -> None:
    window, text = RepeatWindow(), b"".join(blocks)
    for block in blocks:
        window.append(block)
    distance = data.draw(st.integers(1, len(text)))
    length = data.draw(st.integers(1, 3 * distance))
    expected = bytearray(text)
    for _ in range(length):
        expected.append(expected[-distance])
    assert window.decode(pack_varint(distance), length) == expected[len(text) :]


@pytest.mark.parametrize(("payload", "length"), [(b"\x0b", 3), (b"\0", 1), (b"\5\0", 1), (b"", 1), (b"\x80", 1)])
def test_copies_from_outside_the_text_are_damage(payload: bytes, length: int) -> None:
    window = RepeatWindow()
    window.append(b"0123456789")
    with pytest.raises(DamagedError):
        window.decode(payload, length)


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("block_bytes", [None, 100_000])
def test_repeats_become_copies(independent: bool, block_bytes: int | None) -> None:
    repeat = random_bytes(3 * MIN_REPEAT, 5)
    data = repeat + b"something else " * 9000 + repeat
    packed = compress(data, Settings(level=1, threads=3, independent=independent, block_bytes=block_bytes))
    assert len(packed) < len(repeat) + MIN_REPEAT + 4000
    assert describe(io.BytesIO(packed))["methods"]["copy"] >= 1
    for threads in (1, 4):
        assert decompress(packed, ReadSettings(threads=threads)) == data


def test_copies_that_go_on_are_coded_in_few_blocks() -> None:
    paragraph = (GOLDEN / "plain.txt").read_bytes()[:700]
    plain = paragraph * (6_000_000 // len(paragraph))
    archive = compress(plain, Settings(model=str(TINY_PATH)))
    assert decompress(archive, ReadSettings(str(TINY_PATH))) == plain
    assert describe(io.BytesIO(archive))["blocks"] <= 5


def test_the_binding_refuses_sizes_that_do_not_fit() -> None:
    table, out = np.zeros(1 << 16, np.uint64), np.zeros((4, 3), np.uint64)
    text = bytes(100_000)
    assert _native.find_repeats(text, 0, 0, 0, table, CHUNK, MAX_DISTANCE, out) >= 0
    for start, hashed, base, given_table, least, farthest in (
        (100_001, 0, 0, table, CHUNK, MAX_DISTANCE),
        (-1, 0, 0, table, CHUNK, MAX_DISTANCE),
        (0, 100_001, 0, table, CHUNK, MAX_DISTANCE),
        (0, 0, 1 << 48, table, CHUNK, MAX_DISTANCE),
        (0, 0, 0, table[1:], CHUNK, MAX_DISTANCE),
        (0, 0, 0, table, CHUNK - 1, MAX_DISTANCE),
        (0, 0, 0, table, CHUNK, -1),
    ):
        with pytest.raises(ValueError, match="do not fit"):
            _native.find_repeats(text, start, hashed, base, given_table, least, farthest, out)


def test_a_table_of_nonsense_finds_nothing_that_is_not_there() -> None:
    text = random_bytes(1 << 20)
    table = np.random.default_rng(0).integers(0, 1 << 21, 1 << 16).astype(np.uint64)
    table[::7] = (1 << 64) - 1
    out = np.zeros((100, 3), np.uint64)
    assert _native.find_repeats(text, 1000, 1 << 19, 12345, table, MIN_REPEAT, MAX_DISTANCE, out) == 0
