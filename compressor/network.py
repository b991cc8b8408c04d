"""The decoder and encoder stacks in integers, for any number of lanes and positions at once.

A call evaluates ``steps`` further positions of every lane and carries convolution tails and attention caches, so that
one position at a time (decompression) and a whole chunk (compression) give identical numbers. Matrix products of int8
run either as float32 BLAS, exact because their sums stay below 2^24, or compiled.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from llmzip.architecture import (
    ACTIVATION_STEPS_PER_RMS,
    GATE_STEPS_PER_RMS,
    HIDDEN_MAX,
    NGRAM_FACTORS,
    NGRAM_SPREAD,
    StackConfig,
    largest_weight,
)
from llmzip.attention import attend_heads, groups_of, tiles_of
from llmzip.compilation import compiled
from llmzip.convolution import convolve_lanes
from llmzip.fixed_point import (
    MULTIPLIER_BITS,
    RESIDUAL_MAX,
    clip_symmetric,
    normalise_row,
    rescale_sum,
)
from llmzip.integer_product import (
    FASTEST,
    FASTEST_FOR_SMALL_WEIGHTS,
    GROUP,
    PLAIN,
    SMALL_WEIGHT,
    TILE,
    Matrices,
    with_tiles,
)
from llmzip.second_core import (
    DOWN,
    IN,
    NO_HELPER,
    OUT,
    UP,
    StepBuffers,
    attend_shared,
    convolve_shared,
    multiply_shared,
    new_buffers,
)

EMBEDDING_MULTIPLIER_BITS = 16
_HALF = 1 << (MULTIPLIER_BITS - 1)


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


class StackMatrices(NamedTuple):
    """A stack's matrices, ready to multiply by."""

    to_inner: Matrices
    """To gates and values of a convolution, or queries, keys and values."""
    from_inner: Matrices
    up: Matrices
    down: Matrices


class Embedding(NamedTuple):
    """Rows that are added to the first channels of the residual stream."""

    weight: NDArray[np.int8]
    """``[rows, at most d]``"""
    multiplier: NDArray[np.int32]
    """``[rows]``, as for weights."""


class Embeddings(NamedTuple):
    """What tokens, and the last two and three of them hashed, add to the residual stream."""

    tokens: Embedding
    """``V`` rows."""
    bigrams: Embedding
    """``2^k`` rows, or none."""
    trigrams: Embedding
    """``2^k`` rows, or none."""


class StackState(NamedTuple):
    """What a stack remembers of each lane: ``n`` lanes."""

    tails: NDArray[np.int32]
    """``[L, n, t - 1, d]``, last inputs of each convolution."""
    keys: NDArray[np.uint8]
    """``[attention layers, n, heads, tiles of positions, groups of head width, TILE, GROUP]``, moved up by 128."""
    values: NDArray[np.int8]
    """``[attention layers, n, heads, tiles of head width, groups of positions, TILE, GROUP]``"""
    length: NDArray[np.int64]
    """``[1]``, positions in the attention cache."""
    last_tokens: NDArray[np.int32]
    """``[n, 2]``, the last and the one before; 0 before the first."""


@compiled
def _add_embedding(embedding, row, out):
    half = 1 << (EMBEDDING_MULTIPLIER_BITS - 1)
    multiplier = np.int64(embedding.multiplier[row])
    for i in range(embedding.weight.shape[1]):
        out[i] += (np.int64(embedding.weight[row, i]) * multiplier + half) >> EMBEDDING_MULTIPLIER_BITS


@compiled
def _add_hashed_embedding(embedding, hashed, out):
    rows = embedding.multiplier.size
    if rows:
        _add_embedding(embedding, (((hashed & 0xFFFFFFFF) * NGRAM_SPREAD) & 0xFFFFFFFF) * rows >> 32, out)


@njit(cache=True, nogil=True)
def _embed(tokens, last_tokens, side, embeddings, x, quantised):
    """Embeddings of ``tokens`` ``[lanes, steps]`` plus the side vector into the residual stream; normalised, into
    ``quantised``."""
    lanes, steps = tokens.shape
    for lane in range(lanes):
        last, before = np.int64(last_tokens[lane, 0]), np.int64(last_tokens[lane, 1])
        for t in range(steps):
            r = lane * steps + t
            token = np.int64(tokens[lane, t])
            x[r] = side
            _add_embedding(embeddings.tokens, token, x[r])
            pair = token * NGRAM_FACTORS[0] + last * NGRAM_FACTORS[1]
            _add_hashed_embedding(embeddings.bigrams, pair, x[r])
            _add_hashed_embedding(embeddings.trigrams, pair + before * NGRAM_FACTORS[2], x[r])
            before, last = last, token
            normalise_row(x[r], ACTIVATION_STEPS_PER_RMS, quantised[r])
        last_tokens[lane, 0], last_tokens[lane, 1] = last, before


@compiled
def _add_to_residual(sums, multiplier, x, quantised):
    for r in range(x.shape[0]):
        for i in range(x.shape[1]):
            x[r, i] = clip_symmetric(np.int64(x[r, i]) + rescale_sum(sums[r, i], multiplier[i]), RESIDUAL_MAX)
        normalise_row(x[r], ACTIVATION_STEPS_PER_RMS, quantised[r])


