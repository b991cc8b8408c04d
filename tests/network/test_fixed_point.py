from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llmzip.network.fixed_point import EXP_COARSE, EXP_FINE, EXP_LIMIT, exp_weight, integer_sqrt
from llmzip.mixing.logistic import SQUASH, STRETCH, STRETCH_MAX


@given(st.integers(0, 2**62 - 1))
def test_integer_sqrt_is_the_floor(n: int) -> None:
    assert integer_sqrt(n) == math.isqrt(n)


def test_integer_sqrt_around_squares() -> None:
    for root in (1, 2, 3, 2**26 - 1, 2**26 + 1, 94906267, 2**30 + 7, 2**31 - 1):
        for n in (root * root - 1, root * root, root * root + 1):
            assert integer_sqrt(n) == math.isqrt(n)


def test_exp_weight_follows_exp() -> None:
    for below in [*range(0, 3000, 7), *range(3000, EXP_LIMIT, 101)]:
        exact = 2**30 * math.exp(-below / 1024)
        assert abs(exp_weight(below, EXP_COARSE, EXP_FINE) - exact) <= 1.5 + exact * 1e-8
    assert exp_weight(EXP_LIMIT, EXP_COARSE, EXP_FINE) == 0


def test_squash_follows_the_logistic_function_and_stretch_undoes_it() -> None:
    x = np.arange(-STRETCH_MAX, STRETCH_MAX + 1)
    assert np.abs(SQUASH - 65536 / (1 + np.exp(-x / 256))).max() <= 1
    assert (np.diff(SQUASH) >= 0).all()
    assert (np.diff(STRETCH.astype(int)) >= 0).all()
    p = np.arange(16, 65520)
    assert np.abs(SQUASH[STRETCH[p].astype(int) + STRETCH_MAX] - p).max() <= 65
