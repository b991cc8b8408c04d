"""The command line as its users meet it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

TEXT = b"It was the best of times, it was the worst of times, it was the age of wisdom.\n" * 20


def llmzip(*arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "llmzip", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, timeout=300)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.txt"
    path.write_bytes(TEXT)
    return path


def test_round_trip_keeps_input_mode_and_time(plain: Path, tmp_path: Path) -> None:
    plain.chmod(0o640)
    os.utime(plain, ns=(10**18, 10**18 + 5))
    assert llmzip("compress", plain).returncode == 0
    packed = tmp_path / "plain.txt.llmz"
    assert plain.exists()
    assert packed.stat().st_size < len(TEXT) / 4
    plain.unlink()
    assert llmzip("decompress", packed).returncode == 0
    assert plain.read_bytes() == TEXT
    assert plain.stat().st_mode & 0o777 == 0o640
    assert plain.stat().st_mtime_ns == 10**18 + 5
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plain.txt", "plain.txt.llmz"]


def test_effort_round_trip(plain: Path, tmp_path: Path) -> None:
    assert llmzip("compress", "--effort", "1", "-2", plain).returncode == 0
    assert llmzip("decompress", "-c", tmp_path / "plain.txt.llmz").stdout == TEXT


def test_standard_streams(plain: Path) -> None:
    packed = llmzip("compress", stdin=TEXT)
    assert packed.returncode == 0
    assert packed.stdout == llmzip("compress", "-c", plain).stdout
    assert llmzip("decompress", "-", stdin=packed.stdout).stdout == TEXT


def test_overwriting_needs_force(plain: Path, tmp_path: Path) -> None:
    target = tmp_path / "plain.txt.llmz"
    target.write_bytes(b"precious")
    refused = llmzip("compress", plain)
    assert refused.returncode == 1
    assert b"already exists" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert target.read_bytes() == b"precious"
    assert llmzip("compress", "-f", plain).returncode == 0
    assert target.read_bytes() != b"precious"


def test_several_files_and_removal(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.txt" for i in range(3)]
    for path in paths:
        path.write_bytes(TEXT[: 300 + len(path.name)])
    done = llmzip("compress", "--rm", paths[0], tmp_path / "missing.txt", paths[1], paths[2])
    assert done.returncode == 1
    assert b"missing.txt" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.txt.llmz", "1.txt.llmz", "2.txt.llmz"]


def test_folders_need_and_take_recursion(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    texts = {tmp_path / "a" / "1.txt": TEXT, inner / "2.txt": TEXT[:99], inner / "3.txt.llmz": b"precious"}
    for path, content in texts.items():
        path.write_bytes(content)
    (inner / "link.txt").symlink_to(inner / "2.txt")
    assert llmzip("compress", tmp_path / "a").returncode == 1
    assert llmzip("compress", "-1", "-r", "--rm", tmp_path / "a").returncode == 0
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["1.txt.llmz", "2.txt.llmz", "3.txt.llmz", "link.txt"]
    assert (inner / "3.txt.llmz").read_bytes() == b"precious"
    (inner / "3.txt.llmz").unlink()
    assert llmzip("test", "-r", tmp_path).returncode == 0
    assert llmzip("decompress", "-r", "--rm", tmp_path).returncode == 0
    assert (tmp_path / "a" / "1.txt").read_bytes() == TEXT
    assert (inner / "2.txt").read_bytes() == TEXT[:99]
    assert llmzip("decompress", "-r", tmp_path).returncode == 0  # nothing left to do


def test_damage_leaves_no_file(plain: Path, tmp_path: Path) -> None:
    llmzip("compress", plain)
    packed = tmp_path / "plain.txt.llmz"
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 1
    packed.write_bytes(data)
    before = sorted(tmp_path.iterdir())
    for arguments in (("decompress", "-o", tmp_path / "out"), ("test",)):
        failed = llmzip(*arguments, packed)
        assert failed.returncode == 1
        assert len(failed.stderr.splitlines()) == 1
        assert b"damaged" in failed.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_test_and_info(plain: Path, tmp_path: Path) -> None:
    llmzip("compress", plain)
    packed = tmp_path / "plain.txt.llmz"
    assert llmzip("test", "-v", packed).stderr.endswith(b"OK\n")
    row = json.loads(llmzip("info", "--json", packed).stdout)[0]
    assert row["plain_bytes"] == len(TEXT)
    assert row["stored_bytes"] == packed.stat().st_size
    assert sum(row["methods"].values()) == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("compress", "--level", "10", "x"), 2),
        (("compress", "--lanes", "3", "x"), 2),
        (("compress", "."), 1),
        (("decompress", "no-suffix"), 1),
        (("frobnicate",), 2),
    ],
)
def test_bad_use(arguments: tuple[str, ...], code: int, tmp_path: Path) -> None:
    failed = llmzip(*arguments, cwd=tmp_path)
    assert failed.returncode == code
    assert failed.stderr
    assert b"Traceback" not in failed.stderr


def test_help_starts_fast() -> None:
    fastest = 9.0
    for _ in range(5):
        started = time.perf_counter()
        assert llmzip("--help").returncode == 0
        fastest = min(fastest, time.perf_counter() - started)
    assert fastest < 0.6  # 0.3 s on an idle machine; CI machines are not


def test_run_time_never_imports_torch() -> None:
    code = "import sys, llmzip; llmzip.decompress(llmzip.compress(b'some text')); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=300).returncode == 0
