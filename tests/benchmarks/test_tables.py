"""Tables of the documents, from result files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmzip.benchmarks import results, tables
from llmzip.benchmarks.tables import CannotWrite, with_tables
from tests.benchmarks.test_bench import row

MACHINE = {
    "cpu": "some CPU", "instruction_sets": "avx2", "cores": 2, "memory_gib": 8, "system": "Linux", "python": "3.11",
}  # fmt: skip
STAMP = {"machine": MACHINE, "date": "2026-01-01", "versions": {"xz -9e": "liblzma 5"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = [
        {"file": "a.txt", "bytes": 1000, "rows": [row("xz -9e", 300), row("llmzip -1", 280), row("llmzip -6", 200)]},
        {"file": "b.txt", "bytes": 2000, "rows": [row("xz -9e", 500), row("llmzip -6", 600), row("paq8px -8", 400)]},
    ]
    kinds: list[dict[str, Any]] = [
        {"kind": "tables", "bytes": 1000, "origin": "a package",
         "sizes": {"xz -9e": 300, "paq8px -8": 200, "llmzip -1": 310, "llmzip -6": 220}},
        {"kind": "prose", "bytes": 900, "origin": "another",
         "sizes": {"xz -9e": 400, "paq8px -8": 250, "llmzip -1": 260, "llmzip -6": 200}},
    ]  # fmt: skip
    results.save({**STAMP, "files": files}, tmp_path / "results" / "bench.json")
    results.save({**STAMP, "kinds": kinds, "in_corpus": {"prose": 0.0512}}, tmp_path / "results" / "kinds.json")
    return tmp_path / "results"


def filled(name: str, folder: Path) -> list[str]:
    return with_tables(f"before\n<!-- table: {name} -->\nold\n<!-- end -->\nafter", folder).splitlines()


def test_sizes_come_with_the_smallest_in_bold(folder: Path) -> None:
    lines = filled("sizes", folder)
    assert lines[0] == "before"
    assert lines[2] == "| file | bytes | llmzip -6 | llmzip -1 | xz -9e | paq8px -8 |"
    assert lines[4] == "| a.txt | 1,000 | **200** | 280 | 300 | - |"
    assert lines[5] == "| b.txt | 2,000 | 600 | - | 500 | **400** |"
    assert "some CPU (avx2), 2 cores" in lines[7]
    assert "liblzma 5" in lines[7]
    assert lines[-2:] == ["<!-- end -->", "after"]


def test_speeds_are_of_the_largest_file_or_the_named_one(folder: Path) -> None:
    lines = filled("speeds", folder)
    assert lines[2].startswith("| b.txt | bytes |")
    assert lines[4] == "| paq8px -8 | 400 | 1.600 | 2.0 | 1.0 | 10 | 20 | 1.0 | 1.0 |"
    assert filled("speeds a.txt", folder)[4].startswith("| llmzip -6 | 200 | 1.600 |")
    with pytest.raises(CannotWrite, match=r"no file 'c.txt'"):
        filled("speeds c.txt", folder)


def test_kinds_name_the_losers(folder: Path) -> None:
    text = "\n".join(filled("kinds", folder))
    assert "| tables | 1,000 | 310 | 220 | 300 | **200** | 1.100 |" in text
    assert "* llmzip -6 larger than paq8px -8: tables (220; 200)\n" in text
    assert "* llmzip -1 larger than xz -9e: tables (310; 300)" in text
    assert "* llmzip -6 larger than llmzip -1: none" in text
    assert "| prose | 900 | 5 | another |" in "\n".join(filled("kind-files", folder))


def test_what_has_no_result_says_so_and_unknown_tables_are_refused(folder: Path) -> None:
    assert "Not measured yet: there is no benchmarks/results/stream.json." in filled("stream", folder)
    with pytest.raises(CannotWrite, match="no table 'tides'"):
        filled("tides", folder)
    with pytest.raises(CannotWrite, match="no <!-- end -->"):
        with_tables("<!-- table: sizes -->\n", folder)


def test_the_command_writes_and_checks(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    readme = tmp_path / "README.md"
    readme.write_text("# A\n\n<!-- table: sizes -->\n<!-- end -->\n")
    arguments = ["--root", str(tmp_path), "--results", str(folder)]
    checked = CliRunner().invoke(tables.main, [*arguments, "--check"])
    assert checked.exit_code == 1
    assert "README.md: differs from the result files" in checked.output
    assert "| a.txt |" not in readme.read_text()
    assert CliRunner().invoke(tables.main, arguments).exit_code == 0
    assert "| a.txt |" in readme.read_text()
    assert (tmp_path / "docs" / "size-speed.svg").read_text().startswith("<svg xmlns=")
    assert CliRunner().invoke(tables.main, [*arguments, "--check"]).exit_code == 0


def test_the_documents_agree_with_the_result_files() -> None:
    result = CliRunner().invoke(tables.main, ["--check"])
    assert result.exit_code == 0, result.output
