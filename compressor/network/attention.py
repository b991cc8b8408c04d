"""Causal windowed attention in integers: scores by dot products of bytes, softmax by tables, weights of 16 bits."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from llmzip.network.architecture import ACTIVATION_STEPS_PER_RMS, HIDDEN_BITS, INT8_MAX
from llmzip.network.compilation import compiled, inlined, prefetch
from llmzip.network.fixed_point import (
    EXP_COARSE,
    EXP_COARSE_BITS,
    EXP_FINE,
    RESIDUAL_MAX,
    clip_symmetric,
    normalise_row,
    rescale_sum,
)
from llmzip.network.integer_product import (
    DOT_PRODUCTS,
    GROUP,
    PLAIN,
    TILE,
    UNSIGNED_OFFSET,
    plain_tiles,
    signed_tile,
    unsigned_tile,
)

_NATS_TO_NOTHING = 12 << HIDDEN_BITS
"""A weight of 16 bits is 0 from 11.1 nats below the best score on."""
_BELOW = np.arange(_NATS_TO_NOTHING + 1)
WEIGHTS: NDArray[np.uint16] = np.minimum(
    EXP_COARSE[_BELOW >> EXP_COARSE_BITS] * EXP_FINE[_BELOW & ((1 << EXP_COARSE_BITS) - 1)] >> 46, (1 << 16) - 1
).astype(np.uint16)
"""``2^16 exp(-n / 1024)`` for a score ``n`` below the best; the best's own lacks 1."""
_VALUE_SHIFT = HIDDEN_BITS - 4  # values are int8 with ACTIVATION_STEPS_PER_RMS = 2^4 steps a unit


