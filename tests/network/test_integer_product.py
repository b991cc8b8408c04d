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
from numba import njit
from numpy.typing import NDArray

from llmzip.network.integer_product import (
    DOT_PRODUCTS,
    FASTEST,
    FASTEST_FOR_SMALL_WEIGHTS,
    GROUP,
    PLAIN,
    SMALL_WEIGHT,
    TILE,
    UNSIGNED_OFFSET,
    multiply,
    plain_tiles,
    signed_tile,
    unsigned_tile,
    with_tiles,
)


def moved_up(inputs: NDArray[np.int16]) -> NDArray[np.uint8]:
    return (inputs + UNSIGNED_OFFSET).astype(np.uint8)


@njit
def multiply_signed(tiles, place, inputs, first, after, none, out):  # type: ignore[no-untyped-def]
    signed_tile(tiles, place, inputs, 0, first, after, none, out, TILE)


@njit
def multiply_unsigned(tiles, place, inputs, first, after, none, out):  # type: ignore[no-untyped-def]
    unsigned_tile(tiles, place, inputs, 0, first, after, none, out, TILE)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 19), st.sampled_from([1, 31, 32, 40, 64, 96, 160]), st.sampled_from([1, 4, 18, 32, 128, 1024]),
    st.sampled_from([31, SMALL_WEIGHT, 127]), st.integers(0, 2**32),
)  # fmt: skip
def test_products_equal_numpy(rows: int, outputs: int, length: int, largest: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    weight = random.integers(-largest, largest + 1, (outputs, length)).astype(np.int8)
    inputs = random.integers(-127, 128, (rows, length)).astype(np.int16)
    expected = inputs.astype(np.int32) @ weight.astype(np.int32).T
    first = int(random.integers(outputs // TILE + 1)) * TILE
    matrices = with_tiles(np.stack([np.zeros_like(weight), weight]))
    for way in (PLAIN, FASTEST, FASTEST_FOR_SMALL_WEIGHTS) if largest <= SMALL_WEIGHT else (PLAIN, FASTEST):
        out = np.full((rows, outputs), 7, np.int32)
        multiply(moved_up(inputs), matrices, 1, way, first, outputs, out)
        assert np.array_equal(out[:, first:], expected[:, first:])
        assert (out[:, :first] == 7).all()


def test_extreme_values_do_not_saturate() -> None:
    for way, largest in ((PLAIN, 127), (FASTEST, 127), (FASTEST_FOR_SMALL_WEIGHTS, SMALL_WEIGHT)):
        for value, weight_value in itertools.product((-127, 127), (-largest, largest)):
            weight, inputs = np.full((1, TILE, 1024), weight_value, np.int8), np.full((4, 1024), value, np.int16)
            out = np.empty((4, TILE), np.int32)
            multiply(moved_up(inputs), with_tiles(weight), 0, way, 0, TILE, out)
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
@given(st.integers(1, 40), st.integers(0, 2**32))
def test_tiles_of_keys_and_values_equal_numpy(groups: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    first = int(random.integers(groups))
    none = np.zeros(0, np.int32)
    for matrix, vectors, fast in (
        (random.integers(-127, 128, (TILE, groups * GROUP)).astype(np.int8),
         random.integers(0, 256, (2, groups * GROUP)).astype(np.uint8), multiply_signed),
        (random.integers(0, 256, (TILE, groups * GROUP)).astype(np.uint8),
         random.integers(-127, 128, (1, groups * GROUP)).astype(np.int8), multiply_unsigned),
    ):  # fmt: skip
        expected = vectors[:, first * GROUP :].astype(np.int32) @ matrix[:, first * GROUP :].astype(np.int32).T
        another = np.zeros_like(matrix)  # the tile lies behind another one
        both = np.stack([tile.reshape(TILE, groups, GROUP).swapaxes(0, 1) for tile in (another, matrix)]).reshape(-1)
        out = np.full((len(vectors), 3 * TILE), 7, np.int32)
        for row in range(len(vectors)):
            plain_tiles(both, matrix.size, vectors, row, first, groups, none, out, TILE)
        assert np.array_equal(out[:, TILE : 2 * TILE], expected)
        if DOT_PRODUCTS:
            out[:] = 7
            fast(both, matrix.size, vectors, first, groups, none, out)
            assert np.array_equal(out[:, TILE : 2 * TILE], expected)
            assert (out[:, :TILE] == 7).all()
            assert (out[:, 2 * TILE :] == 7).all()
