"""Integer square root, exponential and RMS norm. Same numbers on every machine: no libm call."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

from llmzip.network.architecture import HIDDEN_BITS, INT8_MAX
from llmzip.network.compilation import compiled, inlined

EXP_COARSE_BITS = 6
"""The exponent ``d / 1024`` nats splits into ``d >> 6`` and ``d & 63``, one table each."""
EXP_LIMIT = 22 << HIDDEN_BITS
"""Beyond 22 nats a weight is 0."""
MULTIPLIER_BITS = 24
"""Fraction bits of the factors that turn a product's integer sum into a fixed-point value."""
RESIDUAL_MAX = 1 << 22
_MULTIPLIER_HALF = 1 << (MULTIPLIER_BITS - 1)
EXP_ONE_BITS = 30
"""``exp(0)`` is ``2^30``."""


def _exp_table(steps: int, nats_per_step: Decimal, one_bits: int) -> NDArray[np.int64]:
    with localcontext() as context:
        context.prec = 40
        return np.array([round((-nats_per_step * i).exp() * 2**one_bits) for i in range(steps)], np.int64)


_COARSE_STEP = Decimal(2**EXP_COARSE_BITS) / Decimal(2**HIDDEN_BITS)
EXP_COARSE = _exp_table((EXP_LIMIT >> EXP_COARSE_BITS) + 1, _COARSE_STEP, 31)
EXP_FINE = _exp_table(1 << EXP_COARSE_BITS, 1 / Decimal(2**HIDDEN_BITS), 31)


@inlined
def exp_weight(nats_below, coarse, fine):
    """``2^30 exp(-nats_below / 1024)`` for an integer ``nats_below >= 0``; 0 from 22 nats on."""
    if nats_below >= EXP_LIMIT:
        return np.int64(0)
    return (coarse[nats_below >> EXP_COARSE_BITS] * fine[nats_below & ((1 << EXP_COARSE_BITS) - 1)]) >> 32


@compiled
def integer_sqrt(n):
    """Floor of the square root of ``0 <= n < 2^62``. float64 only guesses; the result is exact."""
    root = np.int64(np.sqrt(np.float64(n)))
    while root * root > n:
        root -= 1
    while (root + 1) * (root + 1) <= n:
        root += 1
    return root


@inlined
def clip_symmetric(value, limit):
    return min(max(value, -limit), limit)


@inlined
def rescale_sum(total, multiplier):
    return (np.int64(total) * np.int64(multiplier) + _MULTIPLIER_HALF) >> MULTIPLIER_BITS


@compiled
def sum_of_squares(row):
    total = np.int64(0)
    for i in range(row.size):
        total += np.int64(row[i]) * np.int64(row[i])
    return total


@compiled
def inverse_rms(square_sum, size, steps_per_rms):
    """What makes steps of ``size`` integers, with 36 fraction bits, if their squares have this sum."""
    root = integer_sqrt(square_sum << 8) + 1
    return (integer_sqrt(np.int64(steps_per_rms * steps_per_rms * size) << 16) << 32) // root


@inlined
def normalised(value, inverse):
    """An integer times :func:`inverse_rms`, rounded, of int8 range."""
    return clip_symmetric((np.int64(value) * inverse + (1 << 35)) >> 36, INT8_MAX)


@compiled
def normalise_row(row, steps_per_rms, out):
    """RMS-normalise integers and round to int8 multiples of ``1 / steps_per_rms``."""
    inverse = inverse_rms(sum_of_squares(row), row.size, steps_per_rms)
    for i in range(row.size):
        out[i] = normalised(row[i], inverse)
