"""The decoder and encoder stacks in integers, for any number of lanes and positions at once.

A call evaluates ``steps`` further positions of every lane and carries convolution tails and attention caches, so that
one position at a time (decompression) and a whole chunk (compression) give identical numbers. Matrix products of int8
run either as float32 BLAS, exact because their sums stay below 2^24, or compiled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from llmzip.architecture import (
    ACTIVATION_STEPS_PER_RMS,
    BIGRAM_FACTORS,
    GATE_STEPS_PER_RMS,
    HIDDEN_BITS,
    HIDDEN_MAX,
    INT8_MAX,
    StackConfig,
    largest_weight,
)
from llmzip.fixed_point import EXP_COARSE, EXP_COARSE_BITS, EXP_FINE, EXP_LIMIT, exp_weight, integer_sqrt
from llmzip.integer_product import (
    FASTEST,
    FASTEST_FOR_SMALL_WEIGHTS,
    PLAIN,
    SLICE,
    SMALL_WEIGHT,
    UNSIGNED_OFFSET,
    plain_dots,
    row_offsets,
    signed_dots,
    unsigned_dots,
)
from llmzip.product_helper import DOWN, IN, NO_HELPER, OUT, UP, ProductBuffers, multiply_shared, new_buffers

MULTIPLIER_BITS = 24
"""Fraction bits of the factors that turn a product's integer sum into a fixed-point value."""
EMBEDDING_MULTIPLIER_BITS = 16
RESIDUAL_MAX = 1 << 22
GATED_SHIFT = 12
"""Gate products reach thousands; only their ratios matter, so they keep fewer fraction bits."""
FREQUENCY_BITS = 24
"""A token distribution is integers whose sum is at most 2^24, each at least 1."""
_HALF = 1 << (MULTIPLIER_BITS - 1)
_PREVIOUS_FACTOR, _CURRENT_FACTOR, _SPREAD_FACTOR = BIGRAM_FACTORS
_NATS_TO_NOTHING = 12 << HIDDEN_BITS
"""An attention weight of 16 bits is 0 from 11.1 nats below the best score on."""
_FINE_MASK = (1 << EXP_COARSE_BITS) - 1
_HIDDEN_HALF = 1 << (HIDDEN_BITS - 1)
_VALUE_SHIFT = HIDDEN_BITS - 4  # attention values are int8 with ACTIVATION_STEPS_PER_RMS = 2^4 steps a unit


class StackWeights(NamedTuple):
    """Integer weights of one stack: ``L`` layers, width ``d``, hidden ``h``, ``H`` heads, ``t`` taps.

    ``*_weight`` are int8 ``[L, out, in]``; ``*_multiplier`` int32 ``[L, out]``, fixed point with 24 fraction bits.
    """

    in_weight: NDArray[np.int8]
    in_multiplier: NDArray[np.int32]
    out_weight: NDArray[np.int8]
    out_multiplier: NDArray[np.int32]
    up_weight: NDArray[np.int8]
    up_multiplier: NDArray[np.int32]
    down_weight: NDArray[np.int8]
    down_multiplier: NDArray[np.int32]
    taps: NDArray[np.int16]
    """``[L, t, d]``, 10 fraction bits, oldest first; zero in attention layers."""
    temperature: NDArray[np.int64]
    """``[L, H]``, 18 fraction bits; zero in convolution layers."""
    slopes: NDArray[np.int64]
    """``[H]``, attention bias per token of distance in 1/1024 nats."""
    cache_slot: NDArray[np.int64]
    """``[L]``, an attention layer's index among its kind; -1 for a convolution layer."""


class ProductOffsets(NamedTuple):
    """:func:`row_offsets` of a stack's matrices, int32 ``[L, out]``."""

    in_offset: NDArray[np.int32]
    out_offset: NDArray[np.int32]
    up_offset: NDArray[np.int32]
    down_offset: NDArray[np.int32]


class Embeddings(NamedTuple):
    """What tokens, and the last two of them hashed, add to the residual stream; multipliers are as for weights."""

    weight: NDArray[np.int8]
    """``[V, d]``"""
    multiplier: NDArray[np.int32]
    bigram_weight: NDArray[np.int8]
    """``[2^k, at most d]``, added to the first channels, or no rows."""
    bigram_multiplier: NDArray[np.int32]


