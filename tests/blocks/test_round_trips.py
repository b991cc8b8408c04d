"""Whole archives: any bytes, any settings, every kernel and thread count against the others."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmzip.inspection import describe
from llmzip.settings import Settings
from llmzip.streams import compress, compress_stream, decompress, decompress_stream
from tests.conftest import NGRAMS_PATH, TINY_PATH

WORDS = st.sampled_from([b"the ", b"cat ", b"<id>", b"42,", b"\n", b"\0", "é".encode(), b"\xff", b"    ", b"aaaa"])
TEXTS = st.binary(max_size=200) | st.lists(WORDS, max_size=120).map(b"".join)
ANY_SETTINGS = st.builds(
    Settings,
    level=st.sampled_from([1, 2, 6, 9]),
    lanes=st.sampled_from([None, 1, 2, 16]),
    independent=st.booleans(),
    block_bytes=st.sampled_from([64, 1000, 1 << 20]),
    kernel=st.sampled_from([None, "blas", "compiled", "plain"]),
    model=st.sampled_from([TINY_PATH, NGRAMS_PATH]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, ANY_SETTINGS, st.sampled_from(["blas", "compiled", "plain"]))
def test_any_bytes_with_any_settings(data: bytes, chosen: Settings, kernel: str) -> None:
    packed = compress(data, chosen)
    assert decompress(packed, chosen.model, kernel=kernel) == data
    blocks = max(1, -(-len(data) // chosen.block_bytes))
    assert len(packed) <= len(data) * 1.0001 + 64 + 12 * blocks


EDGE_CASES = {
    "empty": b"",
    "one byte": b"x",
    "every byte value": bytes(range(256)),
    "invalid UTF-8": b"caf\xe9 \xff\xfe \x80 broken \xc3\x28 text " * 20,
    "NULs": bytes(100_000),
    "random": os.urandom(100_000),
    "one line repeated": b"2026-11-24 10:00:01 INFO worker-7 finished job 4711 in 12 ms\n" * 3000,
}


@pytest.mark.parametrize("name", EDGE_CASES)
def test_edge_cases_with_the_shipped_model(name: str) -> None:
    data = EDGE_CASES[name]
    packed = compress(data)
    assert decompress(packed) == data
    assert len(packed) <= len(data) + 64 + len(data) // 10_000


@pytest.mark.slow
@pytest.mark.parametrize("data", [bytes(1_000_000), os.urandom(1_000_000)], ids=["NULs", "random"])
def test_a_megabyte_that_is_no_text(data: bytes) -> None:
    packed = compress(data)
    assert decompress(packed) == data
    assert len(packed) <= len(data) + 64 + len(data) // 10_000


@pytest.mark.slow
def test_fifty_megabytes_through_streams_in_bounded_memory() -> None:
    import resource

    line = b"".join(b"%06d some text that goes on for a while, record %d\n" % (i, i * i) for i in range(2000))
    data = (line * (52_000_000 // len(line) + 1))[:50_000_000]
    target = io.BytesIO()
    compress_stream(io.BytesIO(data), target, Settings(level=2, model=TINY_PATH), len(data))
    restored = io.BytesIO()
    decompress_stream(io.BytesIO(target.getvalue()), restored, TINY_PATH)
    assert restored.getvalue() == data
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2_000_000  # KiB


@pytest.mark.parametrize("level", [1, 2, 6])
@pytest.mark.parametrize("lanes", [1, 4, 32])
def test_kernels_and_threads_make_and_read_the_same_file(text: bytes, level: int, lanes: int) -> None:
    archives = {
        compress(
            text,
            Settings(
                level=level,
                lanes=lanes,
                kernel=kernel,
                threads=threads,
                independent=True,
                block_bytes=2500,
                model=TINY_PATH,
            ),
        )  # fmt: skip
        for kernel in ("blas", "compiled", "plain", None)
        for threads in (1, 3)
    }
    assert len(archives) == 1
    for kernel in ("blas", "compiled", "plain", None):
        for threads in (1, 3):
            assert decompress(next(iter(archives)), TINY_PATH, threads, kernel) == text


def test_shipped_model_kernels_read_each_other(text: bytes) -> None:
    for level in (2, 6):
        made = {kernel: compress(text, Settings(level=level, kernel=kernel)) for kernel in ("blas", "compiled")}
        assert made["blas"] == made["compiled"]
        assert decompress(made["blas"], kernel="compiled") == text
        assert decompress(made["compiled"], kernel="blas") == text


def test_solid_blocks_learn_from_those_before(text: bytes) -> None:
    solid = compress(text, Settings(block_bytes=1500, model=TINY_PATH))
    independent = compress(text, Settings(block_bytes=1500, independent=True, model=TINY_PATH))
    assert len(solid) < len(independent)
    assert decompress(solid, TINY_PATH) == text


@pytest.mark.parametrize("level", [1, 6])
def test_models_restart_behind_a_block_that_they_lost(text: bytes, level: int) -> None:
    random = np.random.default_rng(1)
    runs = b"".join(bytes([random.integers(33, 127)]) * int(random.integers(3, 60)) for _ in range(300))
    noise = random.bytes(3000)
    data = text[:3000] + runs[:3000] + text[3000:6000] + noise + text[:3000]
    packed = compress(data, Settings(level=level, block_bytes=3000, model=TINY_PATH))
    methods = describe(io.BytesIO(packed))["methods"]
    assert methods.get("lzma", 0) + methods.get("stored", 0) >= 1
    assert methods[{1: "context", 6: "mixed_lane"}[level]] >= 3
    assert decompress(packed, TINY_PATH) == data


def test_noise_between_samples_of_text_is_no_obstacle(text: bytes) -> None:
    noise = np.random.default_rng(2).bytes(20_000)
    data = text[:700] + noise + text[700:1400] + noise[::-1] + text[1400:2100] + noise[1:] + text[2100:2800]
    packed = compress(data)
    assert decompress(packed) == data
    assert len(packed) <= len(data) + 64


def test_concatenated_files_are_a_file(text: bytes) -> None:
    a, b = compress(text[:2000]), compress(text[2000:], Settings(block_bytes=1000))
    assert decompress(a + b + compress(b"")) == text
