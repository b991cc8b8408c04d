"""Whole archives: any bytes, any settings; damage anywhere gives an error, never wrong bytes."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmzip import text as transforms
from llmzip.errors import DamagedError, LlmzError, ModelMissingError
from llmzip.inspection import describe
from llmzip.settings import ReadSettings, Settings
from llmzip.streams import compress, decompress
from tests.conftest import TINY_PATH

READ = ReadSettings(model=TINY_PATH, threads=1)
WORDS = st.sampled_from([b"the ", b"cat ", b"<id>", b"42,", b"\n", b"\0", "é".encode(), b"\xff", b"    ", b"aaaa"])
TEXTS = st.binary(max_size=200) | st.lists(WORDS, max_size=120).map(b"".join)
ANY_SETTINGS = st.builds(
    Settings,
    level=st.sampled_from([1, 2, 6, 9]),
    lanes=st.sampled_from([None, 1, 2, 16]),
    threads=st.sampled_from([1, 3]),
    independent=st.booleans(),
    block_bytes=st.sampled_from([None, 64, 1000]),
    model=st.just(TINY_PATH),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, ANY_SETTINGS)
def test_any_bytes_with_any_settings(data: bytes, chosen: Settings) -> None:
    packed = compress(data, chosen)
    assert decompress(packed, READ) == data
    assert describe(io.BytesIO(packed))["plain_bytes"] == len(data)
    if chosen.block_bytes is None:
        assert len(packed) <= len(data) * 1.0001 + 64


class Hexadecimal:
    """A transform: what hexadecimal digits stand for, in two streams and an empty one."""

    @staticmethod
    def take_out(plain: bytes, sample_bits: object) -> tuple[bytes, list[bytes]] | None:
        if not plain.startswith(b"hex:"):
            return None
        data = bytes.fromhex(plain[4:].decode())
        return b"hex", [data[: len(data) // 2], data[len(data) // 2 :], b""]

    @staticmethod
    def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes:
        plain = b"hex:" + b"".join(streams).hex().encode()
        if description != b"hex" or len(plain) != plain_length:
            raise DamagedError("these are no digits")
        return plain


def in_digits(text: bytes) -> bytes:
    return b"hex:" + text.hex().encode()


SETTINGS = {
    "context": Settings(level=1),
    "mixed": Settings(model=TINY_PATH),
    "mixed, lanes": Settings(model=TINY_PATH, lanes=4),
    "tokens": Settings(model=TINY_PATH, level=2, lanes=4),
    "blocks": Settings(level=1, block_bytes=100),
    "independent": Settings(level=1, block_bytes=100, independent=True),
    "transformed": Settings(level=1),
    "lzma": Settings(level=1),
    "stored": Settings(level=1),
}


@pytest.fixture(scope="module", params=SETTINGS)
def archive(request: pytest.FixtureRequest, text: bytes) -> tuple[bytes, bytes]:
    """Plain bytes and what they are compressed to."""
    plain = {
        "lzma": b"abcd" * 5000,
        "stored": np.random.default_rng(0).bytes(100),
        "transformed": in_digits(text[:300]),
    }.get(request.param, text[:300])
    packed = compress(plain, SETTINGS[request.param])
    if request.param != "independent":
        method = request.param.split(",")[0]
        described = describe(io.BytesIO(packed))
        assert method in (*described["methods"], "blocks", "transformed", "tokens", "mixed")
        assert bool(described["transforms"]) == (method == "transformed")
    return plain, packed


@pytest.fixture(autouse=True, scope="module")
def one_transform() -> object:
    """A transform that the tests know, in place of those that there are."""
    patch = pytest.MonkeyPatch()
    patch.setattr(transforms, "TRANSFORMS", {200: Hexadecimal})
    yield
    patch.undo()


@pytest.mark.parametrize("change", [1, 0x80, 0xFF])
def test_every_changed_byte_is_noticed(archive: tuple[bytes, bytes], change: int) -> None:
    plain, packed = archive
    assert decompress(packed, READ) == plain
    for position in range(len(packed)):
        damaged = packed[:position] + bytes([packed[position] ^ change]) + packed[position + 1 :]
        with pytest.raises(LlmzError):
            decompress(damaged, READ)


def test_every_truncation_is_noticed(archive: tuple[bytes, bytes]) -> None:
    _, packed = archive
    for length in range(len(packed)):
        with pytest.raises(LlmzError):
            decompress(packed[:length], READ)


def resealed(packed: bytes, position: int, value: int) -> bytes:
    """An archive of one block with a byte changed and its CRC made to fit, as someone might who means harm."""
    from llmzip.format.member import MemberReader, MemberWriter, read_header
    from llmzip.format.reader import Reader

    reader = Reader(packed)
    header = read_header(reader)
    assert header is not None
    block = MemberReader(reader, header).next_block()
    assert block is not None
    payload = bytearray(block.coded.payload)
    payload[position % len(payload)] = value
    return MemberWriter(header).add(block.coded._replace(payload=bytes(payload)), b"")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1 << 16), st.integers(0, 255))
def test_payloads_that_someone_forged(archive: tuple[bytes, bytes], position: int, value: int) -> None:
    _, packed = archive
    if packed[4] & 1:
        with pytest.raises(LlmzError):
            decompress(resealed(packed, position, value), READ)


def test_the_model_that_is_missing_is_named_but_not_for_damage(text: bytes) -> None:
    packed = compress(text[:400], Settings(model=TINY_PATH, block_bytes=200))
    assert describe(io.BytesIO(packed))["models"] == [packed[6:10].hex()]
    with pytest.raises(ModelMissingError, match=packed[6:10].hex()):
        decompress(packed)
    with pytest.raises(DamagedError):
        decompress(packed[:6] + b"ABCD" + packed[10:])


def test_a_model_is_found_by_the_search_path(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = compress(text[:400], Settings(model=TINY_PATH, block_bytes=200))
    monkeypatch.setenv("LLMZIP_MODEL_PATH", TINY_PATH.rsplit("/", 1)[0])
    assert decompress(packed) == text[:400]


def test_a_header_says_no_more_than_its_blocks_want() -> None:
    noise = np.random.default_rng(0).bytes(3000)
    assert compress(noise, Settings(model=TINY_PATH))[:6] == b"LLMZ\x11\x01"


EDGE_CASES = {
    "empty": b"",
    "one byte": b"x",
    "every byte value": bytes(range(256)),
    "invalid UTF-8": b"caf\xe9 \xff\xfe \x80 broken \xc3\x28 text " * 20,
    "NULs": bytes(100_000),
    "random": os.urandom(100_000),
    "more random": os.urandom(700_000),
    "one line repeated": b"2026-11-24 10:00:01 INFO worker-7 finished job 4711 in 12 ms\n" * 20_000,
    "noise between text": b"".join(os.urandom(500) + b"This is some text between noise. " * 5 for _ in range(600)),
}


@pytest.mark.parametrize("name", EDGE_CASES)
@pytest.mark.parametrize("chosen", [Settings(level=1), Settings(model=TINY_PATH)], ids=["context", "tiny"])
def test_edge_cases(name: str, chosen: Settings) -> None:
    data = EDGE_CASES[name]
    if chosen.model and name == "noise between text":
        data = data[:20_000]
    packed = compress(data, chosen)
    assert decompress(packed, READ) == data
    assert len(packed) <= len(data) + 64 + len(data) // 10_000


@pytest.mark.slow
@pytest.mark.parametrize("data", [bytes(10_000_000), os.urandom(10_000_000)], ids=["NULs", "random"])
def test_megabytes_that_are_no_text(data: bytes) -> None:
    packed = compress(data)
    assert decompress(packed) == data
    assert len(packed) <= len(data) + 64 + len(data) // 10_000


def test_a_transform_that_does_not_come_back_is_left_alone(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    plain = in_digits(text[:500])
    assert describe(io.BytesIO(compress(plain, Settings(level=1))))["transforms"] == {200: 1}

    class Wrong(Hexadecimal):
        @staticmethod
        def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes:
            return bytes(plain_length)

    monkeypatch.setattr(transforms, "TRANSFORMS", {200: Wrong})
    packed = compress(plain, Settings(level=1))
    assert not describe(io.BytesIO(packed))["transforms"]
    assert decompress(packed) == plain


def test_an_unknown_transform_asks_for_a_later_llmzip(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    packed = compress(in_digits(text[:500]), Settings(level=1))
    monkeypatch.setattr(transforms, "TRANSFORMS", {})
    with pytest.raises(LlmzError, match="not known here"):
        decompress(packed)


@pytest.mark.parametrize("level", [1, 6])
def test_solid_blocks_learn_from_those_before(text: bytes, level: int) -> None:
    solid, independent = (
        compress(text, Settings(level=level, block_bytes=1500, independent=independent, model=TINY_PATH))
        for independent in (False, True)
    )
    assert len(solid) < len(independent)
    assert decompress(solid, READ) == decompress(independent, READ) == text


@pytest.mark.parametrize("level", [1, 6])
def test_models_go_on_after_a_block_that_they_lost(text: bytes, level: int) -> None:
    random = np.random.default_rng(1)
    runs = b"".join(bytes([random.integers(33, 127)]) * int(random.integers(3, 60)) for _ in range(300))
    data = text[:3000] + runs[:3000] + text[3000:6000] + random.bytes(3000) + text[:3000]
    packed = compress(data, Settings(level=level, block_bytes=3000, model=TINY_PATH))
    methods = describe(io.BytesIO(packed))["methods"]
    assert methods.get("lzma", 0) + methods.get("stored", 0) >= 1
    assert methods.get("context", 0) + methods.get("mixed", 0) >= 3
    assert decompress(packed, READ) == data


@pytest.mark.parametrize("level", [1, 2, 6])
def test_threads_make_and_read_the_same_file(text: bytes, level: int) -> None:
    archives = {
        compress(
            text, Settings(level=level, lanes=4, threads=threads, independent=True, block_bytes=2500, model=TINY_PATH)
        )
        for threads in (1, 3)
    }
    assert len(archives) == 1
    for threads in (1, 2, 5):
        assert decompress(*archives, ReadSettings(model=TINY_PATH, threads=threads)) == text


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16])
def test_lanes_are_read_alike_by_any_number_of_threads(
    text: bytes, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = text[:1000]
    # With many lanes it would.
    monkeypatch.setattr("llmzip.blocks.choice.BlockEncoder._context_may_win", lambda *_: False)
    packed = compress(text, Settings(level=6, lanes=lanes, model=TINY_PATH))
    assert describe(io.BytesIO(packed))["methods"] == {"mixed": 1}
    middle = len(packed) // 2
    damaged = packed[:middle] + bytes([packed[middle] ^ 16]) + packed[middle + 1 :]
    monkeypatch.setattr("llmzip.mixing.mixed.available_cores", lambda: 5)
    for threads in (1, 2, 5):
        assert decompress(packed, ReadSettings(model=TINY_PATH, threads=threads)) == text
        with pytest.raises(DamagedError):
            decompress(damaged, ReadSettings(model=TINY_PATH, threads=threads))


def test_files_one_after_the_other_are_a_file(text: bytes) -> None:
    a, b = compress(text[:2000], Settings(level=1)), compress(text[2000:], Settings(level=1, block_bytes=1000))
    assert decompress(a + bytes(512) + b + compress(b"") + bytes(3)) == text


def test_what_came_before_garbage_is_restored_first(text: bytes) -> None:
    from llmzip.streams import iterate_plain

    blocks = iterate_plain(io.BytesIO(compress(text, Settings(level=1)) + b"garbage"))
    assert next(blocks) == text
    with pytest.raises(DamagedError, match="from byte"):
        next(blocks)
