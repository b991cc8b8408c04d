"""The page in the browser: what stands in for constriction there, and the page itself in headless Chromium.

The page wants Emscripten, Chromium and, as no package registry has them, a folder of Pyodide and one of wheels for it,
named by the variables LLMZIP_PYODIDE and LLMZIP_PYODIDE_WHEELS.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import constriction
import numpy as np
import pytest

import llmzip
from tests.browser import CHROMIUM, Site, served

WEB = Path(__file__).parents[2] / "packaging" / "web"
ALICE = b"Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do.\n"
DRIVE = """<!doctype html><title>drive</title><iframe id="page" src="index.html"></iframe><script>
"use strict";
const frame = document.getElementById("page");
const find = (id) => frame.contentDocument.getElementById(id);
const until = async (what) => { while (!what()) await new Promise((go) => setTimeout(go, 50)); };
const post = (body) => fetch("result", { method: "POST", body });
frame.onload = async () => {
  try {
    await until(() => find("status").textContent === "Ready." || find("error").textContent);
    const asked = new URLSearchParams(location.search);
    const bytes = await (await fetch(asked.get("file"))).arrayBuffer();
    const files = new DataTransfer();
    files.items.add(new File([bytes], asked.get("file")));
    find("level").value = asked.get("level");
    find("file").files = files.files;
    find("file").dispatchEvent(new Event("change"));
    await until(() => find("link") || find("error").textContent);
    await post(find("link") ? await (await fetch(find("link").href)).arrayBuffer() : find("error").textContent);
  } catch (error) { await post(String(error)); }
};
</script>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folders = [os.environ.get(name) for name in ("LLMZIP_PYODIDE", "LLMZIP_PYODIDE_WHEELS")]
    if None in folders or not shutil.which("emcc") or not CHROMIUM:
        pytest.skip("needs Emscripten, Chromium, LLMZIP_PYODIDE and LLMZIP_PYODIDE_WHEELS")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(WEB / "build.py"), str(folder), "--pyodide", folders[0], "--wheels", folders[1]]
    subprocess.run([str(part) for part in command], check=True)
    (folder / "drive.html").write_text(DRIVE, encoding="utf-8")
    with served(folder) as site:
        yield site


def _made_by_page(site: Site, profile: Path, name: str, given: bytes, level: int) -> bytes:
    """What the page offers for a file, or the error that it shows."""
    (site.folder / name).write_bytes(given)
    return site.reported_by(f"drive.html?file={name}&level={level}", profile)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "plain"),
    [
        pytest.param(1, ALICE + bytes(range(97, 123)) * 40 + ALICE[::-1] * 3, id="context"),
        pytest.param(6, ALICE, id="mixed"),
        pytest.param(6, b"".join(b"%d,%d,row %d\n" % (7 * i, i * i, i % 3) for i in range(40)), id="records"),
    ],
)
def test_the_page_makes_and_restores_the_bytes_of_the_command_line(
    site: Site, tmp_path: Path, level: int, plain: bytes
) -> None:
    archive = llmzip.compress(plain, level=level)
    assert _made_by_page(site, tmp_path / "in", "text", plain, level) == archive
    assert _made_by_page(site, tmp_path / "out", "text.llmz", archive, level) == plain


@pytest.mark.slow
def test_the_page_says_what_is_wrong_with_an_archive(site: Site, tmp_path: Path) -> None:
    damaged = bytearray(llmzip.compress(ALICE, level=1))
    damaged[-9] ^= 1
    assert _made_by_page(site, tmp_path, "damaged.llmz", bytes(damaged), 1).startswith(b"DamagedError: ")


@pytest.fixture(scope="module")
def port() -> ModuleType:
    spec = importlib.util.spec_from_file_location("constriction_port", WEB / "constriction.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("count", [0, 1, 64, 2000])
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_the_range_coder_is_constrictions(port: ModuleType, count: int, spread: float) -> None:
    random = np.random.default_rng(count)
    frequencies = np.maximum(1, np.exp(-spread * random.random((count, 255))) * 60000).astype(np.float32)
    common = frequencies.argmax(1).astype(np.int32) if count else np.zeros(0, np.int32)
    symbols = np.where(random.random(count) < 0.8, common, random.integers(0, 255, count)).astype(np.int32)
    coded = []
    for library in (constriction, port):
        encoder = library.stream.queue.RangeEncoder()
        if count:
            encoder.encode(symbols, library.stream.model.Categorical(perfect=False), frequencies)
        coded.append(encoder.get_compressed())
    np.testing.assert_array_equal(*coded)
    if count:
        decoder = port.stream.queue.RangeDecoder(coded[1])
        decoded = decoder.decode(port.stream.model.Categorical(perfect=False), frequencies)
        np.testing.assert_array_equal(decoded, symbols)


def test_rare_symbols_carry_and_foreign_words_are_an_error(port: ModuleType) -> None:
    frequencies = np.ones((4000, 2), np.float32)
    frequencies[:, 0] = 16_000_000
    symbols = np.zeros(4000, np.int32)
    symbols[::7] = 1
    coded = []
    for library in (constriction, port):
        encoder = library.stream.queue.RangeEncoder()
        encoder.encode(symbols, library.stream.model.Categorical(perfect=False), frequencies)
        coded.append(encoder.get_compressed())
    np.testing.assert_array_equal(*coded)
    uniform = np.ones((2000, 3), np.float32)
    for seed in range(20):
        words = np.random.default_rng(seed).integers(0, 1 << 32, 5, np.uint32)
        found = []
        for library in (constriction, port):
            try:
                decoder = library.stream.queue.RangeDecoder(words)
                found.append(list(decoder.decode(library.stream.model.Categorical(perfect=False), uniform)))
            except (AssertionError, ValueError):
                found.append(None)
        assert found[0] == found[1]
