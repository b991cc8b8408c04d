"""What reading takes in memory was foreseen, whatever the archive, the model and the number of threads."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llmzip.blocks import limits, mixed, tokens
from llmzip.blocks.adaptive import AdaptiveModels
from llmzip.blocks.lanes import cut_into_lanes
from llmzip.format.member import Coded, Header, MemberWriter, Method
from llmzip.network.architecture import ModelConfig
from llmzip.network.model import Model, load_model
from llmzip.network.model_file import expected_arrays, pack_model
from llmzip.progress import SILENT
from llmzip.settings import ReadSettings
from tests.conftest import TINY_PATH

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

CHILD = r"""
import re, sys
from llmzip import LlmzError
from llmzip.settings import ReadSettings
from llmzip.streams import decompress
path, model, threads, limit = sys.argv[1:]
try:
    plain = decompress(open(path, "rb").read(), ReadSettings(model or None, int(threads), int(limit) or None))
    end = f"{len(plain)} bytes"
except LlmzError as error:
    end = type(error).__name__
# Not ru_maxrss, which knows what the process took before it became this program.
print(int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]) * 1024, end)
"""


def read(packed: bytes, folder: Path, model: str = "", threads: int = 1, limit: int = 0) -> tuple[int, str]:
    """Most memory that a process took which read an archive, and how it ended."""
    path = folder / "archive.llmz"
    path.write_bytes(packed)
    command = [sys.executable, "-c", CHILD, str(path), model, str(threads), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    taken, end = done.stdout.split(maxsplit=1)
    return int(taken), end.strip()


def hostile_model() -> bytes:
    """A model whose lanes take as much memory as a small file can make them take."""
    tiny = load_model(TINY_PATH)
    decoder = replace(tiny.config.decoder, layers="a" * 64, heads=8, window=4096, kernel=8)
    config = replace(tiny.config, decoder=decoder)
    arrays = {}
    for name, (dtype, shape) in expected_arrays(config).items():
        entry = tiny.file.entries[name]
        arrays[name] = tiny.file.read(name) if entry.shape == shape else np.zeros(shape, dtype)
    return pack_model(config, tiny.file.read("vocabulary").tobytes(), arrays)


def two_blocks(model: Model, method: Method, lanes: int, text: bytes) -> tuple[bytes, Header]:
    """An archive of two blocks, of which the second has the first one's end read before it."""
    header = Header(13, 12, model.fingerprint[:4])
    writer, models, packed = MemberWriter(header), AdaptiveModels(12, model, 1), b""
    for _ in range(2):
        lengths = cut_into_lanes(text, lanes)
        if method is Method.MIXED:
            payload = mixed.encode(models, text, lengths, 0, None, False, SILENT)
        else:
            payload = tokens.encode(models, text, lengths, None, False, SILENT)
        assert payload is not None
        packed += writer.add(Coded(method, lanes.bit_length() - 1, len(text), payload), text)
    return packed + writer.finish(), header


@pytest.mark.parametrize("method", [Method.TOKENS, Method.MIXED])
def test_lanes_of_a_hostile_model(method: Method, tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "hostile.llmzmodel"
    path.write_bytes(hostile_model())
    assert path.stat().st_size < 1 << 20
    model, lanes = load_model(str(path)), 4
    packed, header = two_blocks(model, method, lanes, text[:1300])
    needed = limits.memory_needed(header, model, 1, lanes)
    taken, end = read(packed, tmp_path, str(path), 1, needed)
    assert end == "2600 bytes"
    assert 0.4 * needed < taken < needed
    assert read(packed, tmp_path, str(path), 1, needed - 1)[1] == "MemoryLimitError"


@pytest.mark.parametrize("threads", [1, 2, 5, 64])
@pytest.mark.parametrize("independent", [False, True])
def test_a_short_archive_and_its_limit(threads: int, independent: bool, tmp_path: Path) -> None:
    """Some 5 KB that announce as much as the limit allows."""
    model = load_model()
    payload = b"\x80\xff" + bytes(range(255)) + bytes(150)
    for block_bits in range(26, 10, -1):
        header = Header(block_bits, min(25, block_bits), model.fingerprint[:4], independent=independent)
        if limits.memory_needed(header, model, 1, 16) <= 1 << 30:
            break
    writer, packed = MemberWriter(header), b""
    for method, parameter in ((Method.CONTEXT, 0), (Method.MIXED, 4), (Method.TOKENS, 4), (Method.MIXED, 8)) * 3:
        start = b"\0" if method is Method.CONTEXT else b""
        packed += writer.add(Coded(method, parameter, 100_000, start + payload), b"")
    packed += writer.finish()
    assert 4000 < len(packed) < 6000
    taken, end = read(packed, tmp_path, "", threads)
    assert end in ("DamagedError", "LlmzError", "MemoryLimitError")
    assert taken < 1 << 30


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 5, 64])
@pytest.mark.parametrize("independent", [False, True])
def test_blocks_side_by_side_and_their_limit(threads: int, independent: bool, tmp_path: Path, text: bytes) -> None:
    """Blocks that are in order, with the shipped model and many lanes."""
    model = load_model()
    header = Header(16, 18, model.fingerprint[:4], independent=independent)
    writer, packed, plain = MemberWriter(header), b"", text[:2000]
    models = AdaptiveModels(18, model, 2)
    for _ in range(5):
        if independent:
            models = AdaptiveModels(18, model, 2)
        payload = mixed.encode(models, plain, cut_into_lanes(plain, 64), 0, None, False, SILENT)
        assert payload is not None
        packed += writer.add(Coded(Method.MIXED, 6, len(plain), payload), plain)
    packed += writer.finish()
    for limit in (limits.memory_needed(header, model, 1, 64), 1 << 30):
        taken, end = read(packed, tmp_path, "", threads, limit)
        assert end == f"{5 * len(plain)} bytes"
        assert taken < limit


def test_any_shape_that_a_file_may_have_is_foreseen() -> None:
    tiny = load_model(TINY_PATH)
    header = Header(12, 12, b"abcd", single=True)
    small = limits.memory_needed(header, tiny, 1, 256)
    for changes in ({"window": 4096}, {"heads": 8}, {"layers": "a" * 64}, {"kernel": 8}, {"hidden": 8192}):
        fields = json.loads(tiny.config.to_json())
        fields["decoder"].update(changes)
        other = copy.copy(tiny)
        other.config = ModelConfig.from_json(json.dumps(fields))
        assert limits.memory_needed(header, other, 1, 256) > small
    assert ReadSettings().memory_bytes == 1 << 30
