"""Matrix products of int8 against numpy, for every shape that blocks of rows and outputs leave a rest of."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.integer_product import SLICE, fast_product, plain_dots, product, row_offsets, signed_dots, unsigned_dots


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


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_dots_of_part_of_a_matrix_equal_numpy(seed: int) -> None:
    random = np.random.default_rng(seed)
    outputs, length = 4 * int(random.integers(1, 9)), SLICE * int(random.integers(1, 5))
    first, start = 4 * int(random.integers(outputs // 4)), SLICE * int(random.integers(length // SLICE))
    none = np.zeros(outputs, np.int32)
    signed = random.integers(-127, 128, (outputs, length)).astype(np.int8)
    unsigned = random.integers(0, 256, (2, length)).astype(np.uint8)
    for matrix, vectors, fast in (
        (signed, unsigned, signed_dots),
        ((signed.astype(np.int16) + 128).astype(np.uint8), signed[:1], unsigned_dots),
    ):
        expected = vectors[:, start:].astype(np.int32) @ matrix[first:, start:].astype(np.int32).T
        for function in (plain_dots, fast):
            out = np.full((len(vectors), outputs), 7, np.int32)
            function(matrix, vectors, first, outputs, start, length, none, out)
            assert np.array_equal(out[:, first:], expected)
            assert (out[:, :first] == 7).all()
