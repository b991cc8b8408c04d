"""Gated short convolutions of the network, in integers."""

from __future__ import annotations

import numpy as np
from numba import njit

from llmzip.network.architecture import HIDDEN_BITS, HIDDEN_MAX
from llmzip.network.compilation import compiled
from llmzip.network.fixed_point import RESIDUAL_MAX, clip_symmetric, rescale_sum

GATED_SHIFT = 12
"""Gate products reach thousands; only their ratios matter, so they keep fewer fraction bits."""
_HIDDEN_HALF = 1 << (HIDDEN_BITS - 1)


@njit(cache=True, nogil=True)
def convolve_lanes(sums, multiplier, taps, tails, first, after, lanes, steps, gated):
    """Gated convolution over the positions of each lane, of the channels from ``first`` to ``after``.

    Args:
        sums: the projection's sums ``[lanes * steps, 3 d]``: input gate, output gate, values.
        multiplier: int32 ``[3 d]``.
        taps: int32 ``[taps, d]``.
        tails: int32 ``[lanes, taps - 1, d]``, the last values of each lane, brought up to date.
        gated: int32 ``[lanes * steps, d]``, receives the gate products.
    """
    tap_count, width = taps.shape
    history = np.empty((tap_count - 1 + steps, after - first), np.int32)
    mixed = np.empty(after - first, np.int64)
    for lane in range(lanes):
        _convolve(
            sums[lane * steps : (lane + 1) * steps], multiplier, taps, tails[lane], first, after, width, history, mixed,
            gated[lane * steps : (lane + 1) * steps],
        )  # fmt: skip


@compiled
def _convolve(sums, multiplier, taps, tails, first, after, width, history, mixed, gated):
    kept, channels, steps = taps.shape[0] - 1, after - first, sums.shape[0]
    in_factors, out_factors = multiplier[first:after], multiplier[width + first : width + after]
    value_factors = multiplier[2 * width + first : 2 * width + after]
    for k in range(kept):
        for i in range(channels):
            history[k, i] = tails[k, first + i]
    for t in range(steps):  # slices from 0 on become vector instructions, ranges of a row do not
        row, newest, out = sums[t], history[kept + t], gated[t, first:after]
        in_sums, out_sums = row[first:after], row[width + first : width + after]
        value_sums = row[2 * width + first : 2 * width + after]
        for i in range(channels):
            b = clip_symmetric(rescale_sum(in_sums[i], in_factors[i]), HIDDEN_MAX)
            u = clip_symmetric(rescale_sum(value_sums[i], value_factors[i]), HIDDEN_MAX)
            newest[i] = clip_symmetric((b * u + _HIDDEN_HALF) >> HIDDEN_BITS, HIDDEN_MAX)
        for i in range(channels):
            mixed[i] = _HIDDEN_HALF
        for k in range(kept + 1):
            past, factors = history[t + k], taps[k, first:after]
            for i in range(channels):
                mixed[i] += np.int64(past[i]) * np.int64(factors[i])
        for i in range(channels):
            c = clip_symmetric(rescale_sum(out_sums[i], out_factors[i]), HIDDEN_MAX)
            product = c * clip_symmetric(mixed[i] >> HIDDEN_BITS, RESIDUAL_MAX)
            out[i] = clip_symmetric((product + (1 << (GATED_SHIFT - 1))) >> GATED_SHIFT, RESIDUAL_MAX)
    for k in range(kept):
        for i in range(channels):
            tails[k, first + i] = history[steps + k, i]
