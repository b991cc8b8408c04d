"""The wheel for Windows: built here, then used and tested by a Python for Windows under Wine.

Wants clang, mingw-w64 and Wine, and, as no package registry has them together, a folder with the embeddable Python for
64-bit Windows and one with wheels for it of what pyproject.toml and these tests depend on, named by the variables
LLMZIP_WINDOWS_PYTHON and LLMZIP_WINDOWS_WHEELS.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import llmzip
from tests.conftest import GOLDEN

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "packaging" / "windows" / "build.py"
TESTS = ("format", "mixing/test_context.py", "network/test_network.py", "blocks/test_methods.py")
FOLDERS = [os.environ.get(name, "") for name in ("LLMZIP_WINDOWS_PYTHON", "LLMZIP_WINDOWS_WHEELS")]
TOOLS = ("wine", "x86_64-w64-mingw32-gcc-posix")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(os.path.isdir, FOLDERS)), reason="no Python for Windows, or no wheels for it"),
    pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="no Wine or no mingw-w64"),
]
RANDOM_BYTES = r"""
#include <windows.h>
#include <ntsecapi.h>
__declspec(dllexport) int ProcessPrng(unsigned char *data, size_t size) { return RtlGenRandom(data, (ULONG)size); }
"""
"""A library that Windows has since 2009 and Wine 8 has not; constriction wants it."""


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Python for Windows and the wheel that was built here, installed."""
    folder = tmp_path_factory.mktemp("windows")
    subprocess.run([sys.executable, BUILD, folder], check=True)
    shutil.copytree(FOLDERS[0], folder / "python")
    (settings,) = (folder / "python").glob("python*._pth")
    settings.write_text(f"{settings.stem}.zip\n.\nsite\nimport site\n")
    for wheel in [*Path(FOLDERS[1]).glob("*.whl"), *folder.glob("*.whl")]:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "python" / "site")
    (folder / "random.c").write_text(RANDOM_BYTES)
    library = folder / "python" / "bcryptprimitives.dll"
    subprocess.run([TOOLS[1], "-shared", "-o", library, folder / "random.c", "-ladvapi32"], check=True)
    shutil.copytree(ROOT / "tests", folder / "tests")
    return folder


def python(folder: Path, *arguments: str | Path) -> bytes:
    """What a Python for Windows prints."""
    environment = os.environ | {"WINEPREFIX": str(folder / "wine"), "WINEDEBUG": "-all", "PYTHONPATH": ""}
    done = subprocess.run(
        ["wine", folder / "python" / "python.exe", *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode(errors="replace")
    return done.stdout


def test_it_is_windows(windows: Path) -> None:
    assert python(windows, "-c", "import sys; print(sys.platform)").split()[-1] == b"win32"


@pytest.mark.parametrize("level", [1, 6])
def test_files_are_the_same_and_come_back(windows: Path, level: int) -> None:
    plain = (GOLDEN / "plain.txt").read_bytes()
    (windows / "plain.txt").write_bytes(plain)
    python(windows, "-m", "llmzip", "compress", f"-{level}", "-f", "--threads", "2", "plain.txt")
    assert (windows / "plain.txt.llmz").read_bytes() == llmzip.compress(plain, level)
    python(windows, "-m", "llmzip", "decompress", "-f", "plain.txt.llmz", "-o", "back.txt")
    assert (windows / "back.txt").read_bytes() == plain


def test_the_tests_pass_there(windows: Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "-o", "markers=slow"]
    assert b" passed" in python(windows, "-m", "pytest", *options, *(f"tests/{name}" for name in TESTS))