class StackState(NamedTuple):
    """What a stack remembers of each lane: ``n`` lanes."""

    tails: NDArray[np.int32]
    """``[L, n, t - 1, d]``, last inputs of each convolution."""
    keys: NDArray[np.uint8]
    """``[attention layers, n, heads, capacity, head width]``, moved up by 128."""
    values: NDArray[np.int8]
    """``[attention layers, n, heads, head width, capacity]``"""
    length: NDArray[np.int64]
    """``[1]``, positions in the attention cache."""
    last_tokens: NDArray[np.int32]
    """``[n]``, 0 before the first."""


@njit(cache=True, nogil=True, inline="always")
def _clip(value, limit):
    return min(max(value, -limit), limit)


@njit(cache=True, nogil=True, inline="always")
def _rescale(total, multiplier):
    return (np.int64(total) * np.int64(multiplier) + _HALF) >> MULTIPLIER_BITS


@njit(cache=True, nogil=True)
def _normalise_row(row, steps_per_rms, out):
    """RMS-normalise integers and round to int8 multiples of ``1 / steps_per_rms``."""
    square_sum = np.int64(0)
    for i in range(row.size):
        square_sum += np.int64(row[i]) * np.int64(row[i])
    root = integer_sqrt(square_sum << 8) + 1
    inverse = (integer_sqrt(np.int64(steps_per_rms * steps_per_rms * row.size) << 16) << 32) // root
    for i in range(row.size):
        out[i] = _clip((np.int64(row[i]) * inverse + (1 << 35)) >> 36, INT8_MAX)


@njit(cache=True, nogil=True)
def _embed(tokens, last_tokens, side, embeddings, x, quantised):
    """Embeddings of ``tokens`` ``[lanes, steps]`` plus the side vector into the residual stream; normalised, into
    ``quantised``."""
    half = 1 << (EMBEDDING_MULTIPLIER_BITS - 1)
    rows = embeddings.bigram_multiplier.size
    lanes, steps = tokens.shape
    for lane in range(lanes):
        previous = np.int64(last_tokens[lane])
        for t in range(steps):
            r = lane * steps + t
            token = np.int64(tokens[lane, t])
            multiplier = np.int64(embeddings.multiplier[token])
            for i in range(x.shape[1]):
                value = np.int64(embeddings.weight[token, i]) * multiplier + half
                x[r, i] = (value >> EMBEDDING_MULTIPLIER_BITS) + side[i]
            if rows:
                hashed = (previous * _PREVIOUS_FACTOR + token * _CURRENT_FACTOR) & 0xFFFFFFFF
                row = ((hashed * _SPREAD_FACTOR) & 0xFFFFFFFF) * rows >> 32
                multiplier = np.int64(embeddings.bigram_multiplier[row])
                for i in range(embeddings.bigram_weight.shape[1]):
                    value = np.int64(embeddings.bigram_weight[row, i]) * multiplier + half
                    x[r, i] += value >> EMBEDDING_MULTIPLIER_BITS
            previous = token
            _normalise_row(x[r], ACTIVATION_STEPS_PER_RMS, quantised[r])
        last_tokens[lane] = previous


@njit(cache=True, nogil=True)
def _add_to_residual(sums, multiplier, x, quantised):
    for r in range(x.shape[0]):
        for i in range(x.shape[1]):
            x[r, i] = _clip(np.int64(x[r, i]) + _rescale(sums[r, i], multiplier[i]), RESIDUAL_MAX)
        _normalise_row(x[r], ACTIVATION_STEPS_PER_RMS, quantised[r])


@njit(cache=True, nogil=True)
def _convolve(sums, multiplier, taps, tails, lanes, steps, quantised):
    tap_count, width = taps.shape
    history = np.empty((tap_count - 1 + steps, width), np.int32)
    mixed = np.empty(width, np.int64)
    gated = np.empty(width, np.int32)
    for lane in range(lanes):
        history[: tap_count - 1] = tails[lane]
        for t in range(steps):
            row = sums[lane * steps + t]
            newest = history[tap_count - 1 + t]
            for i in range(width):
                b = _clip(_rescale(row[i], multiplier[i]), HIDDEN_MAX)
                u = _clip(_rescale(row[2 * width + i], multiplier[2 * width + i]), HIDDEN_MAX)
                newest[i] = _clip((b * u + _HIDDEN_HALF) >> HIDDEN_BITS, HIDDEN_MAX)
            mixed[:] = _HIDDEN_HALF
            for k in range(tap_count):  # channels are the inner loop: it becomes vector instructions
                for i in range(width):
                    mixed[i] += np.int64(history[t + k, i]) * np.int64(taps[k, i])
            for i in range(width):
                c = _clip(_rescale(row[width + i], multiplier[width + i]), HIDDEN_MAX)
                product = c * _clip(mixed[i] >> HIDDEN_BITS, RESIDUAL_MAX)
                gated[i] = _clip((product + (1 << (GATED_SHIFT - 1))) >> GATED_SHIFT, RESIDUAL_MAX)
            _normalise_row(gated, GATE_STEPS_PER_RMS, quantised[lane * steps + t])
        tails[lane] = history[steps:]


