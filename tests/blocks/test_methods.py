"""Each method's payload, both ways, and damage to it."""

from __future__ import annotations

import lzma
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.blocks import context, limits, lzma_block, mixed, stored, tokens, transformed
from llmzip.blocks.adaptive import AdaptiveModels
from llmzip.blocks.lanes import FRESH, cut_into_lanes
from llmzip.blocks.transformed import Transformed
from llmzip.errors import DamagedError, LlmzError
from llmzip.format.member import Coded, Method
from llmzip.mixing.profiles import Profile
from llmzip.network.model import Model, load_model
from llmzip.progress import SILENT, Progress
from tests.conftest import TINY_PATH

WORDS = st.sampled_from([b"the ", b"cat ", b"<id>", b"42,", b"\n", b"\0", "é".encode(), b"\xff", b"    ", b"aaaa"])
TEXTS = st.binary(min_size=1, max_size=200) | st.lists(WORDS, min_size=1, max_size=120).map(b"".join)


@given(TEXTS)
def test_lzma(plain: bytes) -> None:
    for encode in (lzma_block.encode, lzma_block.encode_quickly):
        payload = encode(plain)
        assert lzma_block.decode(payload, len(plain)) == plain
        for wrong, length in ((payload, len(plain) + 1), (payload + b"\0", len(plain)), (payload[:-1], len(plain))):
            with pytest.raises(DamagedError):
                lzma_block.decode(wrong, length)
        if len(plain) > 1:
            with pytest.raises(DamagedError):
                lzma_block.decode(payload, len(plain) - 1)


def test_lzma_bombs_are_not_inflated() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 4096}]
    with pytest.raises(DamagedError):
        lzma_block.decode(lzma.compress(bytes(1 << 26), lzma.FORMAT_RAW, filters=filters), 10)


def test_lzma_takes_dictionaries_that_a_reader_would() -> None:
    for length in (1, 4096, 4097, 1 << 20):
        plain = (os.urandom(length // 2 + 1) * 2)[:length]
        assert lzma_block.decode(lzma_block.encode(plain), length) == plain


def test_stored() -> None:
    assert stored.decode(stored.encode(b"plain"), 5) == b"plain"
    with pytest.raises(DamagedError):
        stored.decode(b"plain", 4)


def encode(models: AdaptiveModels, method: Method, plain: bytes, lanes: int = 1) -> bytes | None:
    lane_bytes, after_line = cut_into_lanes(plain, lanes), plain[:1] < b"m"
    if method is Method.TOKENS:
        return tokens.encode(models, plain, lane_bytes, None, after_line, SILENT)
    if method is Method.MIXED:
        return mixed.encode(models, plain, lane_bytes, 0, None, after_line, SILENT)
    return context.encode(models, plain, 0, SILENT)


def decode(models: AdaptiveModels, method: Method, payload: bytes, plain_length: int, lanes: int = 1) -> bytes:
    if method is Method.TOKENS:
        return tokens.decode(models, payload, lanes, plain_length, SILENT)
    if method is Method.MIXED:
        return mixed.decode(models, payload, lanes, plain_length, SILENT)
    return context.decode(models, payload, plain_length, SILENT)


ADAPTIVE = (Method.TOKENS, Method.MIXED, Method.CONTEXT)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.sampled_from(ADAPTIVE), st.sampled_from([1, 2, 8])), min_size=1, max_size=6))
def test_methods_over_several_blocks(blocks: list[tuple[bytes, Method, int]]) -> None:
    model = load_model(TINY_PATH)
    writing, reading = (AdaptiveModels(12, model, 1) for _ in range(2))
    for plain, method, most_lanes in blocks:
        lanes = min(most_lanes, 1 << (len(plain).bit_length() - 1))
        uses = writing.uses
        payload = encode(writing, method, plain, lanes)
        writing.spoil_since(uses, Method.STORED if payload is None else method)
        if payload is not None:
            assert decode(reading, method, payload, len(plain), lanes) == plain


@pytest.mark.parametrize("method", ADAPTIVE)
def test_models_start_afresh_after_a_block_that_they_lost(tiny: Model, text: bytes, method: Method) -> None:
    def coded(models: AdaptiveModels, plain: bytes) -> bytes:
        payload = encode(models, method, plain)
        assert payload is not None
        return payload

    writing, reading = (AdaptiveModels(12, tiny, 1) for _ in range(2))
    parts = [text[start : start + 1000] for start in (0, 1000, 2000, 3000)]
    assert decode(reading, method, coded(writing, parts[0]), 1000) == parts[0]
    uses = writing.uses
    encode(writing, method, parts[1])
    encode(writing, method, parts[3])
    writing.spoil_since(uses, Method.LZMA)
    after = coded(writing, parts[2])
    assert after[0] & FRESH
    assert decode(reading, method, after, 1000) == parts[2]
    last = coded(writing, parts[3])
    assert not last[0] & FRESH
    assert decode(reading, method, last, 1000) == parts[3]


