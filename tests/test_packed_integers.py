"""Packed integers against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.packed_integers import pack_integers, packed_size, unpack_integers


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 8), st.integers(0, 70), st.integers(0, 2**32))
def test_packed_integers_come_back(bits: int, count: int, seed: int) -> None:
    half = 1 << (bits - 1)
    values = np.random.default_rng(seed).integers(-half, half, count).astype(np.int8)
    packed = pack_integers(values, bits)
    assert packed.size == packed_size(count, bits)
    expected = np.packbits(
        ((values.astype(np.int64)[:, None] >> np.arange(bits)) & 1).astype(np.uint8).ravel(), bitorder="little"
    )
    assert np.array_equal(packed, expected)
    assert np.array_equal(unpack_integers(packed, bits, count), values)


def test_packed_integers_that_are_cut_off_are_an_error() -> None:
    with pytest.raises(ValueError, match="cut off"):
        unpack_integers(pack_integers(np.zeros(10, np.int8), 6)[:-1], 6, 10)
