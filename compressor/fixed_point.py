"""Integer replacements of square root, exponential and logarithm. Same numbers on every machine: no libm call."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
from numba import njit
from numpy.typing import NDArray

from llmzip.architecture import HIDDEN_BITS

EXP_COARSE_BITS = 6
"""The exponent ``d / 1024`` nats splits into ``d >> 6`` and ``d & 63``, one table each."""
EXP_LIMIT = 22 << HIDDEN_BITS
"""Beyond 22 nats a weight is 0."""
EXP_ONE_BITS = 30
"""``exp(0)`` is ``2^30``."""


def _exp_table(steps: int, nats_per_step: Decimal, one_bits: int) -> NDArray[np.int64]:
    with localcontext() as context:
        context.prec = 40
        return np.array([round((-nats_per_step * i).exp() * 2**one_bits) for i in range(steps)], np.int64)


_COARSE_STEP = Decimal(2**EXP_COARSE_BITS) / Decimal(2**HIDDEN_BITS)
EXP_COARSE = _exp_table((EXP_LIMIT >> EXP_COARSE_BITS) + 1, _COARSE_STEP, 31)
EXP_FINE = _exp_table(1 << EXP_COARSE_BITS, 1 / Decimal(2**HIDDEN_BITS), 31)


@njit(cache=True, nogil=True, inline="always")
def exp_weight(nats_below, coarse, fine):
    """``2^30 exp(-nats_below / 1024)`` for an integer ``nats_below >= 0``; 0 from 22 nats on."""
    if nats_below >= EXP_LIMIT:
        return np.int64(0)
    return (coarse[nats_below >> EXP_COARSE_BITS] * fine[nats_below & ((1 << EXP_COARSE_BITS) - 1)]) >> 32


@njit(cache=True, nogil=True)
def integer_sqrt(n):
    """Floor of the square root of ``0 <= n < 2^62``. float64 only guesses; the result is exact."""
    root = np.int64(np.sqrt(np.float64(n)))
    while root * root > n:
        root -= 1
    while (root + 1) * (root + 1) <= n:
        root += 1
    return root
