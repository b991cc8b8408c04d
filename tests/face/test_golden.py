"""Archives of every format version so far must decode for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmzip.inspection import describe
from llmzip.streams import decompress
from tests.conftest import GOLDEN, NGRAMS_PATH, TINY_PATH

ARCHIVES = sorted(GOLDEN.glob("v*.llmz"))


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda p: p.stem)
@pytest.mark.parametrize("kernel", ["blas", "compiled"])
def test_golden_archives_decode(path: Path, kernel: str) -> None:
    plain = (GOLDEN / ("broken.txt" if "broken" in path.name else "plain.txt")).read_bytes()
    for charset in ("utf-16-le", "cp1252"):
        if charset in path.name:
            plain = plain.decode().encode(charset, "replace")
    model = NGRAMS_PATH if "ngrams" in path.name else TINY_PATH
    assert decompress(path.read_bytes(), model, kernel=kernel) == plain


def test_there_are_golden_archives_of_every_method() -> None:
    methods: set[str] = set()
    laid_out: set[str] = set()
    lanes: set[int] = set()
    for path in ARCHIVES:
        with path.open("rb") as file:
            described = describe(file)
        methods |= set(described["methods"])
        lanes |= set(described["lanes"])
        if described["laid_out_blocks"]:
            laid_out |= set(described["methods"])
    assert methods >= {"mixed", "mixed_lane", "tokens", "context"}
    assert laid_out >= {"mixed", "mixed_lane", "tokens", "context"}
    assert lanes >= {1, 4, 8}
