"""Side information: stored numbers come back, and are stored only where they pay."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmzip.blocks import tokens
from llmzip.blocks.adaptive import AdaptiveModels
from llmzip.blocks.side_information import choose_side, pack_side, read_side
from llmzip.errors import DamagedError, TruncatedError
from llmzip.format.reader import Reader
from llmzip.network.model import Model, load_model
from llmzip.progress import SILENT
from tests.conftest import TINY_PATH

NUMBERS = load_model(TINY_PATH).config.side_numbers


@given(st.lists(st.integers(-127, 127), min_size=NUMBERS, max_size=NUMBERS), st.binary(max_size=5))
def test_stored_numbers_come_back(values: list[int], rest: bytes) -> None:
    model = load_model(TINY_PATH)
    side = np.array(values, np.int8)
    reader = Reader(pack_side(model, side) + rest)
    assert np.array_equal(read_side(model, reader), side)
    assert reader.rest() == rest


@given(st.binary(max_size=255))
def test_any_bytes_are_some_numbers_or_damage(coded: bytes) -> None:
    with contextlib.suppress(DamagedError):
        assert read_side(load_model(TINY_PATH), Reader(bytes([len(coded)]) + coded)).shape == (NUMBERS,)


def test_cut_off(tiny: Model) -> None:
    for data in (b"", b"\x09abc"):
        with pytest.raises(TruncatedError):
            read_side(tiny, Reader(data))


def test_likely_numbers_cost_less_than_unlikely_ones(tiny: Model) -> None:
    likely, unlikely = np.zeros(NUMBERS, np.int8), np.full(NUMBERS, 127, np.int8)
    assert len(pack_side(tiny, likely)) < len(pack_side(tiny, unlikely))


def test_none_for_what_is_too_short_to_pay(tiny: Model) -> None:
    assert choose_side(tiny, b"short") is None
    assert choose_side(tiny, b"A line of text.\n" * 255) is None


@pytest.mark.parametrize("size", [900, 4096, 6000])
def test_what_is_chosen_pays_for_itself(tiny: Model, text: bytes, size: int) -> None:
    plain = (text + text)[:size]
    side = choose_side(tiny, plain)
    chosen, none = (
        len(tokens.encode(AdaptiveModels(0, tiny, 1), plain, [size], numbers, False, SILENT))
        for numbers in (side, None)
    )
    assert chosen <= none * 1.01 + 4
