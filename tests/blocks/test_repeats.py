"""Long repeats: found wherever they are, coded as copies, restored exactly, and never outside the text."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip import Compressor, LlmzError
from llmzip.blocks.choice import BlockDecoder
from llmzip.format.container import Block, Header, Method, Reader, pack_varint, read_header
from llmzip.blocks.repeats import CHUNK, MIN_REPEAT, Piece, RepeatFinder, RepeatWindow
from llmzip.settings import Settings
from llmzip.streams import NO_MODEL, compress, decompress, iterate_plain, member_blocks

FAST = Settings(level=1)


def random_bytes(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def restored(blocks: list[bytes], pieces: list[list[Piece]]) -> bytes:
    window = RepeatWindow()
    out = b""
    for plain, cut in zip(blocks, pieces, strict=True):
        at = 0
        for length, distance in cut:
            part = window.copy(distance, length) if distance else plain[at : at + length]
            window.append(part)
            out += part
            at += length
    return out


@settings(max_examples=25, deadline=None)
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


@pytest.mark.parametrize("size", [40 * CHUNK, 1 << 20])
def test_constant_and_short_period_text_is_left_to_other_methods(size: int) -> None:
    for unit in (b"\0", b"a line that repeats\n"):
        assert RepeatFinder().split(unit * (size // len(unit))) == [Piece(size // len(unit) * len(unit), 0)]


def test_repeats_become_copies_in_every_interface() -> None:
    repeat = random_bytes(2 * MIN_REPEAT, 5)
    data = repeat + b"something else " * 3000 + repeat
    packed = compress(data, FAST)
    assert len(packed) < len(repeat) + 3000
    assert decompress(packed) == data
    reader = Reader(io.BytesIO(packed))
    header = read_header(reader)
    assert header is not None
    assert [b.method for b in member_blocks(reader, header)] == [Method.LZMA, Method.COPY]
    compressor = Compressor(level=1, block_bytes=40_000)
    pieces = [compressor.compress(data[i : i + 7777]) for i in range(0, len(data), 7777)]
    packed = b"".join(pieces) + compressor.flush()
    assert len(packed) < len(repeat) + MIN_REPEAT + 4000
    assert b"".join(iterate_plain(io.BytesIO(packed))) == data
    independent = compress(data, Settings(level=1, independent=True, block_bytes=100_000))
    assert len(independent) > 2 * len(repeat)
    assert decompress(independent) == data


def test_copies_from_outside_the_text_are_errors() -> None:
    for single, distance in ((True, 5), (False, 5), (False, 0)):
        decoder = BlockDecoder(Header(NO_MODEL, single, False), None)
        with pytest.raises(LlmzError):
            decoder.decode(Block(Method.COPY, 0, 3, bytes(4), pack_varint(distance)))
