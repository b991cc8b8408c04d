from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that other users can reach and write to."""
    path = Path(tempfile.mkdtemp(prefix="llmzip-test-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)
