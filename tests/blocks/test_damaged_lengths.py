"""A damaged length in a short archive costs seconds at most, with the shipped model too."""

import time

import pytest

import llmzip
from llmzip.errors import LlmzError
from tests.conftest import GOLDEN

MOST_SECONDS = 2.0
HEAD_BYTES = 20
"""Of a member's header, a block's head and the lengths that a payload begins with."""


@pytest.mark.parametrize("level", [1, *(pytest.param(level, marks=pytest.mark.slow) for level in (2, 6))])
def test_damaged_length_is_found_within_two_seconds(level: int) -> None:
    archive = llmzip.compress((GOLDEN / "plain.txt").read_bytes(), level)
    assert 300 < len(archive) < 700
    slowest = 0.0
    for place in range(HEAD_BYTES):
        for flipped in (0x01, 0x80):
            damaged = bytearray(archive)
            damaged[place] ^= flipped
            started = time.process_time()
            with pytest.raises(LlmzError):
                llmzip.decompress(bytes(damaged), threads=1)
            slowest = max(slowest, time.process_time() - started)
    assert slowest < MOST_SECONDS
