"""Causal windowed attention in integers: scores by dot products of bytes, softmax by tables, weights of 16 bits."""

from __future__ import annotations

import numpy as np
from numba import njit

from llmzip.architecture import ACTIVATION_STEPS_PER_RMS, HIDDEN_BITS, INT8_MAX
from llmzip.compilation import compiled
from llmzip.fixed_point import (
    EXP_COARSE_BITS,
    EXP_LIMIT,
    RESIDUAL_MAX,
    clip_symmetric,
    normalise_row,
    rescale_sum,
)
from llmzip.integer_product import PLAIN, SLICE, UNSIGNED_OFFSET, plain_dots, signed_dots, unsigned_dots

_NATS_TO_NOTHING = 12 << HIDDEN_BITS
"""A weight of 16 bits is 0 from 11.1 nats below the best score on."""
_FINE_MASK = (1 << EXP_COARSE_BITS) - 1
_VALUE_SHIFT = HIDDEN_BITS - 4  # values are int8 with ACTIVATION_STEPS_PER_RMS = 2^4 steps a unit


@compiled
def _scale_scores(scores, offset, scale, slope):
    """Dot products less ``offset`` to scores, the last position's the nearest; returns the best."""
    farthest = scores.size - 1
    best = np.int32(-(1 << 31))
    for p in range(scores.size):
        score = np.int32((((np.int64(scores[p]) - offset) * scale + (1 << 15)) >> 16) - slope * (farthest - p))
        scores[p] = score
        best = max(best, score)
    return best


@compiled
def _soften(scores, best, coarse, fine, high_bytes, low_bytes):
    """Scores to weights of 16 bits, of which the best one lacks the last 1; returns the sum of all, that 1 included."""
    total = np.int64(0)
    for p in range(scores.size):
        below = np.uint64(min(np.int64(best) - np.int64(scores[p]), EXP_LIMIT))
        product = coarse[below >> np.uint64(EXP_COARSE_BITS)] * fine[below & np.uint64(_FINE_MASK)]
        weight = product >> 46  # 2^16 exp
        total += weight
        weight = min(weight, 65535)
        high_bytes[p] = weight >> 8
        low_bytes[p] = weight & 255
    return total


@compiled
def _add_best_values(scores, best, values, first, out):
    """Add the values of the best positions once more: their weight is 2^16, of which 2^16 - 1 are in already."""
    hits = place = np.int64(0)
    for p in range(scores.size):
        hit = np.int64(scores[p] == best)
        hits += hit
        place += hit * p
    for p in range(place if hits == 1 else 0, place + 1 if hits == 1 else scores.size):
        if scores[p] == best:
            for i in range(out.size):
                out[i] += np.int64(values[i, first + p])


@compiled
def _divide(out, weight_sum):
    """Weighted sums to fixed point with 10 fraction bits, rounded down; float64 only guesses."""
    divisor = np.float64(weight_sum)
    for i in range(out.size):
        dividend = out[i] << _VALUE_SHIFT
        quotient = np.int64(np.floor(np.float64(dividend) / divisor))
        quotient -= np.int64(quotient * weight_sum > dividend)
        quotient += np.int64((quotient + 1) * weight_sum <= dividend)
        out[i] = quotient


@njit(cache=True, nogil=True)
def attend_heads(
    sums, multiplier, temperature, slopes, keys, values, start, window, way, lanes, steps, first_head, head_step,
    coarse, fine, mixed,
):  # fmt: skip
    """Causal windowed attention of every ``head_step``-th head of one layer, from ``first_head`` on.

    Args:
        sums: int32 ``[lanes * steps, 3 d]``, the products that queries, keys and values come from; their factors
            ``multiplier`` int32 ``[3 d]``.
        temperature, slopes: int64 ``[heads]``, as ``llmzip.network.StackWeights`` has them.
        keys, values: the layer's part of the cache, ``[lanes, heads, capacity, head width]`` and ``[lanes, heads, head
            width, capacity]``; new ones are added.
        start: positions in the cache before.
        mixed: int64 ``[lanes * steps, d]``, receives the heads' means of values.
    """
    heads, capacity, head_width = keys.shape[1:]
    width = heads * head_width
    largest_dot = head_width * (ACTIVATION_STEPS_PER_RMS + 1) ** 2  # rows have that root mean square, rounded
    plain = way == PLAIN or head_width % SLICE != 0
    query = np.empty((1, head_width), np.int8)
    scaled = np.empty(head_width, np.int32)
    dots = np.empty((1, capacity), np.int32)
    weights = np.zeros((2, capacity), np.uint8)  # high and low bytes
    partial = np.empty((2, head_width), np.int32)
    none = np.zeros(max(capacity, head_width), np.int32)
    for lane in range(lanes):
        for t in range(steps):
            row, out = sums[lane * steps + t], mixed[lane * steps + t]
            here = start + t
            to_slice = (here // SLICE + 1) * SLICE
            for h in range(first_head, heads, head_step):
                low = h * head_width
                scale, slope = temperature[h], slopes[h]
                reach = window
                if slope > 0:  # farther back, weights are 0 whatever the scores
                    reach = min(window, (2 * (largest_dot * abs(scale) >> 16) + _NATS_TO_NOTHING) // slope + 2)
                first = max(0, here + 1 - reach)
                from_slice = first // SLICE * SLICE
                for i in range(head_width):
                    scaled[i] = clip_symmetric(rescale_sum(row[low + i], multiplier[low + i]), RESIDUAL_MAX)
                normalise_row(scaled, ACTIVATION_STEPS_PER_RMS, query[0])
                query_sum = np.int64(0)
                for i in range(head_width):
                    query_sum += np.int64(query[0, i])
                for i in range(head_width):
                    j = width + low + i
                    scaled[i] = clip_symmetric(rescale_sum(row[j], multiplier[j]), RESIDUAL_MAX)
                normalise_row(scaled, ACTIVATION_STEPS_PER_RMS, scaled)
                for i in range(head_width):
                    keys[lane, h, here, i] = np.uint8(scaled[i] + UNSIGNED_OFFSET)
                    j = 2 * width + low + i
                    value = (rescale_sum(row[j], multiplier[j]) + (1 << (_VALUE_SHIFT - 1))) >> _VALUE_SHIFT
                    values[lane, h, i, here] = np.int8(clip_symmetric(value, INT8_MAX))
                if plain:
                    plain_dots(keys[lane, h], query, first, here + 1, 0, head_width, none, dots)
                else:
                    unsigned_dots(keys[lane, h], query, from_slice, to_slice, 0, head_width, none, dots)
                scores = dots[0, first : here + 1]
                best = _scale_scores(scores, UNSIGNED_OFFSET * query_sum, scale, slope)
                weights[:, from_slice:first] = 0
                weights[:, here + 1 : to_slice] = 0
                high_bytes, low_bytes = weights[0, first : here + 1], weights[1, first : here + 1]
                weight_sum = _soften(scores, best, coarse, fine, high_bytes, low_bytes)
                if plain:
                    plain_dots(values[lane, h], weights, 0, head_width, from_slice, to_slice, none, partial)
                else:
                    signed_dots(values[lane, h], weights, 0, head_width, from_slice, to_slice, none, partial)
                for i in range(head_width):
                    out[low + i] = (np.int64(partial[0, i]) << 8) + np.int64(partial[1, i])
                _add_best_values(scores, best, values[lane, h], first, out[low : low + head_width])
                _divide(out[low : low + head_width], weight_sum)
