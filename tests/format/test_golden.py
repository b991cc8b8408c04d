"""Golden archives must be restored for ever."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import pytest

import llmzip
from llmzip.inspection import describe
from llmzip.settings import ReadSettings
from llmzip.streams import decompress
from tests.conftest import GOLDEN, TINY_PATH
from tests.make_golden import sources

ARCHIVES = sorted(GOLDEN.glob("*.llmz"))
DATA = Path(llmzip.__file__).parent / "data"
PARTS_OF_THE_FORMAT = [DATA / name for name in ("charsets.bin", "context.npz", "primer.txt", "wide.npz")]


IN_PARTS = [
    path for path in ARCHIVES if re.search("(mixed|tokens|lines)-.*(blocks|independent|lanes|groups)", path.stem)
]
"""Those in which threads have parts of their own to work on."""


@pytest.mark.parametrize(
    ("path", "threads"),
    [(path, 1) for path in ARCHIVES] + [(path, 3) for path in IN_PARTS],
    ids=lambda value: getattr(value, "stem", None),
)
def test_golden_archives_are_restored(path: Path, threads: int) -> None:
    plain = next(plain for name, plain in sources().items() if path.name.startswith(f"{name}-"))
    assert decompress(path.read_bytes(), ReadSettings(TINY_PATH, threads)) == plain


def test_there_are_golden_archives_of_every_method() -> None:
    described = [describe(io.BytesIO(path.read_bytes())) for path in ARCHIVES]
    methods = {method for archive in described for method in archive["methods"]}
    assert methods >= {"stored", "lzma", "tokens", "mixed", "context", "copy"}
    assert any(archive["transforms"] for archive in described)
    assert any(archive["independent_blocks"] for archive in described)
    assert {lanes for archive in described for lanes in archive["lanes"]} >= {1, 2, 16}
    transforms = {int(number) for archive in described for number in archive["transforms"]}
    assert transforms == set(range(1, 11))


def test_what_is_frozen_has_not_changed() -> None:
    """An archive that fails to restore is mended in the code, never by making the archive anew."""
    frozen = dict(reversed(line.split()) for line in (GOLDEN / "SHA256SUMS").read_text(encoding="utf-8").splitlines())
    files = [path for path in GOLDEN.iterdir() if path.name != "SHA256SUMS"] + PARTS_OF_THE_FORMAT
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files} == frozen
