"""Parts of archives on the command line, from files and from pipes."""

from __future__ import annotations

from pathlib import Path

import pytest

import llmzip
from tests.access.test_records import json_lines
from tests.face.command import llmzip as run

LINES = json_lines(200)
PLAIN = b"".join(LINES)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parts") / "lines.jsonl"
    path.write_bytes(PLAIN)
    done = run("-1", "--key", "id", "--group-size", "4K", "--block-size", "2K", str(path))
    assert (done.returncode, done.stderr) == (0, b"")
    return path.with_name("lines.jsonl.llmz")


PARTS = {
    "--range 0-0": PLAIN[:1],
    "--range 9000-9999": PLAIN[9000:10_000],
    "--range 9000-": PLAIN[9000:],
    "--range 10000000-": b"",
    "--lines 150-151": b"".join(LINES[149:151]),
    "--lines 199-": b"".join(LINES[198:]),
    "--lines 7": LINES[6],
}
RECORDS = {
    "--record 150": LINES[150],
    "--record 198-300": b"".join(LINES[198:]),
    "--record 500": b"",
    "--key n=17": LINES[17],
    "--key id=user-0": LINES[0],
    "--key id=user-": b"",
}


@pytest.mark.parametrize("part", [*PARTS, *RECORDS])
def test_parts_of_a_file(part: str, path: Path) -> None:
    done = run("cat", *part.split(), str(path))
    assert (done.returncode, done.stdout, done.stderr) == (0, (PARTS | RECORDS)[part], b"")


@pytest.mark.parametrize("part", ["--range 9000-9999", "--lines 150-151"])
def test_parts_of_a_pipe(part: str, path: Path) -> None:
    done = run("cat", *part.split(), stdin=path.read_bytes())
    assert (done.returncode, done.stdout, done.stderr) == (0, PARTS[part], b"")


def test_lines_without_an_index(tmp_path: Path) -> None:
    path = tmp_path / "plain.llmz"
    path.write_bytes(llmzip.compress(PLAIN, level=1) + llmzip.compress(b"more", level=1))
    assert run("cat", "--lines", "200-201", str(path)).stdout == LINES[199] + b"more"
    done = run("cat", "--record", "3", str(path))
    assert done.returncode == 1
    assert b"no index of records" in done.stderr


WRONG = ["--range 5-4", "--range x", "--lines -", "--record 1-2-3", "--key id", "--range 1 --lines 1"]


@pytest.mark.parametrize("part", WRONG)
def test_wrong_parts(part: str, path: Path) -> None:
    done = run("cat", *part.split(), str(path))
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
