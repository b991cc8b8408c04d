"""Gated short convolutions of the network, in integers."""

from __future__ import annotations

import numpy as np
from numba import njit

from llmzip.architecture import GATE_STEPS_PER_RMS, HIDDEN_BITS, HIDDEN_MAX
from llmzip.fixed_point import RESIDUAL_MAX, clip_symmetric, normalise_row, rescale_sum

GATED_SHIFT = 12
"""Gate products reach thousands; only their ratios matter, so they keep fewer fraction bits."""
_HIDDEN_HALF = 1 << (HIDDEN_BITS - 1)


@njit(cache=True, nogil=True)
def convolve_lanes(sums, multiplier, taps, tails, first_lane, lane_after, steps, quantised):
    """Gated convolution over the positions of each lane from ``first_lane`` on, and its normalised gate products.

    Args:
        sums: the projection's sums ``[lanes * steps, 3 d]``: input gate, output gate, values.
        multiplier: int32 ``[3 d]``.
        taps: int32 ``[taps, d]``.
        tails: int32 ``[lanes, taps - 1, d]``, the last values of each lane, brought up to date.
        quantised: int16 ``[lanes * steps, d]``, written.
    """
    tap_count, width = taps.shape
    history = np.empty((tap_count - 1 + steps, width), np.int32)
    mixed = np.empty(width, np.int64)
    gated = np.empty(width, np.int32)
    for lane in range(first_lane, lane_after):
        history[: tap_count - 1] = tails[lane]
        for t in range(steps):
            row = sums[lane * steps + t]
            newest = history[tap_count - 1 + t]
            for i in range(width):
                b = clip_symmetric(rescale_sum(row[i], multiplier[i]), HIDDEN_MAX)
                u = clip_symmetric(rescale_sum(row[2 * width + i], multiplier[2 * width + i]), HIDDEN_MAX)
                newest[i] = clip_symmetric((b * u + _HIDDEN_HALF) >> HIDDEN_BITS, HIDDEN_MAX)
            mixed[:] = _HIDDEN_HALF
            for k in range(tap_count):  # channels are the inner loop: it becomes vector instructions
                for i in range(width):
                    mixed[i] += np.int64(history[t + k, i]) * np.int64(taps[k, i])
            for i in range(width):
                c = clip_symmetric(rescale_sum(row[width + i], multiplier[width + i]), HIDDEN_MAX)
                product = c * clip_symmetric(mixed[i] >> HIDDEN_BITS, RESIDUAL_MAX)
                gated[i] = clip_symmetric((product + (1 << (GATED_SHIFT - 1))) >> GATED_SHIFT, RESIDUAL_MAX)
            normalise_row(gated, GATE_STEPS_PER_RMS, quantised[lane * steps + t])
        tails[lane] = history[steps:]
