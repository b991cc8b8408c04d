"""Archives of every format version so far must decode for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmzip.streams import decompress
from tests.conftest import GOLDEN, TINY_PATH

ARCHIVES = sorted(GOLDEN.glob("v*.llmz"))


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda p: p.stem)
@pytest.mark.parametrize("kernel", ["blas", "compiled"])
def test_golden_archives_decode(path: Path, kernel: str, text: bytes) -> None:
    assert decompress(path.read_bytes(), TINY_PATH, kernel=kernel) == text


def test_there_are_golden_archives_of_every_method() -> None:
    assert len(ARCHIVES) >= 6
