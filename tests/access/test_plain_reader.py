"""Reading goes on after what interrupted it."""

from __future__ import annotations

import functools
import io
import os
import random
from typing import Any

import pytest

import llmzip

NOISE = random.Random(9).randbytes(40_000)
"""What models do not make smaller, so that blocks are read at once."""
SETTINGS: dict[str, dict[str, Any]] = {
    "groups": {"group_bytes": 3000, "block_bytes": 1500},
    "independent": {"independent": True, "block_bytes": 3000},
    "no groups": {"block_bytes": 3000},
}


class Interrupt(BaseException):
    """As KeyboardInterrupt, which would end all tests if it came out of one."""


class Failing(io.BytesIO):
    """A file whose reading fails once, when so many bytes more have been read."""

    left: int | None = None
    error: BaseException

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if self.left is not None:
            self.left -= len(data)
            if self.left < 0:
                self.left = None
                raise self.error
        return data


@functools.cache
def packed(name: str) -> bytes:
    return llmzip.compress(NOISE, level=1, **SETTINGS[name])


def test_a_failed_look_at_where_blocks_lie_leaves_the_file_where_it_was() -> None:
    source = Failing(packed("groups"))
    with llmzip.open(source) as file:
        assert file.read(1500) == NOISE[:1500]
        place = source.tell()
        source.left, source.error = 0, OSError("a fault of the disk")
        file.seek(30_000)
        with pytest.raises(OSError, match="fault"):
            file.read(10)
        assert source.tell() == place
        file.seek(1500)
        assert file.read(5000) == NOISE[1500:6500]
        file.seek(30_000)
        assert file.read(10) == NOISE[30_000:30_010]


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("first", [0, 100, 25_000])
@pytest.mark.parametrize("size", [-1, 12_000])
def test_after_an_interrupt_reading_works(size: int, first: int, name: str) -> None:
    source = Failing(packed(name))
    end = len(NOISE) if size < 0 else first + size
    with llmzip.open(source) as file:
        file.seek(first)
        assert file.read(min(first, 1)) == NOISE[first:][: min(first, 1)]
        source.left, source.error = 8000, Interrupt()
        with pytest.raises(Interrupt):
            file.read(size)
        place = file.tell()
        assert first <= place < end
        assert file.read(100) == NOISE[place : place + 100]
        for place in (0, first, 35_000, 0):
            file.seek(place)
            assert file.read(5000) == NOISE[place : place + 5000]
        file.seek(0)
        assert file.read() == NOISE


def test_an_interrupt_while_blocks_are_looked_up() -> None:
    source = Failing(packed("groups"))
    with llmzip.open(source) as file:
        source.left, source.error = 0, Interrupt()
        with pytest.raises(Interrupt):
            file.seek(0, io.SEEK_END)
        assert file.seek(0, io.SEEK_END) == len(NOISE)
        file.seek(0)
        assert file.read() == NOISE


def test_what_was_interrupted_and_cannot_seek_does_not_seem_to_end() -> None:
    read_end, write_end = os.pipe()
    with open(write_end, "wb") as pipe:
        pipe.write(packed("no groups"))

    def stop(done: int, total: int | None) -> None:
        if done > 9000:
            raise Interrupt

    with open(read_end, "rb") as pipe, llmzip.open(pipe, progress=stop) as file:
        assert file.read(3000) == NOISE[:3000]
        with pytest.raises(Interrupt):
            file.read()
        for _ in range(2):
            with pytest.raises(OSError, match="interrupted"):
                file.read(100)


def test_reading_all_in_vain_does_not_move_the_place() -> None:
    source = Failing(packed("groups"))
    with llmzip.open(source) as file:
        source.left, source.error = 20_000, Interrupt()
        with pytest.raises(Interrupt):
            file.read()
        assert file.read(100) == NOISE[:100]
        file.seek(0)
        assert file.read(100) == NOISE[:100]
    damaged = bytearray(source.getvalue())
    damaged[len(damaged) // 2] ^= 1
    with llmzip.open(io.BytesIO(damaged)) as file:
        with pytest.raises(llmzip.DamagedError):
            file.read()
        assert file.read(100) == NOISE[:100]


class Flaky(io.BytesIO):
    """Fails to read once, as a network file may."""

    fails = False

    def read(self, size: int | None = -1) -> bytes:
        if self.fails:
            self.fails = False
            raise TimeoutError("try again")
        return super().read(size)


def test_what_fails_once_is_read_the_next_time() -> None:
    lines = b"".join(b"line %d of many\n" % number for number in range(2000))
    archive = llmzip.compress(lines, 1, group_bytes=4096, block_bytes=1024, records="lines")
    source = Flaky(archive)
    with llmzip.open(source) as file:
        assert file.read(10) == lines[:10]
        source.fails = True
        with pytest.raises(TimeoutError):
            file.read()
        assert file.tell() == 10
        assert file.read() == lines[10:]
        file.seek(0)
        source.fails = True
        with pytest.raises(TimeoutError):
            file.read(20_000)
        assert file.readline() == b"line 0 of many\n"
    source = Flaky(archive)
    with llmzip.records(source) as records:
        source.fails = True
        with pytest.raises(TimeoutError):
            records[1500]
        assert records[1500] == b"line 1500 of many\n"


def test_a_failed_read_of_damage_loses_nothing_before_it() -> None:
    plain = bytes(random.Random(5).randbytes(20_000))
    damaged = bytearray(llmzip.compress(plain, 1, block_bytes=4000))
    damaged[-2000] ^= 1
    with llmzip.open(io.BytesIO(damaged)) as file:
        read = b""
        with pytest.raises(llmzip.DamagedError):
            while part := file.read(700):
                read += part
        assert plain.startswith(read)
        assert file.tell() == len(read) > 10_000
