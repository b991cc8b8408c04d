"""Varints and reading to the exact byte."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmzip.errors import DamagedError, TruncatedError
from llmzip.format.reader import Reader
from llmzip.format.varint import pack_varint


@given(st.integers(0, 1 << 64), st.binary(max_size=3))
def test_numbers_come_back_and_nothing_more_is_read(value: int, rest: bytes) -> None:
    packed = pack_varint(value)
    reader = Reader(packed + rest)
    assert reader.read_varint(value) == value
    assert reader.position == len(packed)
    assert len(packed) == max(1, -(-value.bit_length() // 7))
    assert reader.rest() == rest


@pytest.mark.parametrize("data", [b"\x80\x00", b"\xff\x80\x00", b"\x65", b"\xff" * 20 + b"\x01"])
def test_longer_forms_and_larger_numbers_are_damage(data: bytes) -> None:
    with pytest.raises(DamagedError, match="out of range"):
        Reader(data).read_varint(100)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff\xff"])
def test_the_end_inside_a_number_is_an_early_end(data: bytes) -> None:
    reader = Reader(data)
    with pytest.raises(TruncatedError):
        reader.read_varint(1 << 20)
    assert reader.missing == 1


class Dripping(io.RawIOBase):
    """Gives a byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self._data.read(min(1, len(buffer)))
        buffer[: len(part)] = part
        return len(part)


def test_short_reads_are_put_together() -> None:
    reader = Reader(Dripping(b"abcdef"))
    assert reader.read(4) == b"abcd"
    with pytest.raises(TruncatedError):
        reader.read(5)
    assert reader.missing == 3


def test_a_stream_that_has_nothing_yet_is_not_at_its_end() -> None:
    class Nothing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return None  # type: ignore[return-value]

    with pytest.raises(BlockingIOError):
        Reader(Nothing()).read(1)