def _context_payload(models: AdaptiveModels, plain: bytes, profile: int) -> bytes:
    payload = context.encode(models, plain, profile, SILENT)
    assert payload is not None
    return payload


@pytest.mark.parametrize("profile", Profile)
def test_context_mode_is_put_back_after_one_block_that_it_lost(text: bytes, profile: int) -> None:
    writing, reading, never_tried = (AdaptiveModels(12, None, 1) for _ in range(3))
    for start, lost in ((0, True), (0, False), (1000, True), (2000, False), (3000, False)):
        plain, uses = text[start : start + 1000], writing.uses
        payload = _context_payload(writing, plain, profile)
        writing.spoil_since(uses, Method.LZMA if lost else Method.CONTEXT)
        if not lost:
            assert payload == _context_payload(never_tried, plain, profile)
            assert not payload[0] & FRESH
            assert decode(reading, Method.CONTEXT, payload, 1000) == plain


def test_what_a_header_did_not_announce_is_damage(tiny: Model, text: bytes) -> None:
    for method in (Method.TOKENS, Method.MIXED):
        payload = encode(AdaptiveModels(12, tiny, 1), method, text[:500])
        assert payload is not None
        with pytest.raises(DamagedError, match="needs a model"):
            decode(AdaptiveModels(12, None, 1), method, payload, 500)
    with pytest.raises(DamagedError, match="needs tables"):
        decode(AdaptiveModels(0, tiny, 1), Method.MIXED, payload, 500)
    with pytest.raises(DamagedError, match="needs tables"):
        decode(AdaptiveModels(0, None, 1), Method.CONTEXT, b"\0abc", 500)


def test_tokens_stop_soon_after_the_end_of_their_data(tiny: Model) -> None:
    for payload in (b"\0", b"\0abcdefgh"):
        told: list[float] = []
        with pytest.raises(DamagedError):
            tokens.decode(AdaptiveModels(0, tiny, 1), payload, 1, 1 << 20, Progress(told.append))
        assert sum(told) < 1000


def test_context_payloads_that_make_no_sense() -> None:
    for payload in (b"", b"\x80", b"\xff" * 10):
        with pytest.raises(LlmzError):
            context.decode(AdaptiveModels(12, None, 1), payload, 100, SILENT)


STREAMS = st.builds(
    lambda plain: Coded(Method.STORED, 0, len(plain), plain), st.binary(max_size=50)
)  # a stream may be empty


@given(st.integers(0, 255), st.binary(max_size=200), st.lists(STREAMS, max_size=5))
def test_transformed_payloads_come_back(number: int, description: bytes, streams: list[Coded]) -> None:
    written = Transformed(number, description, streams)
    payload = transformed.encode(written)
    assert transformed.parse(payload, 250) == written
    if streams:
        with pytest.raises(DamagedError):
            transformed.parse(payload[:-1], 250)
    if sum(stream.plain_length for stream in streams) > 10:
        with pytest.raises(DamagedError):
            transformed.parse(payload, 10)


def test_transformed_payloads_that_make_no_sense() -> None:
    stream = bytes([Method.STORED, 1, 1]) + b"x"
    for payload in (
        b"",
        b"\1",
        b"\1\5abc",
        b"\1\0\0",
        b"\1\0\x09\1\1x",
        b"\1\0" + stream * (transformed.MOST_STREAMS + 1),
    ):
        with pytest.raises(DamagedError):
            list(transformed.all_coded(Coded(Method.TRANSFORMED, 0, 1 << 20, payload)))


def test_transforms_are_nested_to_a_depth_only() -> None:
    coded = Coded(Method.STORED, 0, 100, b"x" * 50)
    for _ in range(transformed.MOST_NESTED):
        coded = Coded(Method.TRANSFORMED, 0, 100, transformed.encode(Transformed(1, b"", [coded])))
    assert len(list(transformed.all_coded(coded))) == 1 + transformed.MOST_NESTED
    coded = Coded(Method.TRANSFORMED, 0, 100, transformed.encode(Transformed(1, b"", [coded])))
    with pytest.raises(DamagedError, match="too deep"):
        list(transformed.all_coded(coded))


def test_a_payload_bounds_the_plain_bytes() -> None:
    assert limits.is_bounded(4096, 0)
    assert not limits.is_bounded(4097, 0)
    assert limits.is_bounded(1 << 20, 1 << 10)
