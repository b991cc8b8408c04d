"""What the documents tell a reader to type, typed: shell and Python blocks, in their order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import GOLDEN

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with what the documents speak of."""
    plain = (GOLDEN / "plain.txt").read_bytes().decode(errors="ignore").encode()
    (tmp_path / "book.txt").write_bytes(b"Alice was here.\n" + plain[:1200])
    (tmp_path / "some.log").write_bytes(b"10:15:32 started\n" * 50)
    (tmp_path / "letters").mkdir()
    for number in range(3):
        letter = b"Dear reader,\n" + plain[number * 300 : (number + 1) * 300]
        (tmp_path / "letters" / f"{number}.txt").write_bytes(letter)
    return tmp_path


@pytest.mark.skipif(not shutil.which("bash") or not shutil.which("tar"), reason="needs bash and tar")
@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md"])
def test_documents_tell_what_works(name: str, desk: Path) -> None:
    blocks = BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))
    assert len(blocks) > 1
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "TAR_OPTIONS": "-b 1"}  # thousands of NULs at the end take time
    for language, text in blocks:
        if "pip install" in text:
            continue
        command = [sys.executable, "-c", text] if language == "python" else ["bash", "-e", "-o", "pipefail", "-c", text]
        done = subprocess.run(command, cwd=desk, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
