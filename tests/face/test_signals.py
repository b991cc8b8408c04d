"""Signals, kills and closed pipes: no half output under a final name, no lost input, nothing left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import llmzip as package

from .command import COMMAND, TEMPORARY, TEXT, llmzip, packed, start

CATCHABLE = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGXCPU", "SIGALRM"]


@pytest.fixture(autouse=True)
def nothing_ignored() -> Iterator[None]:
    """Whoever started the tests, say in the background, may ignore signals, and so would all that they start."""
    ignored = [number for name in CATCHABLE if signal.getsignal(number := getattr(signal, name)) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


def _waits_with_a_temporary_file(folder: Path, **options: object) -> subprocess.Popen[bytes]:
    """A run that has its target open and waits for more input."""
    process = start("-1", "-o", folder / "out.llmz", "-", **options)
    while not list(folder.glob(TEMPORARY)):
        assert process.poll() is None
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("name", CATCHABLE)
def test_signals_end_the_run_and_leave_nothing(tmp_path: Path, name: str) -> None:
    process = _waits_with_a_temporary_file(tmp_path)
    process.send_signal(getattr(signal, name))
    # Its input stays open until it is gone: at the end of the input it would put its output in place.
    assert process.wait(30) == -getattr(signal, name)
    assert process.communicate() == (b"", b"")
    assert not list(tmp_path.iterdir())


def test_a_second_signal_while_the_first_is_answered(tmp_path: Path) -> None:
    # Removing a file is slow on some disks: here it sends the second signal itself.
    script = (
        "import os, signal, sys\n"
        "from llmzip.cli import safe_files\n"
        "from llmzip.cli.commands import main\n"
        "unlink = os.unlink\n"
        "def slow_unlink(name):\n"
        "    os.unlink = unlink\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    unlink(name)\n"
        "os.unlink = slow_unlink\n"
        f"main(['-1', '-o', {str(tmp_path / 'out.llmz')!r}, '-'])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    while not list(tmp_path.glob(TEMPORARY)):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) in (-signal.SIGINT, -signal.SIGTERM)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the child in /proc")
def test_exit_code_as_a_shell_sees_it(tmp_path: Path) -> None:
    # The shell's own process is replaced by none: it waits for the program and tells its code.
    script = f"{' '.join(COMMAND)} -1 -o {tmp_path}/out - ; echo $?"
    for number, code in ((signal.SIGINT, b"130"), (signal.SIGTERM, b"143"), (signal.SIGHUP, b"129")):
        shell = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        while not list(tmp_path.glob(TEMPORARY)):
            time.sleep(0.01)
        (child,) = Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()
        os.kill(int(child), number)
        assert shell.stdout is not None
        assert shell.stdout.read().split()[-1] == code  # before its input ends, which would let it finish
        shell.communicate()
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT"])
def test_what_was_ignored_stays_ignored(tmp_path: Path, name: str) -> None:
    number = getattr(signal, name)
    process = _waits_with_a_temporary_file(tmp_path, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
    process.send_signal(number)
    time.sleep(0.2)
    process.communicate(TEXT)
    assert process.returncode == 0
    assert package.decompress((tmp_path / "out.llmz").read_bytes()) == TEXT


def test_a_signal_is_answered_while_native_code_runs(tmp_path: Path) -> None:
    plain = tmp_path / "large"
    plain.write_bytes(b"".join(b"%d %d\n" % (i, i * i * 7919 % 1000003) for i in range(200_000)))
    process = start("-1", plain)
    while not list(tmp_path.glob(TEMPORARY)):
        time.sleep(0.01)
    time.sleep(0.3)
    started = time.monotonic()
    process.terminate()
    process.wait()
    assert time.monotonic() - started < 2
    assert process.returncode == -signal.SIGTERM
    assert [path.name for path in tmp_path.iterdir()] == ["large"]


def test_names_as_long_as_a_file_system_allows(tmp_path: Path) -> None:
    for length in (245, 250):
        plain = tmp_path / ("n" * length)
        plain.write_bytes(TEXT)
        assert llmzip("-1", "--rm", plain).returncode == 0
        assert llmzip("-d", "--rm", f"{plain}.llmz").returncode == 0
        assert plain.read_bytes() == TEXT
    plain = tmp_path / ("n" * 251)
    plain.write_bytes(TEXT)
    refused = llmzip("-1", "--rm", plain)
    assert refused.returncode == 1
    assert b"too long" in refused.stderr
    assert plain.exists()


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_kills_at_random_moments(tmp_path: Path, kills: int) -> None:
    texts = {f"{number}.txt": b"%d " % number + TEXT * (1 + number) for number in range(6)}
    archives = {f"{name}.llmz": package.compress(text, 1) for name, text in texts.items()}
    rng = random.Random(3)
    longest = 0.0
    for kill in range(kills + 1):
        folder = tmp_path / str(kill)
        folder.mkdir()
        restores = kill % 2
        for name, content in (archives if restores else texts).items():
            (folder / name).write_bytes(content)
        started = time.monotonic()
        process = start("-d" if restores else "-1", "-r", "--rm", folder)
        if kill == 0:
            process.communicate()
            longest = time.monotonic() - started
            assert process.returncode == 0
        number = rng.choice([signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
        time.sleep(0 if kill == 0 else rng.uniform(0, longest * 1.05))
        process.send_signal(number)
        error = process.communicate()[1]
        if process.returncode == 1 and number == signal.SIGINT:
            # The interpreter was interrupted while it started.
            assert b"KeyboardInterrupt" in error
            assert b"llmzip" not in error
            number = -process.returncode
        assert process.returncode in (0, -number)
        assert b"Traceback" not in error or process.returncode == -number
        left = {path.name: path.read_bytes() for path in folder.iterdir()}
        temporaries = [name for name in left if name.startswith(TEMPORARY[:-1])]
        assert not temporaries or number == signal.SIGKILL
        for name, text in texts.items():
            archive = left.get(f"{name}.llmz")
            assert name in left or archive is not None, "lost"
            assert left.get(name, text) == text
            assert archive in (None, archives[f"{name}.llmz"])
        assert len(left) - len(temporaries) <= len(texts) + 1


def test_a_closed_pipe_ends_the_run_quietly(tmp_path: Path) -> None:
    archive = packed(tmp_path / "large", TEXT * 300)
    for arguments in (("-dc", archive), ("cat", archive), ("info", *[archive] * 5000)):
        process = start(*arguments)
        assert process.stdout
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == b""
        assert process.wait() == -signal.SIGPIPE


@pytest.mark.parametrize("arguments", [["--help"], ["compress", "--help"], ["--version"]], ids=" ".join)
def test_help_for_a_closed_pipe_ends_quietly(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = start(*arguments, stdout=writing)
    os.close(writing)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == -signal.SIGPIPE


def test_closed_standard_streams(tmp_path: Path) -> None:
    archive = packed(tmp_path / "plain")
    command = " ".join(COMMAND)
    for arguments, closed, message in (
        (f"-dc {archive}", ">&-", "standard output: Bad file descriptor"),
        (f"info {archive}", ">&-", "standard output: Bad file descriptor"),
        (f"-l --json {archive}", ">&-", "standard output: Bad file descriptor"),
        ("-1 -c", "<&-", "standard input: Bad file descriptor"),
        ("-dc", "<&-", "standard input: Bad file descriptor"),
        (f"-d {tmp_path}/none.llmz", "2>&-", None),
        ("--bogus", "2>&-", None),
        (f"-d -v {tmp_path}/none.llmz", "<&- >&- 2>&-", None),
    ):
        result = subprocess.run(f"{command} {arguments} {closed}", shell=True, capture_output=True, timeout=60)
        assert result.returncode == 1
        assert result.stderr.decode() == (f"llmzip: {message}\n" if message else "")
    whole = subprocess.run(f"{command} -1 -v -f {tmp_path}/plain <&- >&- 2>&-", shell=True, timeout=60)
    assert whole.returncode == 0
    assert package.decompress(archive.read_bytes()) == TEXT
    assert (tmp_path / "plain").read_bytes() == TEXT


def test_nothing_is_left_unsaid_in_development_mode(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    archive = packed(plain)
    command = [sys.executable, "-X", "dev", *COMMAND[1:]]
    for arguments, code in (
        (["compress", "--level", "99", plain], 1),
        (["-1", "-f", plain], 0),
        (["-dc", archive], 0),
        (["-t", plain], 1),
        (["-d", tmp_path / "none.llmz"], 1),
        (["-l", archive], 0),
    ):
        result = subprocess.run([*command, *map(str, arguments)], capture_output=True, timeout=60)
        assert result.returncode == code
        assert b"Warning" not in result.stderr
        assert b"Exception ignored" not in result.stderr
    code = f"""
import llmzip
for keywords in ({{"level": 99}}, {{"bogus": 1}}, {{"level": "9"}}, {{"model": "/none/at/all", "level": 6}}):
    for mode in ("wb", "rb", "zb", 7, "wt"):
        try:
            llmzip.open({str(tmp_path / "new")!r}, mode, **keywords)
        except (TypeError, ValueError, OSError):
            pass
for file in (None, 7.5, [], object()):
    try:
        llmzip.open(file)
    except TypeError:
        pass
"""
    result = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, timeout=60)
    assert result.stderr == b""
    assert result.returncode == 0
    assert not (tmp_path / "new").exists()
    assert os.path.exists(plain)