def tiles_of(size: int) -> int:
    """Tiles that hold ``size`` outputs."""
    return -(-size // TILE)


def groups_of(size: int) -> int:
    """Groups that hold ``size`` inputs."""
    return -(-size // GROUP)


@inlined
def _score(dot, offset, scale, slope, distance):
    return (((np.int64(dot) - offset) * scale + (1 << 15)) >> 16) - slope * distance


@compiled
def _scale_scores(scores, offset, scale, slope):
    """Dot products less ``offset`` to scores, the last position's the nearest; returns the best."""
    farthest = scores.size - 1
    best = np.int32(-(1 << 31))
    for p in range(scores.size):
        score = np.int32(_score(scores[p], offset, scale, slope, farthest - p))
        scores[p] = score
        best = max(best, score)
    return best


@compiled
def _best_score(dots, offset, scale, slope):
    """The best of what :func:`_scale_scores` makes of dot products, which stay."""
    farthest = dots.size - 1
    best = -(1 << 31)
    for p in range(dots.size):
        best = max(best, _score(dots[p], offset, scale, slope, farthest - p))
    return best


@compiled
def _soften(scores, best, table, weights, high_bytes, low_bytes):
    """Scores to weights of 16 bits, and these to their bytes; returns the sum of all."""
    total = np.int64(0)
    for p in range(scores.size):
        weights[p] = table[min(best - scores[p], np.int32(_NATS_TO_NOTHING))]
    for p in range(scores.size):
        total += np.int64(weights[p])
        high_bytes[p] = weights[p] >> 8
        low_bytes[p] = weights[p] & 255
    return total


@compiled
def _add_best_values(scores, best, values, first, out):
    """Add the values of the best positions once more, as the table's weight lacks 1; returns how many there are.

    Args:
        values: ``[tiles of the head width, groups of positions, TILE, GROUP]``.
    """
    hits = place = np.int64(0)
    for p in range(scores.size):
        hit = np.int64(scores[p] == best)
        hits += hit
        place += hit * p
    for p in range(place if hits == 1 else 0, place + 1 if hits == 1 else scores.size):
        if scores[p] == best:
            here = first + p
            for i in range(out.size):
                out[i] += np.int64(values[i // TILE, here // GROUP, i % TILE, here % GROUP])
    return hits


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


@compiled
def _ask_for_newest(keys, values, here, first_head, head_step):
    """Ask for where a lane's keys and values of position ``here`` will be written: tiles spread them over many lines
    of cache, and reading a tile back waits for all of them."""
    heads, key_tiles, key_groups = keys.shape[:3]
    value_tiles, value_groups = values.shape[1:3]
    all_keys, all_values = keys.reshape(-1), values.reshape(-1)
    for h in range(first_head, heads, head_step):
        for group in range(key_groups):
            at = ((h * key_tiles + here // TILE) * key_groups + group) * TILE + here % TILE
            prefetch(all_keys, at * GROUP)
        for tile in range(value_tiles):
            at = ((h * value_tiles + tile) * value_groups + here // GROUP) * TILE * GROUP
            for line in range(0, TILE * GROUP, 64):
                prefetch(all_values, at + line)


@compiled
def _normalise_sums(row, multiplier, first, scaled, out):
    """Sums of a product from ``first`` on, normalised; ``scaled`` is working memory."""
    sums, factors = row[first : first + scaled.size], multiplier[first : first + scaled.size]
    for i in range(scaled.size):
        scaled[i] = clip_symmetric(rescale_sum(sums[i], factors[i]), RESIDUAL_MAX)
    normalise_row(scaled, ACTIVATION_STEPS_PER_RMS, out)


@compiled
def _round_values(row, multiplier, first, out):
    sums, factors = row[first : first + out.size], multiplier[first : first + out.size]
    for i in range(out.size):
        value = (rescale_sum(sums[i], factors[i]) + (1 << (_VALUE_SHIFT - 1))) >> _VALUE_SHIFT
        out[i] = clip_symmetric(value, INT8_MAX)


@compiled
def _attend(
    row, multiplier, temperature, slopes, keys, values, here, window, plain, first_head, head_step, table, query,
    scaled, dots, weights, weight_bytes, partial, means, starts, out,
):  # fmt: skip
    """:func:`attend_heads` for one position ``here`` of one lane."""
    heads, value_tiles = values.shape[:2]
    width = out.size
    head_width = width // heads
    largest_dot = head_width * (ACTIVATION_STEPS_PER_RMS + 1) ** 2  # rows have that root mean square, rounded
    key_groups, value_groups = keys.shape[2], values.shape[2]
    all_keys, all_values = keys.reshape(-1), values.reshape(-1)
    tile_after = here // TILE + 1
    for h in range(first_head, heads, head_step):
        low = h * head_width
        scale, slope = temperature[h], slopes[h]
        _normalise_sums(row, multiplier, low, scaled, query[0])
        query_sum = np.int64(0)
        for i in range(head_width):
            query_sum += np.int64(query[0, i])
        _normalise_sums(row, multiplier, width + low, scaled, scaled)
        key_place = ((h * keys.shape[1] + here // TILE) * key_groups * TILE + here % TILE) * GROUP
        for i in range(head_width):
            all_keys[key_place + i // GROUP * (TILE * GROUP) + i % GROUP] = np.uint8(scaled[i] + UNSIGNED_OFFSET)
        _round_values(row, multiplier, 2 * width + low, scaled)
        value_place = h * value_tiles * value_groups + here // GROUP
        for i in range(head_width):
            group_place = (value_place + i // TILE * value_groups) * (TILE * GROUP)
            all_values[group_place + i % TILE * GROUP + here % GROUP] = np.int8(scaled[i])
        first, first_tile = max(0, here + 1 - window), tile_after
        while first_tile > first // TILE:
            first_tile -= 1
            place = (h * keys.shape[1] + first_tile) * key_groups * (TILE * GROUP)
            if plain:
                plain_tiles(all_keys, place, query, 0, 0, key_groups, starts, dots, first_tile * TILE)
            else:
                unsigned_tile(all_keys, place, query, 0, 0, key_groups, starts, dots, first_tile * TILE)
            if slope > 0 and first_tile == tile_after - 1:
                near = max(first, first_tile * TILE)
                nearest = dots[0, near : here + 1]
                best = np.int64(_best_score(nearest, UNSIGNED_OFFSET * query_sum, scale, slope))
                # So far back that even the largest score there can be makes a weight of 0.
                reach = ((largest_dot * abs(scale) >> 16) + 1 - best + _NATS_TO_NOTHING) // slope + 1
                first = max(first, min(near, here + 1 - reach))
        scores = dots[0, first : here + 1]
        best_score = _scale_scores(scores, UNSIGNED_OFFSET * query_sum, scale, slope)
        group, group_after = first // GROUP, here // GROUP + 1
        weight_bytes[:, group * GROUP : first] = 0
        weight_bytes[:, here + 1 : group_after * GROUP] = 0
        weight_sum = _soften(
            scores, best_score, table, weights, weight_bytes[0, first : here + 1], weight_bytes[1, first : here + 1]
        )
        for tile in range(value_tiles):
            place = (h * value_tiles + tile) * value_groups * (TILE * GROUP)
            if plain:
                plain_tiles(all_values, place, weight_bytes, 0, group, group_after, starts, partial, tile * TILE)
                plain_tiles(all_values, place, weight_bytes, 1, group, group_after, starts, partial, tile * TILE)
            else:
                signed_tile(all_values, place, weight_bytes, 0, group, group_after, starts, partial, tile * TILE)
        for i in range(head_width):
            means[i] = (np.int64(partial[0, i]) << 8) + np.int64(partial[1, i])
        weight_sum += _add_best_values(scores, best_score, values[h], first, means)
        _divide(means, weight_sum)
        for i in range(head_width):
            out[low + i] = np.int32(means[i])


@njit(cache=True, nogil=True)
def attend_heads(
    sums, multiplier, temperature, slopes, keys, values, start, window, way, lanes, steps, first_head, head_step, mixed
):
    """Causal windowed attention of every ``head_step``-th head of one layer, from ``first_head`` on.

    Args:
        sums: int32 ``[lanes * steps, 3 d]``, the products that queries, keys and values come from; their factors
            ``multiplier`` int32 ``[3 d]``.
        temperature, slopes: int64 ``[heads]``, as ``llmzip.network.stack.StackWeights`` has them.
        keys, values: the layer's part of the cache, as ``llmzip.network.stack.StackState`` has it; new ones are added.
        start: positions in the cache before.
        mixed: int32 ``[lanes * steps, d]``, receives the heads' means of values.
    """
    _, heads, key_tiles, key_groups = keys.shape[:4]
    head_width, capacity = mixed.shape[1] // heads, key_tiles * TILE
    query = np.zeros((1, key_groups * GROUP), np.int8)
    scaled = np.empty(head_width, np.int32)
    dots = np.empty((1, capacity), np.int32)
    weights = np.empty(capacity, np.uint16)
    weight_bytes = np.empty((2, capacity), np.uint8)  # high and low
    partial = np.empty((2, values.shape[2] * TILE), np.int32)
    means = np.empty(head_width, np.int64)
    starts = np.empty(0, np.int32)
    plain = way == PLAIN or not DOT_PRODUCTS
    _ask_for_newest(keys[0], values[0], start, first_head, head_step)
    for lane in range(lanes):
        if lane + 1 < lanes:
            _ask_for_newest(keys[lane + 1], values[lane + 1], start, first_head, head_step)
        for t in range(steps):
            row = lane * steps + t
            _attend(
                sums[row], multiplier, temperature, slopes, keys[lane], values[lane], start + t, window, plain,
                first_head, head_step, WEIGHTS, query, scaled, dots, weights, weight_bytes, partial, means,
                starts, mixed[row],
            )  # fmt: skip
