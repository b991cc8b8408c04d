"""Nothing is lost: what is removed, overwritten, given away or cut short, and what is not."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmzip as package
from llmzip.cli.jobs import OK, WARNING, Conversion
from llmzip.cli.safe_files import Source, Target, open_source, open_target
from llmzip.progress import Progress

from .command import COMMAND, IS_ROOT, NOBODY, TEMPORARY, TEXT, as_other_user, llmzip, one_line, packed, start

needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.txt"
    path.write_bytes(TEXT)
    return path


# 1: an output that is the input


@pytest.mark.parametrize("way", ["same", "dotted", "symlink", "hard link"])
@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_output_that_names_the_input_is_refused(plain: Path, command: str, way: str) -> None:
    source = packed(plain) if command == "decompress" else plain
    before = source.read_bytes()
    output = str(source)
    if way == "dotted":
        output = f"{source.parent}/./{source.name}"
    elif way == "symlink":
        output = str(plain.with_name("link"))
        os.symlink(source.name, output)
    elif way == "hard link":
        output = str(plain.with_name("other"))
        os.link(source, output)
    names = sorted(os.listdir(plain.parent))
    for options in (["--rm"], ["--rm", "-f"]):
        refused = llmzip(command, *options, "-o", output, source)
        assert refused.returncode == 1
        assert "is the input itself" in one_line(refused) or "already exists" in one_line(refused)
        assert source.read_bytes() == before
        assert sorted(os.listdir(plain.parent)) == names


def test_standard_output_that_is_the_input_is_refused(plain: Path) -> None:
    with plain.open("ab") as appended:
        assert "is the input itself" in one_line(llmzip("-c", "-1", plain, stdout=appended))
    assert plain.read_bytes() == TEXT


# 2: removing what was compressed, and nothing else


@pytest.mark.parametrize("change", ["append", "replace", "overwrite", "remove", "nothing"])
def test_input_is_removed_only_if_it_is_what_was_read(plain: Path, change: str, capsys: pytest.CaptureFixture) -> None:
    def work(source: Source, target: Target, progress: Progress) -> None:
        source.copy_to(target)
        if change == "append":
            with plain.open("ab") as file:
                file.write(b"a new line\n")
        elif change == "replace":
            other = plain.with_name("other")
            other.write_bytes(TEXT)
            os.utime(other, ns=(source.status.st_atime_ns, source.status.st_mtime_ns))
            other.replace(plain)
        elif change == "overwrite":
            with plain.open("r+b") as file:
                file.write(TEXT[::-1])
        elif change == "remove":
            plain.unlink()

    conversion = Conversion(work, lambda name: name + ".copy", compresses=True, remove=True)
    assert conversion.of_all([str(plain)]) == (OK if change == "nothing" else WARNING)
    assert plain.with_name("plain.txt.copy").read_bytes() == TEXT
    assert plain.exists() == (change not in ("nothing", "remove"))
    assert len(capsys.readouterr().err.splitlines()) == (change != "nothing")


def test_a_link_is_not_removed_for_the_file_behind_it(plain: Path) -> None:
    link = plain.with_name("link")
    link.symlink_to(plain)
    assert "is a link" in one_line(llmzip("-1", "--rm", link))
    assert link.exists()
    assert plain.exists()
    assert package.decompress(plain.with_name("link.llmz").read_bytes()) == TEXT


def test_input_stays_where_the_output_is_no_file(plain: Path) -> None:
    done = llmzip("-1", "--rm", "-c", plain)
    assert package.decompress(done.stdout) == TEXT
    assert llmzip("-1", "--rm", "-o", "/dev/null", plain).returncode == 0
    assert plain.exists()


# 3: everything is written, and everything read


class Stingy(io.RawIOBase):
    """A raw stream that takes seven bytes at a time."""

    def __init__(self) -> None:
        self.taken = b""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(memoryview(data)[:7])  # type: ignore[call-overload]
        self.taken += part
        return len(part)


def test_short_writes_to_a_raw_stream() -> None:
    raw = Stingy()
    with package.open(raw, "wb", level=1) as file:
        file.write(TEXT)
    assert package.decompress(raw.taken) == TEXT


class Full(Stingy):
    def write(self, data: object) -> int:
        return 0 if len(self.taken) > 20 else super().write(data)


def test_a_raw_stream_that_takes_nothing_is_an_error() -> None:
    file = package.open(Full(), "wb", level=1)
    file.write(TEXT)
    with pytest.raises(OSError, match="takes no more"):
        file.close()
    assert file.closed


def test_non_blocking_raw_streams_without_descriptor_give_a_clear_error() -> None:
    class Never(Stingy):
        def write(self, data: object) -> int:
            return None  # type: ignore[return-value]

    class NothingYet(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:
            return None  # type: ignore[return-value]

    file = package.open(Never(), "wb", level=1)
    file.write(TEXT)
    with pytest.raises(BlockingIOError, match="not ready"):
        file.close()
    with pytest.raises(BlockingIOError, match="not ready"):
        package.open(NothingYet()).read()


def test_a_writer_that_does_not_count_is_taken_at_its_word() -> None:
    class Collector:
        parts = b""

        def write(self, data: bytes) -> None:
            self.parts += bytes(data)

    collector = Collector()
    with package.open(collector, "wb", level=1) as file:
        file.write(TEXT)
    assert package.decompress(collector.parts) == TEXT


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_non_blocking_standard_streams(unbuffered: str) -> None:
    text = random.Random(1).randbytes(300_000)  # more than a pipe holds
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    for arguments, data, expected in ((["-c", "-1"], text, None), (["-dc"], package.compress(text, 1), text)):
        in_read, in_write = os.pipe()
        out_read, out_write = os.pipe()
        os.set_blocking(in_read, False)
        os.set_blocking(out_write, False)
        process = subprocess.Popen([*COMMAND, *arguments], stdin=in_read, stdout=out_write, env=environment)
        os.close(in_read)
        os.close(out_write)

        def feed(descriptor: int = in_write, data: bytes = data) -> None:
            with open(descriptor, "wb", buffering=0) as pipe:
                time.sleep(0.3)  # nothing there yet
                for start_ in range(0, len(data), 50_000):
                    pipe.write(data[start_ : start_ + 50_000])
                    time.sleep(0.01)

        feeder = threading.Thread(target=feed)
        feeder.start()
        with open(out_read, "rb") as pipe:
            time.sleep(0.5)  # the pipe fills
            out = pipe.read()
        feeder.join()
        assert process.wait() == 0
        assert (out if expected is not None else package.decompress(out)) == text


def _mounted(folder: Path) -> bool:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run(command, capture_output=True).returncode == 0
    return False


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    if not _mounted(folder):
        pytest.skip("cannot mount a file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("sizes", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_a_disk_filled_at_many_sizes(small_disk: Path, tmp_path: Path, sizes: int) -> None:
    text = random.Random(2).randbytes(100_000)
    source, archive = tmp_path / "noise", tmp_path / "noise.llmz"
    source.write_bytes(text)
    archive.write_bytes(package.compress(text, 1))
    target, filler = small_disk / "target", small_disk / "filler"
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    outcomes = set()
    for number in range(sizes):
        filler.unlink(missing_ok=True)
        filler.write_bytes(bytes(256 * 1024 - 4096 * (1 + number * 40 // sizes)))
        restores, through_shell = number % 2, number // 2 % 2
        original = archive if restores else source
        given = small_disk.parent / "given"
        shutil.copy(original, given)
        options = ["-d"] if restores else ["-1"]
        if through_shell:
            with target.open("wb") as out:
                done = llmzip(*options, "-c", given, stdout=out, env=environment)
        else:
            done = llmzip(*options, "--rm", "-o", target, given)
        outcomes.add(done.returncode)
        if done.returncode:
            assert "No space left" in one_line(done)
            assert given.read_bytes() == original.read_bytes()
            assert through_shell or not target.exists()
        else:
            assert target.read_bytes() == (text if restores else archive.read_bytes())
            assert given.exists() == bool(through_shell)
        target.unlink(missing_ok=True)
        assert not list(small_disk.glob(TEMPORARY))
    assert outcomes == {0, 1}


def test_reports_to_a_full_disk_are_errors(plain: Path) -> None:
    archive = packed(plain)
    for arguments in (["info", archive], ["-l", archive], ["--help"], ["test", "--json", archive]):
        with open("/dev/full", "wb") as full:
            assert "No space left" in one_line(llmzip(*arguments, stdout=full))


# 4: owner, group and permissions


@needs_root
def test_owner_and_mode_pass_to_the_output(public: Path) -> None:
    plain = public / "theirs"
    plain.write_bytes(TEXT)
    os.chown(plain, 1234, 5678)
    plain.chmod(0o640)
    os.utime(plain, ns=(10**18, 10**18 + 7))
    for arguments, name in ((["-1", plain], "theirs.llmz"), (["-df", public / "theirs.llmz"], "theirs")):
        assert llmzip(*arguments).returncode == 0
        status = (public / name).stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 5678, 0o640)
        assert status.st_mtime_ns == 10**18 + 7


@pytest.mark.parametrize("bits", [0o4755, 0o2755, 0o1755, 0o6755])
def test_set_uid_and_like_bits_do_not_pass(plain: Path, bits: int) -> None:
    archive = packed(plain)
    if IS_ROOT:
        os.chown(archive, 1234, 5678)
    archive.chmod(bits)
    assert llmzip("-df", archive).returncode == 0
    assert stat.S_IMODE(plain.stat().st_mode) == 0o755


@needs_root
@pytest.mark.parametrize(("mode", "kept"), [(0o660, 0o600), (0o664, 0o644), (0o604, 0o600), (0o647, 0o644)])
def test_rights_of_a_group_do_not_pass_to_another(public: Path, mode: int, kept: int) -> None:
    plain = public / "theirs"
    plain.write_bytes(TEXT)
    os.chown(plain, NOBODY, 5678)
    plain.chmod(mode)
    conversion = Conversion(lambda source, target, _: source.copy_to(target), lambda name: name + ".copy", True)
    assert as_other_user(lambda: conversion.of_all([str(plain)])) == OK
    status = (public / "theirs.copy").stat()
    assert (status.st_uid, status.st_gid) == (NOBODY, NOBODY)
    assert stat.S_IMODE(status.st_mode) == kept


def test_attributes_go_by_descriptor_not_by_name(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_descriptors(name: str) -> None:
        original = getattr(os, name)

        def checked(where: object, *arguments: object, **options: object) -> object:
            assert isinstance(where, int), f"os.{name} by name"
            return original(where, *arguments, **options)

        monkeypatch.setattr(os, name, checked)

    for name in ("chmod", "utime"):
        only_descriptors(name)
    monkeypatch.setattr(os, "supports_fd", os.supports_fd | {os.utime, os.chmod})
    for name in ("chown", "lchown"):
        monkeypatch.setattr(os, name, None)
    target = plain.with_name("copy")
    with open_source(str(plain)) as source, open_target(str(target), source, force=False) as out:
        source.copy_to(out)
    assert target.read_bytes() == TEXT
    assert target.stat().st_mtime_ns == plain.stat().st_mtime_ns


def test_output_from_standard_input_gets_the_usual_mode(tmp_path: Path) -> None:
    target = tmp_path / "out.llmz"
    assert llmzip("-1", "-o", target, stdin=TEXT, umask=0o027).returncode == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_nobody_else_can_read_a_private_file_while_it_is_written(tmp_path: Path) -> None:
    plain = tmp_path / "private"
    plain.write_bytes(TEXT)
    plain.chmod(0o600)
    with open_source(str(plain)) as source, open_target(str(tmp_path / "out"), source, force=False) as out:
        (temporary,) = tmp_path.glob(TEMPORARY)
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        source.copy_to(out)


# 5: targets that are there, that appear, and that are no files


def test_a_target_that_appears_during_the_run_is_kept(tmp_path: Path) -> None:
    source, target = tmp_path / "fifo", tmp_path / "out.llmz"
    os.mkfifo(source)
    process = start("-1", "-o", target, source)
    with source.open("wb") as pipe:
        while not list(tmp_path.glob(TEMPORARY)):
            time.sleep(0.01)
        target.write_bytes(b"precious")
        pipe.write(TEXT)
    error = process.communicate()[1]
    assert process.returncode == 1
    assert b"already exists" in error
    assert target.read_bytes() == b"precious"
    assert not list(tmp_path.glob(TEMPORARY))


def test_without_hard_links_a_target_that_appears_is_kept_too(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    target = plain.with_name("out")

    def work(source: Source, out: Target, progress: Progress) -> None:
        source.copy_to(out)
        if appears:
            target.write_bytes(b"precious")

    for appears in (False, True):
        conversion = Conversion(work, str, compresses=True, output=str(target))
        target.unlink(missing_ok=True)
        assert conversion.of_all([str(plain)]) == int(appears)
        assert target.read_bytes() == (b"precious" if appears else TEXT)
        assert not list(plain.parent.glob(TEMPORARY))


def test_a_dangling_link_is_a_target_that_exists(plain: Path) -> None:
    link, behind = plain.with_name("link"), plain.with_name("behind")
    link.symlink_to(behind.name)
    assert "already exists" in one_line(llmzip("-1", "-o", link, plain))
    assert not behind.exists()
    assert llmzip("-1", "-f", "-o", link, plain).returncode == 0
    assert link.is_symlink()
    assert package.decompress(behind.read_bytes()) == TEXT


def test_a_link_is_written_through(plain: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    behind = elsewhere / "behind"
    behind.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(behind)
    assert "already exists" in one_line(llmzip("-1", "-o", link, plain))
    assert llmzip("-1", "-f", "-o", link, plain).returncode == 0
    assert link.is_symlink()
    assert package.decompress(behind.read_bytes()) == TEXT


@pytest.mark.parametrize("options", [["-f"], []])
def test_a_fifo_is_written_through(plain: Path, options: list[str]) -> None:
    fifo = plain.with_name("fifo")
    os.mkfifo(fifo)
    process = start("-1", *options, "-o", fifo, plain)
    assert package.decompress(fifo.read_bytes()) == TEXT
    assert process.wait() == 0
    assert stat.S_ISFIFO(fifo.stat().st_mode)


@needs_root
def test_a_device_is_written_through(plain: Path, small_disk: Path) -> None:
    device = small_disk / "null"
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    assert llmzip("-1", "-f", "-o", device, plain).returncode == 0
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_folder_is_no_target(plain: Path) -> None:
    for options in ([], ["-f"]):
        assert llmzip("-1", *options, "-o", plain.parent, plain).returncode == 1
    assert plain.read_bytes() == TEXT


def test_overwriting_needs_force(plain: Path) -> None:
    target = plain.with_name("plain.txt.llmz")
    target.write_bytes(b"precious")
    assert "already exists" in one_line(llmzip("-1", plain))
    assert target.read_bytes() == b"precious"
    assert llmzip("-1", "-f", plain).returncode == 0
    assert package.decompress(target.read_bytes()) == TEXT