@njit(cache=True, nogil=True)
def _square_relu(sums, multiplier, quantised):
    squares = np.empty(multiplier.size, np.int32)
    for r in range(sums.shape[0]):
        for i in range(multiplier.size):
            value = min(max(rescale_sum(sums[r, i], multiplier[i]), 0), HIDDEN_MAX)
            squares[i] = (value * value) >> 8
        normalise_row(squares, GATE_STEPS_PER_RMS, quantised[r])


@njit(cache=True, nogil=True)
def _run_layers_compiled(weights, matrices, way, state, window, lanes, steps, x, buffers, control):
    """All layers over ``x`` (int32 residual stream); ``buffers.quantised`` holds each product's input in turn."""
    quantised, tall_quantised = buffers.quantised, buffers.tall_quantised
    wide, narrow, tall = buffers.wide, buffers.narrow, buffers.tall
    start = state.length[0]
    for layer in range(weights.cache_slot.size):
        multiply_shared(quantised, matrices.to_inner, way, wide, control, IN, layer)
        if weights.cache_slot[layer] >= 0:
            attend_shared(weights, state, window, way, lanes, steps, buffers, control, layer)
            for r in range(lanes * steps):
                normalise_row(buffers.mixed[r], ACTIVATION_STEPS_PER_RMS, quantised[r])
        else:
            convolve_shared(weights, state, lanes, steps, buffers, control, layer)
        multiply_shared(quantised, matrices.from_inner, way, narrow, control, OUT, layer)
        _add_to_residual(narrow, weights.out_multiplier[layer], x, quantised)
        multiply_shared(quantised, matrices.up, way, tall, control, UP, layer)
        _square_relu(tall, weights.up_multiplier[layer], tall_quantised)
        multiply_shared(tall_quantised, matrices.down, way, narrow, control, DOWN, layer)
        _add_to_residual(narrow, weights.down_multiplier[layer], x, quantised)
    state.length[0] = start + steps


def _drop_old_positions(state: StackState, kept: int) -> None:
    """Make room in the attention cache by whole tiles of positions, so that at least the last ``kept`` stay."""
    tiles = (int(state.length[0]) - kept) // TILE
    groups = tiles * TILE // GROUP
    state.keys[:, :, :, : state.keys.shape[3] - tiles] = state.keys[:, :, :, tiles:]
    state.values[:, :, :, :, : state.values.shape[4] - groups] = state.values[:, :, :, :, groups:]
    state.length[0] -= tiles * TILE


class Stack:
    """One stack's weights and its two ways to run."""

    def __init__(self, config: StackConfig, weights: StackWeights, weight_bits: int) -> None:
        self.config = config
        self.weights = weights
        self._fastest = FASTEST_FOR_SMALL_WEIGHTS if largest_weight(weight_bits) <= SMALL_WEIGHT else FASTEST
        self._float_weights: list[list[NDArray[np.float32]]] | None = None

    @cached_property
    def matrices(self) -> StackMatrices:
        weights = self.weights
        rows = weights.in_weight, weights.out_weight, weights.up_weight, weights.down_weight
        return StackMatrices(*map(with_tiles, rows))

    def way_to_multiply(self, kernel: str | None) -> int:
        """How a kernel that is not ``"blas"`` multiplies."""
        return PLAIN if kernel == "plain" else self._fastest

    def new_state(self, lanes: int, longest_call: int) -> StackState:
        """State of ``lanes`` fresh lanes for calls of at most ``longest_call`` positions."""
        config, layers = self.config, len(self.config.layers)
        tiles = tiles_of(config.window - 1 + TILE + max(longest_call, 128))
        cache = (config.layers.count("a"), lanes, config.heads)
        of_head = tiles_of(config.head_width), groups_of(config.head_width)
        return StackState(
            np.zeros((layers, lanes, config.kernel - 1, config.width), np.int32),
            np.zeros((*cache, tiles, of_head[1], TILE, GROUP), np.uint8),
            np.zeros((*cache, of_head[0], tiles * TILE // GROUP, TILE, GROUP), np.int8),
            np.zeros(1, np.int64),
            np.zeros((lanes, 2), np.int32),
        )

    def run(
        self,
        tokens: NDArray[np.int32],
        embeddings: Embeddings,
        side: NDArray[np.int32],
        state: StackState,
        kernel: str | None,
        buffers: StepBuffers | None = None,
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
        if state.length[0] + steps > state.keys.shape[3] * TILE:
            _drop_old_positions(state, self.config.window - 1)
        _embed(tokens, state.last_tokens, side, embeddings, x, quantised)
        if kernel != "blas":
            _run_layers_compiled(
                self.weights, self.matrices, self.way_to_multiply(kernel), state, self.config.window, lanes, steps, x,
                buffers, control,
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
        mixed = np.empty((len(x), self.config.width), np.int64)
        start = int(state.length[0])
        for layer, (w_in, w_out, w_up, w_down) in enumerate(self._float_weights):
            sums = quantised.astype(np.float32) @ w_in
            multiplier = weights.in_multiplier[layer]
            slot = weights.cache_slot[layer]
            if slot >= 0:
                attend_heads(
                    sums, multiplier, weights.temperature[layer], weights.slopes, state.keys[slot],
                    state.values[slot], start, self.config.window, PLAIN, lanes, steps, 0, 1, mixed,
                )  # fmt: skip
                for row, out in zip(mixed, quantised, strict=True):
                    normalise_row(row, ACTIVATION_STEPS_PER_RMS, out)
            else:
                convolve_lanes(
                    sums, multiplier, weights.taps[layer], state.tails[layer], 0, lanes, steps, quantised
                )  # fmt: skip
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
