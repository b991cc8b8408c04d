"""The pages in docs/stories: their commands are run, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STORIES = sorted((Path(__file__).parents[2] / "docs" / "stories").glob("*.md"))
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of the blocks of commands; installing is left out, since the test run has done it."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    without_pip = [(language, re.sub(r"^pip install .*\n", "", text, flags=re.MULTILINE)) for language, text in found]
    return [(language, text) for language, text in without_pip if text.strip()]


@pytest.mark.parametrize("page", STORIES, ids=lambda path: path.stem)
def test_story(page: Path, s3: str, tmp_path: Path) -> None:
    assert shutil.which("llmzip", path=str(Path(sys.executable).parent)), "llmzip is not installed"
    work = tmp_path / "work"
    work.mkdir()
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for language, text in blocks(page):
        command = ["sh", "-eu", "-c", text] if language == "sh" else [sys.executable, "-c", text]
        result = subprocess.run(
            command, cwd=work, env=environment, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL
        )
        assert result.returncode == 0, f"{text}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr, result.stderr


def test_there_are_stories() -> None:
    assert {page.stem for page in STORIES} >= {"archivist", "data-scientist", "sysadmin"}
    assert all(blocks(page) for page in STORIES)
