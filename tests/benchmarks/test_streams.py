"""Long streams, many small files, repeats and slices, small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from llmzip.benchmarks import first_text, many_files, repetition, slices, stream, tables


def test_log_lines_are_the_same_every_time() -> None:
    first, again = (b"".join(stream.log_lines(200_000)) for _ in range(2))
    assert first == again
    assert len(first) == 200_000
    lines = first.splitlines()[:-1]
    assert len(set(lines)) == len(lines)


def test_a_stream_is_measured_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SAMPLE_BYTES", 50_000)
    target = tmp_path / "stream.json"
    options = ["--mb", "0.3", "--repeats", "150000"]
    result = CliRunner().invoke(stream.main, [*options, "--json", str(target)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    report = json.loads(target.read_text())
    for run in report["runs"]:
        marks = [sample["mb"] for sample in run["samples"]]
        assert marks == sorted(marks)
        assert len(marks) >= 6
        assert marks[-1] == pytest.approx(0.3, abs=0.001)
        assert run["packed"] < 75_000
    text = tables.table("stream", tmp_path)
    assert "| compress -1 | 0.3 |" in text
    (tmp_path / "docs").mkdir()
    written = CliRunner().invoke(tables.main, ["--root", str(tmp_path), "--results", str(tmp_path)])
    assert "docs/stream-memory.svg: written" in written.output


def test_first_texts_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_text, "LEVELS", (1,))
    plain, target = tmp_path / "plain.txt", tmp_path / "first_text.json"
    plain.write_bytes(b"".join(stream.log_lines(60_000)))
    result = CliRunner().invoke(first_text.main, [str(plain), "--bytes", "50000", "--json", str(target)])
    assert result.exit_code == 0, result.output
    rows = json.loads(target.read_text())["rows"]
    assert [row[:2] for row in rows] == [["plain.txt", "50,000"], ["lines of a log", "50,000"]]
    assert all(0 < float(row[2]) < 30 for row in rows)


def test_a_stream_that_fails_is_told(tmp_path: Path) -> None:
    import sys

    import click

    with pytest.raises(click.ClickException, match="failed"):
        stream.through_pipe([sys.executable, "-c", "raise SystemExit(3)"], stream.log_lines(1000), len, True)


def test_pieces_come_in_turn_from_each_file() -> None:
    assert many_files.pieces_of([b"aabbc", b"xx"], 9, 2) == [b"aa", b"xx", b"bb"]
    assert many_files.pieces_of([b"aabb", b"xxyy"], 3, 2) == [b"aa", b"xx", b"bb"]


def test_many_files_are_restored_and_compared(tmp_path: Path, text: bytes) -> None:
    source = tmp_path / "text"
    source.write_bytes(text)
    target = tmp_path / "many_files.json"
    options = ["--count", "12", "--size", "300", "--levels", "1", "--json", str(target)]
    result = CliRunner().invoke(many_files.main, [str(source), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    report = json.loads(target.read_text())
    sizes = {row["way"]: row["bytes"] for row in report["rows"]}
    assert sizes["tar, llmzip -1"] < sizes["gzip -9, one by one"]
    assert sizes["llmzip compress -1 -r"] <= 12 * 364
    assert "| tar, llmzip -1 |" in tables.table("many-files", tmp_path)


def test_repetition_and_slices_leave_result_files(tmp_path: Path, text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repetition, "PARAGRAPH_COPIES_BYTES", 60_000)
    monkeypatch.setattr(repetition.repetitive_log, "__defaults__", (60_000, 0.99, 7))
    source = tmp_path / "text"
    source.write_bytes(text)
    for module, options in ((repetition, ["--levels", "1"]), (slices, ["--size", "3000", "--level", "1"])):
        name = module.__name__.rpartition(".")[2]
        target = tmp_path / f"{name}.json"
        result = CliRunner().invoke(module.main, [str(source), *options, "--json", str(target)], catch_exceptions=False)
        assert "Traceback" not in result.output
        report = json.loads(target.read_text())
        assert all(len(cells) == len(report["head"]) for cells in report["rows"])
        assert tables.table(name, tmp_path).startswith("| file |")
