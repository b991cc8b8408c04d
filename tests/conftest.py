from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llmzip.model import Model, load_model, pack_model

GOLDEN = Path(__file__).parent / "golden"
TINY_PATH = str(GOLDEN / "tiny.llmzmodel")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs --slow"))


@pytest.fixture(scope="session")
def tiny() -> Model:
    """A small trained model: 512 tokens, width 32."""
    return load_model(TINY_PATH)


@pytest.fixture(scope="session")
def tiny_with_ngrams(tiny: Model) -> Model:
    """The small model with random hashed embeddings of 4 bits: 128 pairs reach half of the channels, 64 triples a
    quarter."""
    random = np.random.default_rng(4)
    width = tiny.config.decoder.width
    config = replace(
        tiny.config, bigram_bits=7, bigram_width=width // 2, bigram_weight_bits=4, trigram_bits=6,
        trigram_width=width // 4,
    )  # fmt: skip
    hashed: dict[str, NDArray] = {}
    for name, rows, columns in (("bigram", 128, width // 2), ("trigram", 64, width // 4)):
        hashed[f"decoder.{name}_embedding"] = random.integers(-7, 8, (rows, columns)).astype(np.int8)
        hashed[f"decoder.{name}_multiplier"] = random.integers(0, 1 << 25, rows).astype(np.int32)
    return Model(pack_model(config, tiny.vocabulary, tiny.tensors | hashed))


@pytest.fixture(scope="session")
def shipped() -> Model:
    return load_model()


@pytest.fixture(scope="session")
def text() -> bytes:
    """Some prose, markup, code and log lines, then 6 KB of lines that resemble each other."""
    lines = (
        f"{i}. The quick brown fox jumps over {i * 37 % 101} lazy dogs; "
        f"naïve café, “quoted” — <tag id='{i}'>so on</tag>.\n"
        for i in range(60)
    )
    return (GOLDEN / "plain.txt").read_bytes() + "".join(lines).encode()
