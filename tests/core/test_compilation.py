"""The cache of compiled kernels."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import llmzip


def test_kernels_are_discarded_when_any_module_changes(tmp_path: Path) -> None:
    package = tmp_path / "llmzip"
    shutil.copytree(Path(llmzip.__file__).parent, package, ignore=shutil.ignore_patterns("data", "__pycache__"))
    stale, other = package / "__pycache__" / "f-1.py311.nbi", package / "__pycache__" / "kept.pyc"

    def import_package() -> None:
        subprocess.run([sys.executable, "-c", "import llmzip.network.compilation"], cwd=tmp_path, check=True, timeout=60)

    stale.parent.mkdir()
    import_package()
    for path in (stale, other):
        path.write_bytes(b"")
    import_package()
    assert stale.exists()
    with (package / "fixed_point.py").open("a") as module:
        module.write("# changed\n")
    import_package()
    assert not stale.exists()
    assert other.exists()
