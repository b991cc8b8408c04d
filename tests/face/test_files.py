"""The Python interface."""

from __future__ import annotations

import array
import io
import os
import pickle
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llmzip
from llmzip import Flush

from .command import TEXT

NOISE = random.Random(1).randbytes(20_000)


def blocks(text: bytes, **settings: Any) -> bytes:
    """``text`` in blocks of 1,000 bytes."""
    return llmzip.compress(text, level=1, block_bytes=1000, **settings)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.llmz"
    path.write_bytes(blocks(NOISE))
    return path


# compress and decompress


@pytest.mark.parametrize("name", ["level", "preset", "compresslevel"])
def test_names_of_the_level(name: str, tmp_path: Path) -> None:
    expected = llmzip.compress(TEXT, 1)
    assert llmzip.decompress(expected) == TEXT
    assert llmzip.compress(TEXT, **{name: 1}) == expected
    compressor = llmzip.Compressor(**{name: 1})
    assert compressor.compress(TEXT) + compressor.flush() == expected
    with llmzip.open(tmp_path / "a", "wb", **{name: 1}) as file:
        file.write(TEXT)
    assert (tmp_path / "a").read_bytes() == expected
    assert llmzip.compress(TEXT, np.int64(1)) == expected  # type: ignore[arg-type]


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"level": 0}, ValueError, "level must be 1 to 9"),
    ({"preset": 10}, ValueError, "level must be 1 to 9"),
    ({"level": "9"}, TypeError, "wrong type: level='9'"),
    ({"level": 6.5}, TypeError, "wrong type"),
    ({"level": 1, "preset": 1}, TypeError, "level and preset are names of one thing"),
    ({"lanes": 3}, ValueError, "lanes must be a power of two"),
    ({"lanes": "4"}, TypeError, "wrong type"),
    ({"threads": 0}, ValueError, "threads must be"),
    ({"block_bytes": "1"}, TypeError, "wrong type"),
    ({"bogus": 1}, TypeError, "unknown setting 'bogus'; there are .*level, "),
    ({"effort": 1}, TypeError, "unknown setting"),
]


