"""Damage, truncation and foreign files: an error every time, never wrong bytes."""

from __future__ import annotations

import io

import pytest

from llmzip.format.container import pack_varint
from llmzip.errors import LlmzError
from llmzip.inspection import describe
from llmzip.settings import Settings
from llmzip.streams import compress, decompress
from tests.conftest import TINY_PATH

SETTINGS = {
    "mixed": Settings(model=TINY_PATH),
    "mixed, lanes": Settings(model=TINY_PATH, lanes=4),
    "tokens": Settings(model=TINY_PATH, level=2, lanes=4),
    "context": Settings(level=1),
    "blocks": Settings(model=TINY_PATH, block_bytes=100),
    "laid out": Settings(model=TINY_PATH),
}


@pytest.fixture(scope="module", params=[*SETTINGS, "lzma", "stored"])
def archive(request: pytest.FixtureRequest, text: bytes) -> tuple[bytes, bytes]:
    if request.param == "lzma":
        plain = b"abcd" * 5000
        return plain, compress(plain)
    if request.param == "stored":
        plain = bytes((i * 7919) % 256 for i in range(100))
        return plain, compress(plain)
    if request.param == "laid out":
        plain = b"\r\n".join([word for word in text.split() if len(word) < 5][:20])
        assert len(plain) < 128  # damage must not make megabytes of it
        packed = compress(plain, SETTINGS[request.param])
        assert describe(io.BytesIO(packed))["laid_out_blocks"] == 1
        return plain, packed
    return text[:250], compress(text[:250], SETTINGS[request.param])


@pytest.mark.parametrize("change", [1, 0x80, 0xFF])
def test_every_changed_byte_is_noticed(archive: tuple[bytes, bytes], change: int) -> None:
    plain, packed = archive
    assert decompress(packed, TINY_PATH) == plain
    for position in range(len(packed)):
        damaged = packed[:position] + bytes([packed[position] ^ change]) + packed[position + 1 :]
        with pytest.raises(LlmzError):
            decompress(damaged, TINY_PATH)


def test_every_truncation_is_noticed(archive: tuple[bytes, bytes]) -> None:
    _, packed = archive
    for length in range(len(packed)):
        with pytest.raises(LlmzError):
            decompress(packed[:length], TINY_PATH)


@pytest.mark.parametrize("tail", [b"\0", b"LLM", b"garbage behind the end of the file", b"LLMZ"])
def test_garbage_behind_the_end_is_noticed(text: bytes, tail: bytes) -> None:
    with pytest.raises(LlmzError):
        decompress(compress(text[:100], SETTINGS["mixed"]) + tail, TINY_PATH)


def test_foreign_files_and_later_versions_are_refused() -> None:
    for data in (b"", b"\x1f\x8b\x08" + bytes(50), b"plain text", b"LLM"):
        with pytest.raises(LlmzError, match="not an llmzip file"):
            decompress(data)
    with pytest.raises(LlmzError, match="later llmzip"):
        decompress(b"LLMZ\x30" + bytes(30))


def test_a_missing_model_is_named(text: bytes) -> None:
    packed = compress(text[:200], SETTINGS["mixed"])
    with pytest.raises(LlmzError, match=packed[5:9].hex()):
        decompress(packed)


def test_model_is_found_by_search_path(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = compress(text[:200], SETTINGS["mixed"])
    monkeypatch.setenv("LLMZIP_MODEL_PATH", TINY_PATH.rsplit("/", 1)[0])
    assert decompress(packed) == text[:200]


def test_huge_lengths_are_refused_before_memory_is_taken() -> None:
    header = b"LLMZ\x11" + bytes(4)
    for method in (1, 2, 3, 4):
        block = bytes([method]) + pack_varint(1 << 40) + pack_varint(10) + bytes(14)
        with pytest.raises(LlmzError, match="out of range"):
            decompress(header + block)
        block = bytes([method]) + pack_varint(1000) + pack_varint(1 << 40) + bytes(14)
        with pytest.raises(LlmzError, match="out of range"):
            decompress(header + block)
