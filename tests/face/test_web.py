"""The page in the browser: what stands in for constriction there."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import constriction
import numpy as np
import pytest

WEB = Path(__file__).parents[2] / "packaging" / "web"


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
