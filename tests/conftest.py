from __future__ import annotations

from pathlib import Path

import pytest

from llmzip.network.model import Model, load_model

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
    """A small trained model: 512 tokens, width 32, hashed embeddings of pairs and triples."""
    return load_model(TINY_PATH)


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
