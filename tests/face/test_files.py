"""The Python interface."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

import llmzip
from tests.conftest import TINY_PATH


def test_compress_and_decompress(text: bytes) -> None:
    packed = llmzip.compress(text, level=6)
    assert llmzip.decompress(packed) == text
    with pytest.raises(ValueError, match="level"):
        llmzip.compress(text, level=11)


@pytest.mark.parametrize("piece", [1, 100, 5000])
def test_incremental_objects(text: bytes, piece: int) -> None:
    data = text[:3000]
    compressor = llmzip.Compressor(block_bytes=1000, model=TINY_PATH)
    packed = b"".join(compressor.compress(data[i : i + piece]) for i in range(0, len(data), piece))
    packed += compressor.flush()
    decompressor = llmzip.Decompressor(model=TINY_PATH)
    stream = packed + b"what follows"
    out = bytearray()
    position = 0
    while not decompressor.eof:
        out += decompressor.decompress(stream[position : position + piece])
        position += piece
    assert bytes(out) == data
    assert decompressor.unused_data + stream[position:] == b"what follows"
    with pytest.raises(EOFError):
        decompressor.decompress(b"x")
    with pytest.raises(ValueError, match="flushed"):
        compressor.compress(b"x")


def test_incremental_decompressor_notices_damage(text: bytes) -> None:
    packed = bytearray(llmzip.compress(text[:500], model=TINY_PATH))
    packed[-3] ^= 4
    with pytest.raises(llmzip.LlmzError):
        llmzip.Decompressor(model=TINY_PATH).decompress(bytes(packed))
    with pytest.raises(llmzip.LlmzError):
        llmzip.Decompressor().decompress(b"not this format")


def test_open_binary_and_text(tmp_path: Path) -> None:
    path = tmp_path / "a.llmz"
    with llmzip.open(path, "wt", encoding="utf-8", newline="\n", model=TINY_PATH) as file:
        file.write("première ligne\n" * 30)
        file.write("dernière ligne\n")
    with llmzip.open(path, "rt", encoding="utf-8", model=TINY_PATH) as file:
        lines = list(file)
    assert len(lines) == 31
    assert lines[-1] == "dernière ligne\n"
    with llmzip.open(path, model=TINY_PATH) as file:
        assert file.read(5) == b"premi"
        assert file.read() == ("première ligne\n" * 30 + "dernière ligne\n").encode()[5:]
        assert file.read(10) == b""
    with llmzip.open(path, "ab", model=TINY_PATH) as file:
        file.write(b"appended")
    with llmzip.open(path, model=TINY_PATH) as file:
        assert file.read().endswith(b"appended")
    with pytest.raises(ValueError, match="mode"):
        llmzip.open(path, "q")


def test_file_objects() -> None:
    raw = io.BytesIO()
    with llmzip.LlmzFile(raw, "wb", model=TINY_PATH) as file:
        file.write(b"some bytes")
        with pytest.raises(io.UnsupportedOperation):
            file.read()
    raw.seek(0)
    assert llmzip.LlmzFile(raw, model=TINY_PATH).read() == b"some bytes"
