"""The search for benchmark text in training text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from llmzip.benchmarks.overlap import SHINGLE_LETTERS, ShingleIndex, letters, main, shingle_hashes

SENTENCE = b"It was the best of times, it was the worst of times, it was the age of wisdom."


def test_shingles_survive_other_breaks_and_case() -> None:
    index = ShingleIndex([letters(SENTENCE)])
    assert index.hashes.size == letters(SENTENCE).size - SHINGLE_LETTERS + 1
    disguised = b"Prologue. IT WAS THE\nbest of <i>times</i>".replace(b"<i>", b"-").replace(b"</i>", b"-")
    assert index.shared_with(disguised + b" - it was the worst; and more") == []
    found = index.shared_with(b"xx\n" + SENTENCE.upper().replace(b" ", b"\r\n") + b" yy")
    assert found == [letters(SENTENCE).tobytes().decode()]
    start = SENTENCE[:60]
    assert index.shared_with(start + b"?" + SENTENCE) == [
        letters(part).tobytes().decode() for part in (start, SENTENCE)
    ]
    assert ShingleIndex([letters(b"too short")]).shared_with(SENTENCE) == []


@pytest.mark.parametrize(("hidden", "refused"), [(0, False), (1, False), (7, True)])
def test_a_corpus_with_benchmark_passages_is_refused(tmp_path: Path, hidden: int, refused: bool) -> None:
    for part in ("train", "valid"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.txt").write_bytes(b"nothing of the kind " * 50)
    if hidden:
        (tmp_path / "valid" / "a.txt").write_bytes(b"and then " + SENTENCE * hidden + b" he said")
    case = tmp_path / "case"
    case.write_bytes(SENTENCE * 10)
    result = CliRunner().invoke(main, [str(tmp_path), str(case)])
    assert result.exit_code == int(refused)
    assert "shared: 0 shingles in 0 passages\n" in result.output
    assert ("itwasthebest" in result.output) == bool(hidden)


def test_equal_shingles_have_equal_hashes_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmzip.benchmarks.overlap._CHUNK", 64)
    text = np.frombuffer(SENTENCE * 3, np.uint8)
    hashes = shingle_hashes(text)
    assert hashes.size == text.size - SHINGLE_LETTERS + 1
    assert np.array_equal(hashes[: len(SENTENCE)], hashes[len(SENTENCE) : 2 * len(SENTENCE)])
    assert np.unique(hashes).size == len(SENTENCE)


def test_the_share_of_a_file_in_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.txt").write_bytes(b"0123456789" * 3 + SENTENCE + b"and so on" * 20)
    case = tmp_path / "case"
    case.write_bytes(SENTENCE + bytes(range(200, 200 + len(SENTENCE) // 2)) * 2)
    result = CliRunner().invoke(main, [str(tmp_path), str(case), "--as-it-stands", "--json", f"{tmp_path}/k.json"])
    assert "50.0 % in the corpus" in result.output
    assert json.loads((tmp_path / "k.json").read_text())["in_corpus"] == {"case": 0.5}
