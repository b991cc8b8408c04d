"""The logistic domain in integers: probabilities in 1/65536, stretched values in 1/256 nats."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

PROBABILITY_BITS = 16
STRETCH_BITS = 8
STRETCH_MAX = 11 << STRETCH_BITS
"""Stretched values lie within +-11 nats: 1/65536 is about -11.1."""


def _squash_table() -> NDArray[np.int32]:
    with localcontext() as context:
        context.prec = 30
        one, scale = Decimal(1), Decimal(1 << PROBABILITY_BITS)
        ratio = (Decimal(-1) / (1 << STRETCH_BITS)).exp()
        odds = (Decimal(STRETCH_MAX) / (1 << STRETCH_BITS)).exp()
        values = []
        for _ in range(2 * STRETCH_MAX + 1):
            values.append(int(scale / (one + odds)))
            odds *= ratio
    return np.clip(np.array(values, np.int32), 1, (1 << PROBABILITY_BITS) - 1)


SQUASH = _squash_table()
"""``SQUASH[x + STRETCH_MAX]`` is the probability of a stretched ``x``."""
STRETCH = np.clip(
    np.searchsorted(SQUASH, np.arange(1 << PROBABILITY_BITS), side="right") - 1 - STRETCH_MAX, -STRETCH_MAX, STRETCH_MAX
).astype(np.int16)
"""``STRETCH[p]`` undoes :data:`SQUASH`: the greatest stretched value whose probability is at most ``p``."""