@njit(cache=True, nogil=True)
def _attend(
    sums, multiplier, temperature, slopes, keys, values, start, window, way, lanes, steps, coarse, fine, quantised
):
    """Causal windowed attention of one layer; ``keys``, ``values`` are the layer's part of the cache."""
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
    mixed = np.empty(width, np.int64)
    for lane in range(lanes):
        for t in range(steps):
            row = sums[lane * steps + t]
            here = start + t
            to_slice = (here // SLICE + 1) * SLICE
            for h in range(heads):
                low = h * head_width
                scale, slope = temperature[h], slopes[h]
                reach = window
                if slope > 0:  # farther back, weights are 0 whatever the scores
                    reach = min(window, (2 * (largest_dot * abs(scale) >> 16) + _NATS_TO_NOTHING) // slope + 2)
                first = max(0, here + 1 - reach)
                from_slice = first // SLICE * SLICE
                for i in range(head_width):
                    scaled[i] = _clip(_rescale(row[low + i], multiplier[low + i]), RESIDUAL_MAX)
                _normalise_row(scaled, ACTIVATION_STEPS_PER_RMS, query[0])
                query_sum = np.int64(0)
                for i in range(head_width):
                    query_sum += np.int64(query[0, i])
                for i in range(head_width):
                    j = width + low + i
                    scaled[i] = _clip(_rescale(row[j], multiplier[j]), RESIDUAL_MAX)
                _normalise_row(scaled, ACTIVATION_STEPS_PER_RMS, scaled)
                for i in range(head_width):
                    keys[lane, h, here, i] = np.uint8(scaled[i] + UNSIGNED_OFFSET)
                    j = 2 * width + low + i
                    value = (_rescale(row[j], multiplier[j]) + (1 << (_VALUE_SHIFT - 1))) >> _VALUE_SHIFT
                    values[lane, h, i, here] = np.int8(_clip(value, INT8_MAX))
                if plain:
                    plain_dots(keys[lane, h], query, first, here + 1, 0, head_width, none, dots)
                else:
                    unsigned_dots(keys[lane, h], query, from_slice, to_slice, 0, head_width, none, dots)
                scores = dots[0, first : here + 1]
                farthest = here - first
                best = np.int32(-(1 << 31))
                for p in range(scores.size):
                    dot = np.int64(scores[p]) - UNSIGNED_OFFSET * query_sum
                    score = np.int32(((dot * scale + (1 << 15)) >> 16) - slope * (farthest - p))
                    scores[p] = score
                    best = max(best, score)
                weights[:, from_slice:first] = 0
                weights[:, here + 1 : to_slice] = 0
                weight_sum = np.int64(0)
                high_bytes, low_bytes = weights[0, first : here + 1], weights[1, first : here + 1]
                for p in range(scores.size):
                    below = min(np.int64(best) - np.int64(scores[p]), EXP_LIMIT)
                    weight = (coarse[below >> EXP_COARSE_BITS] * fine[below & _FINE_MASK]) >> 46  # 2^16 exp
                    weight_sum += weight
                    weight = min(weight, 65535)  # what 2^16 has more is added below
                    high_bytes[p] = weight >> 8
                    low_bytes[p] = weight & 255
                if plain:
                    plain_dots(values[lane, h], weights, 0, head_width, from_slice, to_slice, none, partial)
                else:
                    signed_dots(values[lane, h], weights, 0, head_width, from_slice, to_slice, none, partial)
                for i in range(head_width):
                    mixed[low + i] = (np.int64(partial[0, i]) << 8) + np.int64(partial[1, i])
                for p in range(scores.size):
                    if scores[p] == best:
                        for i in range(head_width):
                            mixed[low + i] += np.int64(values[lane, h, i, first + p])
                for i in range(low, low + head_width):
                    mixed[i] = (mixed[i] << _VALUE_SHIFT) // weight_sum
            _normalise_row(mixed, ACTIVATION_STEPS_PER_RMS, quantised[lane * steps + t])


@njit(cache=True, nogil=True)
def _square_relu(sums, multiplier, quantised):
    squares = np.empty(multiplier.size, np.int32)
    for r in range(sums.shape[0]):
        for i in range(multiplier.size):
            value = min(max(_rescale(sums[r, i], multiplier[i]), 0), HIDDEN_MAX)
            squares[i] = (value * value) >> 8
        _normalise_row(squares, GATE_STEPS_PER_RMS, quantised[r])


@njit(cache=True, nogil=True)
def _run_layers_compiled(weights, offsets, way, state, window, lanes, steps, x, buffers, control, coarse, fine):
    """All layers over ``x`` (int32 residual stream); ``buffers.quantised`` holds each product's input in turn."""
    quantised, tall_quantised = buffers.quantised, buffers.tall_quantised
    wide, narrow, tall = buffers.wide, buffers.narrow, buffers.tall
    start = state.length[0]
    for layer in range(weights.cache_slot.size):
        multiply_shared(
            quantised, weights.in_weight[layer], offsets.in_offset[layer], way, wide, control, IN, layer
        )  # fmt: skip
        in_multiplier = weights.in_multiplier[layer]
        slot = weights.cache_slot[layer]
        if slot >= 0:
            _attend(
                wide, in_multiplier, weights.temperature[layer], weights.slopes, state.keys[slot],
                state.values[slot], start, window, way, lanes, steps, coarse, fine, quantised,
            )  # fmt: skip
        else:
            _convolve(wide, in_multiplier, weights.taps[layer], state.tails[layer], lanes, steps, quantised)
        multiply_shared(
            quantised, weights.out_weight[layer], offsets.out_offset[layer], way, narrow, control, OUT, layer
        )  # fmt: skip
        _add_to_residual(narrow, weights.out_multiplier[layer], x, quantised)
        multiply_shared(
            quantised, weights.up_weight[layer], offsets.up_offset[layer], way, tall, control, UP, layer
        )  # fmt: skip
        _square_relu(tall, weights.up_multiplier[layer], tall_quantised)
        multiply_shared(
            tall_quantised, weights.down_weight[layer], offsets.down_offset[layer], way, narrow, control, DOWN, layer
        )  # fmt: skip
        _add_to_residual(narrow, weights.down_multiplier[layer], x, quantised)
    state.length[0] = start + steps


@njit(cache=True, nogil=True)
def _drop_old_positions(state, kept):
    start = state.length[0] - kept
    layers, lanes, heads, _, head_width = state.keys.shape
    for layer in range(layers):
        for lane in range(lanes):
            for h in range(heads):
                for p in range(kept):
                    for i in range(head_width):
                        state.keys[layer, lane, h, p, i] = state.keys[layer, lane, h, start + p, i]
                for i in range(head_width):
                    for p in range(kept):
                        state.values[layer, lane, h, i, p] = state.values[layer, lane, h, i, start + p]
    state.length[0] = kept


@njit(cache=True, nogil=True)
def _token_frequencies(sums, multiplier, bias, coarse, fine, cumulative):
    """Softmax of the head's products as cumulative integer frequencies ``[rows, V + 1]``."""
    vocabulary = bias.size
    weights = np.empty(vocabulary, np.int64)
    for r in range(sums.shape[0]):
        best = np.int64(-(1 << 62))
        for v in range(vocabulary):
            weights[v] = _rescale(sums[r, v], multiplier[v]) + bias[v]
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


class Stack:
    """One stack's weights and its two ways to run."""

    def __init__(self, config: StackConfig, weights: StackWeights, weight_bits: int) -> None:
        self.config = config
        self.weights = weights
        self.offsets = ProductOffsets(
            *(row_offsets(w) for w in (weights.in_weight, weights.out_weight, weights.up_weight, weights.down_weight))
        )
        self._fastest = FASTEST_FOR_SMALL_WEIGHTS if largest_weight(weight_bits) <= SMALL_WEIGHT else FASTEST
        self._float_weights: list[list[NDArray[np.float32]]] | None = None

    def way_to_multiply(self, kernel: str | None) -> int:
        """How a kernel that is not ``"blas"`` multiplies."""
        return PLAIN if kernel == "plain" else self._fastest

    def new_state(self, lanes: int, longest_call: int) -> StackState:
        """State of ``lanes`` fresh lanes for calls of at most ``longest_call`` positions."""
        config, layers = self.config, len(self.config.layers)
        capacity = -(-(config.window - 1 + max(longest_call, 128)) // SLICE) * SLICE
        cache = (config.layers.count("a"), lanes, config.heads)
        return StackState(
            np.zeros((layers, lanes, config.kernel - 1, config.width), np.int32),
            np.zeros((*cache, capacity, config.head_width), np.uint8),
            np.zeros((*cache, config.head_width, capacity), np.int8),
            np.zeros(1, np.int64),
            np.zeros(lanes, np.int32),
        )

    def run(
        self,
        tokens: NDArray[np.int32],
        embeddings: Embeddings,
        side: NDArray[np.int32],
        state: StackState,
        kernel: str | None,
        buffers: ProductBuffers | None = None,
        control: NDArray[np.int64] = NO_HELPER,
    ) -> NDArray[np.int16]:
        """Evaluate ``tokens`` int32 ``[lanes, steps]``; return normalised int8 values as int16 ``[lanes * steps, d]``.

        Args:
            side: int32 ``[d]``, added to every embedding.
            kernel: ``"compiled"`` (or None), ``"plain"`` or ``"blas"``.
            buffers: to use again, for ``tokens.size`` rows; the result is then one of them.
            control: a helper's, which shares ``buffers``.
        """
        lanes, steps = tokens.shape
        x = np.empty((tokens.size, self.config.width), np.int32)
        buffers = buffers or new_buffers(tokens.size, self.config.width, self.config.hidden, 0)
        quantised = buffers.quantised
        if state.length[0] + steps > state.keys.shape[3]:
            _drop_old_positions(state, self.config.window - 1)
        _embed(tokens, state.last_tokens, side, embeddings, x, quantised)
        if kernel != "blas":
            _run_layers_compiled(
                self.weights, self.offsets, self.way_to_multiply(kernel), state, self.config.window, lanes, steps, x,
                buffers, control, EXP_COARSE, EXP_FINE,
            )  # fmt: skip
        else:
            self._run_layers_blas(state, lanes, steps, x, quantised)
        return quantised

    def _run_layers_blas(
        self, state: StackState, lanes: int, steps: int, x: NDArray[np.int32], quantised: NDArray[np.int16]
    ) -> None:
        weights = self.weights
        if self._float_weights is None:
            matrices = (weights.in_weight, weights.out_weight, weights.up_weight, weights.down_weight)
            self._float_weights = [[float_matrix(m) for m in layer] for layer in zip(*matrices, strict=True)]
        tall = np.empty((len(x), self.config.hidden), np.int16)
        start = int(state.length[0])
        for layer, (w_in, w_out, w_up, w_down) in enumerate(self._float_weights):
            sums = quantised.astype(np.float32) @ w_in
            multiplier = weights.in_multiplier[layer]
            slot = weights.cache_slot[layer]
            if slot >= 0:
                _attend(
                    sums, multiplier, weights.temperature[layer], weights.slopes, state.keys[slot],
                    state.values[slot], start, self.config.window, PLAIN, lanes, steps, EXP_COARSE, EXP_FINE, quantised,
                )  # fmt: skip
            else:
                _convolve(sums, multiplier, weights.taps[layer], state.tails[layer], lanes, steps, quantised)
            _add_to_residual(quantised.astype(np.float32) @ w_out, weights.out_multiplier[layer], x, quantised)
            _square_relu(quantised.astype(np.float32) @ w_up, weights.up_multiplier[layer], tall)
            _add_to_residual(tall.astype(np.float32) @ w_down, weights.down_multiplier[layer], x, quantised)
        state.length[0] = start + steps


def float_matrix(weight: NDArray[np.int8]) -> NDArray[np.float32]:
    """int8 ``[out, in]`` as float32 ``[in, out]`` for BLAS."""
    return np.ascontiguousarray(weight.T, np.float32)


def rescale(sums: NDArray[np.int64], multiplier: NDArray[np.int32]) -> NDArray[np.int64]:
    """Fixed-point value of a product's sums, as the kernels compute it."""
    return (sums.astype(np.int64) * multiplier.astype(np.int64) + _HALF) >> MULTIPLIER_BITS
