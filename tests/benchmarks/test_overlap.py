"""The search for benchmark text in training text."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from llmzip.benchmarks.overlap import SHINGLE_LETTERS, ShingleIndex, letters, main

SENTENCE = b"It was the best of times, it was the worst of times, it was the age of wisdom."


def test_shingles_survive_other_breaks_and_case() -> None:
    index = ShingleIndex([SENTENCE])
    assert index.hashes.size == letters(SENTENCE).size - SHINGLE_LETTERS + 1
    disguised = b"Prologue. IT WAS THE\nbest of <i>times</i>".replace(b"<i>", b"-").replace(b"</i>", b"-")
    assert index.shared_with(disguised + b" - it was the worst; and more") == []
    found = index.shared_with(b"xx\n" + SENTENCE.upper().replace(b" ", b"\r\n") + b" yy")
    assert found == [letters(SENTENCE).tobytes().decode()]
    start = SENTENCE[:60]
    assert index.shared_with(start + b"?" + SENTENCE) == [
        letters(part).tobytes().decode() for part in (start, SENTENCE)
    ]
    assert ShingleIndex([b"too short"]).shared_with(SENTENCE) == []


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
