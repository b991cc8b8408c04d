"""Matrix products of int8 against numpy, for every shape that blocks of rows and outputs leave a rest of."""

from __future__ import annotations

import itertools
import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.integer_product import (
    FASTEST,
    FASTEST_FOR_SMALL_WEIGHTS,
    PLAIN,
    SLICE,
    SMALL_WEIGHT,
    multiply,
    plain_dots,
    row_offsets,
    signed_dots,
    unsigned_dots,
)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 11), st.integers(1, 40), st.sampled_from([1, 16, 32, 64, 128, 256, 1024]),
    st.sampled_from([31, SMALL_WEIGHT, 127]), st.integers(0, 2**32),
)  # fmt: skip
def test_products_equal_numpy(rows: int, outputs: int, length: int, largest: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    weight = random.integers(-largest, largest + 1, (outputs, length)).astype(np.int8)
    inputs = random.integers(-127, 128, (rows, length)).astype(np.int16)
    expected = inputs.astype(np.int32) @ weight.astype(np.int32).T
    first = int(random.integers(outputs // 4 + 1)) * 4
    for way in (PLAIN, FASTEST, FASTEST_FOR_SMALL_WEIGHTS) if largest <= SMALL_WEIGHT else (PLAIN, FASTEST):
        out = np.full((rows, outputs), 7, np.int32)
        multiply(inputs, weight, row_offsets(weight), way, first, outputs, out)
        assert np.array_equal(out[:, first:], expected[:, first:])
        assert (out[:, :first] == 7).all()


def test_extreme_values_do_not_saturate() -> None:
    for way, largest in ((PLAIN, 127), (FASTEST, 127), (FASTEST_FOR_SMALL_WEIGHTS, SMALL_WEIGHT)):
        for value, weight_value in itertools.product((-127, 127), (-largest, largest)):
            weight, inputs = np.full((4, 1024), weight_value, np.int8), np.full((4, 1024), value, np.int16)
            out = np.empty((4, 4), np.int32)
            multiply(inputs, weight, row_offsets(weight), way, 0, 4, out)
            assert (out == 1024 * value * weight_value).all()


@pytest.mark.slow
@pytest.mark.parametrize("features", ["+avx2,+avx,+sse4.2,+ssse3,+fma", "+sse2"])
def test_older_cpus_give_the_same(features: str) -> None:
    """These tests, and those of the network, compiled for a CPU with fewer instruction sets than this one."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("needs an x86 CPU")
    if "+avx2" in features and not llvmlite.binding.get_host_cpu_features().get("avx2"):
        pytest.skip("needs AVX2")
    environment = os.environ | {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features}
    tests = [str(Path(__file__).with_name(name)) for name in ("test_integer_product.py", "test_network.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    subprocess.run(command, env=environment, check=True, timeout=600)


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
