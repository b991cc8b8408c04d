"""Softmax in integers: from the head's products to cumulative frequencies of tokens."""

from __future__ import annotations

import numpy as np
from numba import njit

from llmzip.fixed_point import exp_weight, rescale_sum

FREQUENCY_BITS = 24
"""A token distribution is integers whose sum is at most 2^24, each at least 1."""


@njit(cache=True, nogil=True)
def token_frequencies(sums, multiplier, bias, coarse, fine, cumulative):
    """Softmax of the head's products as cumulative integer frequencies ``[rows, V + 1]``."""
    vocabulary = bias.size
    weights = np.empty(vocabulary, np.int64)
    for r in range(sums.shape[0]):
        best = np.int64(-(1 << 62))
        for v in range(vocabulary):
            weights[v] = rescale_sum(sums[r, v], multiplier[v]) + bias[v]
            best = max(best, weights[v])
        total = np.int64(0)
        for v in range(vocabulary):
            weights[v] = exp_weight(best - weights[v], coarse, fine)
            total += weights[v]
        inverse = (np.int64((1 << FREQUENCY_BITS) - vocabulary) << 36) // total
        running = np.int64(0)
        cumulative[r, 0] = 0
        for v in range(vocabulary):
            running += ((weights[v] * inverse) >> 36) + 1
            cumulative[r, v + 1] = running
