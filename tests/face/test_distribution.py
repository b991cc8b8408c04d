"""What is installed: the sdist and the wheel that is built from it, the manual page, completions."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
MOST_WHEEL_BYTES = 60_000_000


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "packaging" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_manual_page_is_that_of_the_commands(reference: ModuleType) -> None:
    """Not the completions: they are click's, and change with it."""
    written = (ROOT / "packaging" / "llmzip.1").read_text(encoding="utf-8")
    assert written == reference.manual_page(), "run python packaging/reference.py"


TYPED = {"--memory": "--memory-limit", "decom": "decompress", "-d --rec": "--recursive", "cat --out": "--output-limit"}


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(("typed", "expected"), TYPED.items())
def test_bash_completes(typed: str, expected: str) -> None:
    words = ["llmzip", *typed.split()]
    script = (
        f"compopt() {{ :; }}; source {ROOT}/packaging/completions/llmzip; COMP_WORDS=({' '.join(words)}); "
        f'COMP_CWORD={len(words) - 1}; _llmzip_completion llmzip; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", script], env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert expected in done.stdout.split(), done.stderr


@pytest.mark.slow
def test_the_sdist_builds_a_wheel_that_works(tmp_path: Path) -> None:
    made = tmp_path / "made"
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(made), str(ROOT)]
    built = subprocess.run(build, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    (wheel,) = made.glob("llmzip-*-cp311-abi3-*.whl")
    assert wheel.stat().st_size < MOST_WHEEL_BYTES
    names = {name.partition(".data/data/")[2] or name for name in zipfile.ZipFile(wheel).namelist()}
    assert names >= {
        "llmzip/data/base.llmzmodel", "llmzip/py.typed", "share/man/man1/llmzip.1",
        "share/bash-completion/completions/llmzip",
    }  # fmt: skip
    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True)
    check = (
        "import llmzip, sys; assert llmzip.__file__.startswith(sys.argv[1]); text = b'some text, more text. ' * 99; "
        "packed = llmzip.compress(text); assert len(packed) < 100; assert llmzip.decompress(packed) == text"
    )
    environment = os.environ | {"PYTHONPATH": str(target)}
    subprocess.run([sys.executable, "-c", check, str(target)], check=True, env=environment, cwd=tmp_path)
