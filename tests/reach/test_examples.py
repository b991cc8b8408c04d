"""The scripts in examples/, each with the real library; they compare what they read with what they wrote."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
SLOW = {"shutil_archives"}
"""Codes the ten thousand bytes of a tar archive one by one; test_registration has the same, fast."""


@pytest.mark.parametrize(
    "script",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in SLOW)) for path in EXAMPLES],
)
def test_example(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    if "datasets" not in sys.modules:
        os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}  # read when it is imported
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out


def test_there_are_examples() -> None:
    assert {path.stem for path in EXAMPLES} >= {
        "datasets_json", "fsspec_files", "pandas_tables", "polars_frames", "shutil_archives", "smart_open_files",
        "tarfile_members",
    }  # fmt: skip
