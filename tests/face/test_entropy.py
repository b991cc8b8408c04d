"""Entropy by token: sums against coded sizes, and its three outputs."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import llmzip
from llmzip.blocks.tokens import encode_tokens
from llmzip.cli.commands import main
from llmzip.cli.entropy_page import Shading, entropy_page
from llmzip.network.model import Model
from llmzip.progress import SILENT

from .conftest import TINY_PATH


def test_surprisal_adds_up_to_what_token_mode_stores(tiny: Model, text: bytes) -> None:
    estimates = llmzip.entropy(text, tiny)
    coded = len(encode_tokens(tiny, tiny.tokenizer.encode(text), 1, None, None, SILENT))
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


def test_empty_text_has_no_entropy(tiny: Model) -> None:
    assert llmzip.entropy(b"", tiny).summary()["bits"] == 0


def test_page_of_nearly_free_tokens_is_still_in_bits() -> None:
    ones = np.ones(3, np.int64)
    cheap = llmzip.TokenEntropies(np.arange(3), ones, 0.3 * ones, 0.4 * ones)
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
