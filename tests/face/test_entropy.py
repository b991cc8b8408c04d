"""Entropy by token: sums against coded sizes, and its three outputs."""

from __future__ import annotations

import json
import os
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from llmzip.blocks import tokens
from llmzip.blocks.adaptive import AdaptiveModels
from llmzip.cli.commands import main
from llmzip.cli.entropy_page import Shading, entropy_page
from llmzip.estimates import TokenEntropies
from llmzip.estimates import entropy as estimate
from llmzip.network.model import Model
from llmzip.progress import SILENT
from tests.conftest import TINY_PATH

from .command import llmzip as llmzip_command
from .command import one_line


def test_surprisal_adds_up_to_what_token_mode_stores(tiny: Model, text: bytes) -> None:
    estimates = estimate(text, tiny)
    coded = len(tokens.encode(AdaptiveModels(20, tiny, 1), text, [len(text)], None, False, SILENT))
    assert coded * 8 == pytest.approx(estimates.surprisal.sum(), rel=0.01)
    assert np.array_equal(estimates.offsets[1:], np.cumsum(estimates.lengths)[:-1])
    assert estimates.by_line(text).sum() == pytest.approx(estimates.surprisal.sum())
    assert estimates.by_line(text).size == text.count(b"\n") + (not text.endswith(b"\n"))


def test_expected_and_actual_bits_agree_on_text_that_the_model_draws(tiny: Model) -> None:
    random = np.random.default_rng(3)
    predictor = tiny.predictor(1, 1, None)
    token, drawn, expected = tiny.start_token, 0.0, 0.0
    for _ in range(2000):
        frequencies = np.diff(predictor(np.array([[token]], np.int32))[0]).astype(np.float64)
        shares = frequencies / frequencies.sum()
        token = int(random.choice(shares.size, p=shares))
        drawn -= float(np.log2(shares[token]))
        expected -= float((shares * np.log2(shares)).sum())
    assert drawn == pytest.approx(expected, rel=0.05)


def test_progress_is_told_as_elsewhere(tiny: Model, text: bytes) -> None:
    told: list[tuple[int, int | None]] = []
    estimate(text, tiny, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(text), len(text))
    assert told == sorted(told)


def test_empty_text_has_no_entropy(tiny: Model) -> None:
    assert estimate(b"", tiny).summary()["bits"] == 0


def test_page_of_nearly_free_tokens_is_still_in_bits() -> None:
    ones = np.ones(3, np.int64)
    cheap = TokenEntropies(np.arange(3), ones, 0.3 * ones, 0.4 * ones)
    assert "Surprisal in bits" in entropy_page("a", b"abc", cheap)
    regressed = Shading("regression", 0.5 * ones, as_share=False)
    assert "Regression in bits" in entropy_page("a", b"abc", cheap, regressed)
    assert "Gradient, share of the greatest" in entropy_page("a", b"abc", cheap, Shading("gradient", 0.5 * ones, True))


class _Marks(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text, self.inside = "", False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.inside |= tag == "pre"

    def handle_data(self, data: str) -> None:
        self.text += data if self.inside else ""


def test_command_writes_all_outputs(tmp_path: Path, text: bytes) -> None:
    source, table, page = tmp_path / "a.txt", tmp_path / "a.csv", tmp_path / "a.html"
    source.write_bytes(text)
    result = CliRunner().invoke(
        main, ["entropy", str(source), "--json", "--csv", str(table), "--html", str(page), "--model", TINY_PATH]
    )
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert summary["bytes"] == len(text)
    assert sum(summary["bits_by_line"]) == pytest.approx(summary["bits"], rel=1e-3)
    assert len(table.read_text().splitlines()) == summary["tokens"] + 1
    marks = _Marks()
    marks.feed(page.read_text(encoding="utf-8"))
    assert marks.text.strip() == text.decode(errors="replace").strip()
    missing = CliRunner().invoke(main, ["entropy", str(tmp_path / "none.txt")])
    assert missing.exit_code == 1


def _entropy(*arguments: str | bytes | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return llmzip_command("entropy", "--model", TINY_PATH, *arguments, **options)


def test_command_on_names_and_streams_of_all_kinds(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.txt"
    page = tmp_path / "page.html"
    try:
        with open(name, "wb") as file:
            file.write(b"some text\n")
    except OSError:
        pytest.skip("the file system takes UTF-8 only")
    assert _entropy(name, "--html", page).returncode == 0
    assert r"<title>\udcff.txt</title>" in page.read_text(encoding="utf-8")
    on_stdout = _entropy("-", "--html", "-", stdin=b"some text\n", cwd=tmp_path)
    assert on_stdout.stdout.startswith(b"<!doctype html>")
    assert b"<title>standard input</title>" in on_stdout.stdout
    assert _entropy("-", "--csv", "-", stdin=b"some text\n").stdout.startswith(b"offset,length,surprisal,entropy\n0,")
    assert not (tmp_path / "-").exists()
    (tmp_path / "-").write_bytes(b"a file\n")
    row = json.loads(_entropy("./-", "--json", cwd=tmp_path).stdout)
    assert (row["file"], row["bytes"]) == ("./-", 7)
    for arguments in (["--json", "--html", "-"], ["--csv", "-", "--html", "-"]):
        assert one_line(_entropy(name, *arguments)).startswith("llmzip: only one of")


def test_no_report_replaces_its_source_or_is_left_half(tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_bytes(b"some text\n")
    for option in ("--html", "--csv"):
        assert "is the input itself" in one_line(_entropy(source, option, source))
    assert source.read_bytes() == b"some text\n"
    page = tmp_path / "page.html"
    page.write_bytes(b"before")
    assert _entropy(source, "--html", page).returncode == 0
    assert page.read_bytes().endswith(b"</html>\n")
    assert "No such file" in one_line(_entropy(source, "--html", tmp_path / "none" / "page.html"))
    with open("/dev/full", "wb") as full:
        assert "No space left" in one_line(_entropy(source, "--html", "-", stdout=full))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "page.html"]
