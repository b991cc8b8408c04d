"""Matrix products of int8 against numpy, for every shape that blocks of rows and outputs leave a rest of."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.integer_product import fast_product, product, row_offsets


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 11), st.integers(1, 40), st.sampled_from([1, 16, 32, 64, 96, 256, 1024]), st.integers(0, 2**32))
def test_products_equal_numpy(rows: int, outputs: int, length: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    weight = random.integers(-127, 128, (outputs, length)).astype(np.int8)
    inputs = random.integers(-127, 128, (rows, length)).astype(np.int16)
    expected = inputs.astype(np.int32) @ weight.astype(np.int32).T
    plain, fast = np.empty((rows, outputs), np.int32), np.empty((rows, outputs), np.int32)
    product(inputs, weight, plain)
    fast_product(inputs, weight, row_offsets(weight), fast)
    assert np.array_equal(plain, expected)
    assert np.array_equal(fast, expected)


def test_extreme_values_do_not_saturate() -> None:
    for value in (-127, 127):
        weight, inputs = np.full((4, 1024), value, np.int8), np.full((4, 1024), value, np.int16)
        out = np.empty((4, 4), np.int32)
        fast_product(inputs, weight, row_offsets(weight), out)
        assert (out == 1024 * 127 * 127).all()