@pytest.mark.parametrize(("settings", "error", "message"), WRONG, ids=lambda value: str(value))
def test_wrong_settings_are_refused_before_anything_is_opened(
    settings: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "precious"
    path.write_bytes(b"precious")
    for mode in ("wb", "w", "wt", "xb", "ab"):
        with pytest.raises(error, match=message):
            llmzip.open(path, mode, **settings)
    for function in (llmzip.compress, lambda data, **keywords: llmzip.Compressor(**keywords)):
        with pytest.raises(error, match=message):
            function(b"", **settings)
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize("mode", ["q", "", "rw", "r+", "rbt", "tb", "wtt", "U", None, 7])
def test_wrong_modes(mode: Any, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="invalid mode"):
        llmzip.open(path, mode)
    assert path.read_bytes() == before


def test_wrong_text_settings_are_refused_before_anything_is_opened(path: Path) -> None:
    before = path.read_bytes()
    for settings in ({"encoding": "none"}, {"errors": 3}, {"newline": "x"}):
        with pytest.raises((LookupError, TypeError, ValueError)):
            llmzip.open(path, "wt", **settings)
    with pytest.raises(ValueError, match="text mode"):
        llmzip.open(path, "wb", encoding="utf-8")
    for for_writing in ({"lanes": 4}, {"block_bytes": 9}, {"independent": True}):
        with pytest.raises(TypeError, match="unknown setting"):
            llmzip.open(path, "rb", **for_writing)
    with pytest.raises(OSError):
        llmzip.open(path.parent / "none" / "x", "wb", level=1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("wrong", [None, 7, "text", ["x"], object()])
def test_wrong_types_of_data_and_files(wrong: Any, tmp_path: Path) -> None:
    compressor, decompressor = llmzip.Compressor(1), llmzip.Decompressor()
    for function in (llmzip.compress, llmzip.decompress, compressor.compress, decompressor.decompress):
        with pytest.raises(TypeError, match="bytes-like"):
            function(wrong)
    with llmzip.open(tmp_path / "a", "wb", level=1) as file, pytest.raises(TypeError, match="bytes-like"):
        file.write(wrong)
    if not isinstance(wrong, str):
        for mode in ("rb", "wb"):
            with pytest.raises(TypeError, match="must be a path or a binary file object, not"):
                llmzip.open(wrong, mode)


def test_text_streams_are_told_apart() -> None:
    with pytest.raises(TypeError, match="opened in binary mode"):
        llmzip.open(io.StringIO("text")).read()
    file = llmzip.open(io.StringIO(), "wb", level=1)
    file.write(b"x")
    with pytest.raises(TypeError):
        file.close()
    assert file.closed


def test_any_bytes_like_object() -> None:
    numbers = np.arange(12, dtype=np.int32).reshape(3, 4)
    for data in (bytearray(TEXT), memoryview(TEXT), array.array("i", range(9)), numbers, numbers.T, numbers[:, ::2]):
        plain = bytes(memoryview(data).tobytes())
        assert llmzip.decompress(llmzip.compress(data, 1)) == plain
        assert llmzip.decompress(memoryview(llmzip.compress(data, 1))) == plain
        raw = io.BytesIO()
        with llmzip.LlmzFile(raw, "wb", 1) as file:
            assert file.write(data) == len(plain)
            assert file.tell() == len(plain)
        assert llmzip.decompress(raw.getvalue()) == plain


def test_limits() -> None:
    packed = blocks(TEXT * 10)
    assert llmzip.decompress(packed, max_output=len(TEXT) * 10) == TEXT * 10
    with pytest.raises(llmzip.OutputLimitError, match="more than 100"):
        llmzip.decompress(packed, max_output=100)
    with pytest.raises(llmzip.MemoryLimitError) as caught:
        llmzip.decompress(packed, memory_limit=1000)
    assert caught.value.limit == 1000 < caught.value.needed
    with pytest.raises(llmzip.MemoryLimitError):
        llmzip.open(io.BytesIO(packed), memory_limit=1000).read()
    with pytest.raises(llmzip.MemoryLimitError):
        llmzip.Decompressor(memory_limit=1000).decompress(packed)


def test_progress_is_told() -> None:
    calls: list[tuple[int, int | None]] = []

    def note(done: int, total: int | None) -> None:
        calls.append((done, total))

    packed = llmzip.compress(TEXT, 1, progress=note)
    assert calls[-1] == (len(TEXT), len(TEXT))
    assert calls == sorted(calls)
    for read in (
        lambda: llmzip.decompress(packed, progress=note),
        lambda: llmzip.Decompressor(progress=note).decompress(packed),
        lambda: llmzip.open(io.BytesIO(packed), progress=note).read(),
    ):
        calls.clear()
        assert read() == TEXT
        assert calls[-1] == (len(TEXT), None)
    calls.clear()
    with llmzip.open(io.BytesIO(), "wb", level=1, progress=note) as file:
        file.write(TEXT)
    assert calls[-1] == (len(TEXT), None)

    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        llmzip.compress(TEXT, 1, progress=stop)


# Errors


def test_errors_tell_what_is_wrong(tmp_path: Path) -> None:
    packed = blocks(NOISE)
    damaged = bytearray(packed)
    damaged[len(damaged) // 2] ^= 1
    with pytest.raises(llmzip.DamagedError) as caught:
        llmzip.decompress(damaged)
    assert not isinstance(caught.value, llmzip.TruncatedError)
    with pytest.raises(llmzip.DamagedError, match="empty"):
        llmzip.decompress(b"")
    for length in (1, 3, 5, 50, len(packed) // 2, len(packed) - 1):
        with pytest.raises(llmzip.TruncatedError) as cut:
            llmzip.decompress(packed[:length])
        assert isinstance(cut.value, EOFError)  # as gzip and lzma raise
        assert isinstance(cut.value, ValueError)
    with pytest.raises(llmzip.DamagedError, match="not an llmzip file"):
        llmzip.decompress(b"something else")
    assert llmzip.decompress(packed + bytes(9)) == NOISE
    with pytest.raises(llmzip.DamagedError, match=str(len(packed) + 9)):
        llmzip.decompress(packed + bytes(9) + b"x")


def test_errors_pass_between_processes() -> None:
    for error in (llmzip.ModelMissingError(b"abcd", ["x"]), llmzip.MemoryLimitError(9, 3), llmzip.DamagedError("bad")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
    assert llmzip.ModelMissingError(b"abcd").fingerprint == b"abcd"
    assert "61626364" in str(llmzip.ModelMissingError(b"abcd"))


def test_an_error_does_not_turn_into_the_end(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with llmzip.open(io.BytesIO(data)) as file:
        assert file.read(100) == NOISE[:100]
        for _ in range(3):
            with pytest.raises(llmzip.DamagedError):
                file.read()
        file.seek(0)
        assert file.read(100) == NOISE[:100]


# Compressor and Decompressor


@pytest.mark.parametrize("piece", [1, 100, 5000])
@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 3000])
def test_incremental_objects(piece: int, size: int) -> None:
    data = (TEXT * 2)[:size]
    compressor = llmzip.Compressor(1, block_bytes=1000)
    packed = b"".join(compressor.compress(data[i : i + piece]) for i in range(0, len(data), piece))
    packed += compressor.finish()
    assert llmzip.decompress(packed) == data
    for call in (lambda: compressor.compress(b"x"), compressor.flush, lambda: compressor.flush(Flush.BLOCK)):
        with pytest.raises(ValueError, match="flushed"):
            call()
    decompressor = llmzip.Decompressor()
    stream = packed + b"what follows"
    out = bytearray()
    position = 0
    while not decompressor.eof:
        assert decompressor.needs_input
        assert decompressor.unused_data == b""
        out += decompressor.decompress(stream[position : position + piece])
        position += piece
    assert bytes(out) == data
    assert decompressor.unused_data + stream[position:] == b"what follows"
    assert not decompressor.needs_input
    with pytest.raises(EOFError):
        decompressor.decompress(b"x")


@pytest.mark.parametrize("most", [1, 7, 1000, 1500, 10**6])
def test_max_length(most: int) -> None:
    data = NOISE[:3500]
    stream = blocks(data) + b"what follows"
    decompressor = llmzip.Decompressor()
    out, fed = b"", 0
    while not decompressor.eof:
        piece = b""
        if decompressor.needs_input:
            piece, fed = stream[fed : fed + 900], fed + 900
        part = decompressor.decompress(piece, most)
        assert len(part) <= most
        out += part
    assert out == data
    assert decompressor.unused_data + stream[fed:] == b"what follows"
    decompressor = llmzip.Decompressor()
    assert decompressor.decompress(stream, max_length=0) == b""
    assert not decompressor.needs_input
    assert decompressor.decompress(b"", max_length=-1) == data
    assert decompressor.unused_data == b"what follows"


def test_small_pieces_cost_no_more_than_large_ones() -> None:
    stream = llmzip.compress(random.Random(2).randbytes(400_000), 1)
    started = time.perf_counter()
    decompressor = llmzip.Decompressor()
    for start in range(0, len(stream), 10):
        decompressor.decompress(stream[start : start + 10])
    assert decompressor.eof
    assert time.perf_counter() - started < 5  # 0.3 s; with all read again for each piece, minutes


def test_flushed_blocks_can_be_read_before_the_end() -> None:
    compressor, decompressor = llmzip.Compressor(1), llmzip.Decompressor()
    for part in (b"first line\n", b"second line\n", TEXT, b"x"):
        packed = compressor.compress(part) + compressor.flush(Flush.BLOCK)
        assert decompressor.decompress(packed) == part
    assert compressor.flush(Flush.BLOCK) == b""  # nothing new
    assert decompressor.decompress(compressor.flush()) == b""
    assert decompressor.eof
    with pytest.raises(ValueError):
        llmzip.Compressor(1).flush("sometimes")  # type: ignore[arg-type]


def test_incremental_decompressor_notices_damage() -> None:
    packed = bytearray(llmzip.compress(TEXT, 1))
    packed[-3] ^= 4
    with pytest.raises(llmzip.LlmzError):
        llmzip.Decompressor().decompress(bytes(packed))
    with pytest.raises(llmzip.DamagedError, match="not an llmzip file"):
        llmzip.Decompressor().decompress(b"not this format")


# LlmzFile


def test_open_binary_and_text(tmp_path: Path) -> None:
    path = tmp_path / "a.llmz"
    with llmzip.open(path, "wt", encoding="utf-8", newline="\n", level=1) as file:
        file.write("première ligne\n" * 30)
        file.write("dernière ligne\n")
    with llmzip.open(path, "rt", encoding="utf-8") as file:
        lines = list(file)
    assert len(lines) == 31
    assert lines[-1] == "dernière ligne\n"
    with llmzip.open(path) as file:
        assert file.read(5) == b"premi"
        assert file.read() == ("première ligne\n" * 30 + "dernière ligne\n").encode()[5:]
        assert file.read(10) == b""
    with llmzip.open(path, "ab", level=1) as file:
        file.write(b"appended")
    with llmzip.open(path) as file:
        assert file.read().endswith(b"appended")
    with pytest.raises(FileExistsError):
        llmzip.open(path, "xb", level=1)


def test_text_is_stored_as_if_it_were_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.llmz"
    with llmzip.open(path, "wt", encoding="utf-8", newline="", level=1) as file:
        for line in TEXT.decode().splitlines(keepends=True):
            file.write(line)
    assert path.read_bytes() == llmzip.compress(TEXT, 1)


@pytest.mark.parametrize("kind", ["str", "bytes", "path", "file", "raw"])
def test_paths_and_file_objects(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.llmz"
    name: Any = {"str": str(path), "bytes": os.fsencode(path), "path": path}.get(kind)
    for mode, action in (("wb", lambda file: file.write(TEXT)), ("rb", lambda file: file.read())):
        opened = name or open(path, mode, buffering=0 if kind == "raw" else -1)
        with llmzip.open(opened, mode) if mode == "rb" else llmzip.open(opened, mode, 1) as file:
            assert action(file) == (TEXT if mode == "rb" else len(TEXT))
            assert file.mode == mode
            assert os.fsdecode(file.name) == str(path)
            assert os.path.samestat(os.fstat(file.fileno()), path.stat())
            assert not file.closed
            assert (file.readable(), file.writable(), file.seekable()) == (mode == "rb", mode == "wb", mode == "rb")
        assert file.closed
        file.close()
        if name is None:
            assert not opened.closed
            opened.close()
    assert llmzip.LlmzFile(io.BytesIO(path.read_bytes())).name == ""


def test_a_closed_file_is_closed(path: Path, tmp_path: Path) -> None:
    file = llmzip.open(path)
    file.read(10)
    file.close()
    writer = llmzip.open(tmp_path / "b", "wb", level=1)
    writer.close()
    for action in (
        file.read, file.read1, file.readline, file.peek, file.tell, file.readable, file.seekable, file.fileno,
        lambda: file.readinto(bytearray(9)), lambda: file.seek(0), lambda: next(file), file.__enter__,
        lambda: writer.write(b"x"), writer.flush, writer.writable, writer.tell,
    ):  # fmt: skip
        with pytest.raises(ValueError, match="closed"):
            action()


def test_reading_and_writing_do_not_mix(path: Path, tmp_path: Path) -> None:
    with llmzip.open(path) as reader, llmzip.open(tmp_path / "b", "wb", level=1) as writer:
        for action in (
            lambda: reader.write(b"x"), writer.read, writer.read1, writer.peek, writer.readline,
            lambda: writer.readinto(bytearray(1)), lambda: writer.seek(0), lambda: list(writer),
        ):  # fmt: skip
            with pytest.raises(io.UnsupportedOperation):
                action()
        reader.flush()
        assert (reader.tell(), writer.tell()) == (0, 0)


def test_all_ways_to_read(path: Path) -> None:
    with llmzip.open(path) as file:
        assert file.read(0) == b""
        assert NOISE.startswith(file.peek())
        assert file.peek(5)[:5] == NOISE[:5]
        assert file.tell() == 0
        part = file.read1()
        assert part
        assert NOISE.startswith(part)
        assert file.tell() == len(part)
        buffer = bytearray(50)
        assert file.readinto(buffer) == 50
        assert bytes(buffer) == NOISE[len(part) : len(part) + 50]
        rest = b"".join(iter(lambda: file.read1(333), b""))
        assert part + bytes(buffer) + rest == NOISE
        assert file.read1(5) == file.read(5) == file.peek(1) == file.readline() == b""
        assert file.readinto(buffer) == 0
    with llmzip.open(path) as file:
        assert b"".join(file) == NOISE
    with llmzip.open(path) as file:
        assert file.readlines() == NOISE.splitlines(keepends=True) or b"\r" in NOISE


def test_seek_and_tell(path: Path) -> None:
    reference = io.BytesIO(NOISE)
    rng = random.Random(5)
    with llmzip.open(path) as file:
        for _ in range(300):
            whence = rng.choice([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END])
            base = {io.SEEK_SET: 0, io.SEEK_CUR: reference.tell(), io.SEEK_END: len(NOISE)}[whence]
            offset = rng.randrange(len(NOISE) + 2000) - base
            assert file.seek(offset, whence) == reference.seek(offset, whence) == file.tell()
            size = rng.choice([0, 1, 10, 999, 3000])
            assert file.read(size) == reference.read(size)
            assert file.tell() == reference.tell()
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)
        with pytest.raises(ValueError, match="whence"):
            file.seek(0, 9)


def test_seeking_starts_where_the_file_object_stood(tmp_path: Path) -> None:
    raw = io.BytesIO(b"something before" + llmzip.compress(TEXT, 1))
    raw.seek(16)
    with llmzip.open(raw) as file:
        assert file.read() == TEXT
        file.seek(5)
        assert file.read(7) == TEXT[5:12]


def test_what_cannot_seek_says_so() -> None:
    read_end, write_end = os.pipe()
    with open(write_end, "wb") as pipe:
        pipe.write(llmzip.compress(TEXT, 1))
    with open(read_end, "rb") as pipe, llmzip.open(pipe) as file:
        assert not file.seekable()
        assert file.read(7) == TEXT[:7]
        with pytest.raises(io.UnsupportedOperation):
            file.seek(0)


def test_flush_makes_what_was_written_readable(tmp_path: Path) -> None:
    path = tmp_path / "log.llmz"
    with llmzip.open(path, "wt", encoding="utf-8", level=1) as log, llmzip.open(path) as reader:
        for number in range(5):
            log.write(f"event {number}\n")
            log.flush()
            assert reader.readline() == f"event {number}\n".encode()
    assert llmzip.open(path).read() == b"".join(b"event %d\n" % number for number in range(5))


def test_one_file_for_several_threads(path: Path, tmp_path: Path) -> None:
    def in_threads(action: Any) -> None:
        threads = [threading.Thread(target=action, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    shared = tmp_path / "b.llmz"
    with llmzip.open(shared, "wb", level=1, block_bytes=500) as file:
        in_threads(lambda number: [file.write(b"%d-%03d;" % (number, i)) for i in range(200)])
    parts = llmzip.open(shared).read().split(b";")
    assert sorted(parts[:-1]) == sorted(b"%d-%03d" % (number, i) for number in range(8) for i in range(200))
    pieces: list[bytes] = []
    with llmzip.open(path) as file:
        in_threads(lambda number: pieces.extend(iter(lambda: file.read(50), b"")))
    assert sorted(pieces) == sorted(NOISE[i : i + 50] for i in range(0, len(NOISE), 50))


def test_a_flush_that_waits_while_the_file_is_closed() -> None:
    writing, go_on = threading.Event(), threading.Event()
    outcomes: list[ValueError | None] = []

    class Slow(io.BytesIO):
        def write(self, data: Any) -> int:
            writing.set()
            assert go_on.wait(60)
            return super().write(data)

    def flush() -> None:
        try:
            file.flush()
            outcomes.append(None)
        except ValueError as error:
            outcomes.append(error)

    raw = Slow()
    file = llmzip.open(raw, "wb", level=1, block_bytes=1000)
    threads = [threading.Thread(target=action) for action in (lambda: file.write(NOISE), flush, file.close)]
    for thread in threads:
        thread.start()
        assert writing.wait(60)
        time.sleep(0.1)  # until the others wait for the first
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert outcomes[0] is None or "closed file" in str(outcomes[0])
    assert llmzip.decompress(raw.getvalue()) == NOISE


def test_an_unfinished_file_is_closed_whole_when_it_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "a.llmz"
    llmzip.open(path, "wb", level=1).write(TEXT)
    assert llmzip.open(path).read() == TEXT


def test_public_names() -> None:
    code = """
import llmzip
for name in llmzip.__all__ * 2:
    assert callable(getattr(llmzip, name)), name
assert set(llmzip.__all__) <= set(dir(llmzip))
assert not hasattr(llmzip, "bogus")
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


class FullOnce(io.BytesIO):
    """A disk that is full for one write."""

    is_full = False

    def write(self, data: Any) -> int:
        if self.is_full:
            self.is_full = False
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_after_a_failed_write_nothing_else_passes_for_written() -> None:
    target = FullOnce()
    file = llmzip.open(target, "wb", 1)
    file.write(b"first\n")
    file.flush()
    target.is_full = True
    file.write(b"second\n")
    with pytest.raises(OSError, match="No space"):
        file.flush()
    written = target.getvalue()
    for action in (file.flush, file.close):
        with pytest.raises(OSError, match="No space"):
            action()
    assert file.closed
    assert target.getvalue() == written


@pytest.mark.parametrize(
    "settings", [{"block_bytes": 1e4}, {"threads": 2.0}, {"lanes": 4.0}, {"group_bytes": "9"}, {"memory_limit": 1e9}]
)
def test_settings_of_the_wrong_type_leave_a_file_as_it_is(settings: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "old.llmz"
    path.write_bytes(b"as it was")
    with pytest.raises(TypeError, match="wrong type"):
        llmzip.open(path, "wb", 1, **settings)
    assert path.read_bytes() == b"as it was"
