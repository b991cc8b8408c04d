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

from llmzip.network.architecture import (
    ACTIVATION_STEPS_PER_RMS,
    GATE_STEPS_PER_RMS,
    HIDDEN_MAX,
    NGRAM_FACTORS,
    NGRAM_SPREAD,
    StackConfig,
    largest_weight,
)
from llmzip.network.attention import attend_heads, groups_of, tiles_of
from llmzip.network.compilation import compiled
from llmzip.network.convolution import convolve_lanes
from llmzip.network.fixed_point import (
    EXP_COARSE,
    EXP_FINE,
    MULTIPLIER_BITS,
    RESIDUAL_MAX,
    clip_symmetric,
    inverse_rms,
    normalised,
    rescale_sum,
    sum_of_squares,
)
from llmzip.network.integer_product import (
    FASTEST,
    FASTEST_FOR_SMALL_WEIGHTS,
    GROUP,
    PLAIN,
    SMALL_WEIGHT,
    TILE,
    UNSIGNED_OFFSET,
    Matrices,
    multiply,
    with_tiles,
)
from llmzip.network.second_core import NO_HELPER, SecondCore, begin_service, meet, next_step, share_of, start_step
from llmzip.network.softmax import add_up_frequencies, move_up, score_tokens, weigh_tokens

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


class Head(NamedTuple):
    """From hidden states to logits of ``V`` tokens."""

    matrix: Matrices
    """One matrix, ``[1, V, d]``."""
    multiplier: NDArray[np.int32]
    """``[V]``"""
    bias: NDArray[np.int32]
    """``[V]``, in 1/1024 nats."""


class StepBuffers(NamedTuple):
    """What a call reads and writes: ``r`` rows, width ``d``, hidden ``h``, ``V`` tokens."""

    tokens: NDArray[np.int32]
    """``[lanes, steps]``"""
    residual: NDArray[np.int32]
    """``[r, d]``"""
    inputs: NDArray[np.uint8]
    """``[r, d]``, normalised inputs of products, moved up by 128."""
    tall_inputs: NDArray[np.uint8]
    """``[r, h]``, the same."""
    wide: NDArray[np.int32]
    """``[r, 3 d]``, sums of products, as the next four."""
    inner: NDArray[np.int32]
    """``[r, d]``, what comes out of a convolution or attention."""
    narrow: NDArray[np.int32]
    """``[r, d]``"""
    tall: NDArray[np.int32]
    """``[r, h]``"""
    logits: NDArray[np.int32]
    """``[r, V]``"""
    cumulative: NDArray[np.int32]
    """``[r, V + 1]``"""
    shared: NDArray[np.int64]
    """``[4, 2, r]``, for each part: sums of squares; best logits, sums of weights, sums of frequencies."""


def new_buffers(lanes: int, steps: int, config: StackConfig, vocabulary: int) -> StepBuffers:
    rows, width, hidden = lanes * steps, config.width, config.hidden
    return StepBuffers(
        np.zeros((lanes, steps), np.int32),
        np.zeros((rows, width), np.int32),
        np.zeros((rows, width), np.uint8),
        np.zeros((rows, hidden), np.uint8),
        np.zeros((rows, 3 * width), np.int32),
        np.zeros((rows, width), np.int32),
        np.zeros((rows, width), np.int32),
        np.zeros((rows, hidden), np.int32),
        np.zeros((rows, vocabulary), np.int32),
        np.zeros((rows, vocabulary + 1), np.int32),
        np.zeros((4, 2, rows), np.int64),
    )


@compiled
def _add_embedding(embedding, row, first, after, out):
    half = 1 << (EMBEDDING_MULTIPLIER_BITS - 1)
    multiplier = np.int64(embedding.multiplier[row])
    added, sums = embedding.weight[row, first:after], out[first:after]
    for i in range(added.size):
        sums[i] += (np.int64(added[i]) * multiplier + half) >> EMBEDDING_MULTIPLIER_BITS


@compiled
def _add_hashed_embedding(embedding, hashed, first, after, out):
    rows = embedding.multiplier.size
    if rows:
        row = (((hashed & 0xFFFFFFFF) * NGRAM_SPREAD) & 0xFFFFFFFF) * rows >> 32
        _add_embedding(embedding, row, first, after, out)


@compiled
def _embed(tokens, last_tokens, side, embeddings, first, after, residual):
    """Embeddings of ``tokens`` ``[lanes, steps]`` plus the side vector, channels from ``first`` to ``after``."""
    lanes, steps = tokens.shape
    for lane in range(lanes):
        last, before = np.int64(last_tokens[lane, 0]), np.int64(last_tokens[lane, 1])
        for t in range(steps):
            row = residual[lane * steps + t]
            for i in range(first, after):
                row[i] = side[i]
            token = np.int64(tokens[lane, t])
            _add_embedding(embeddings.tokens, token, first, after, row)
            pair = token * NGRAM_FACTORS[0] + last * NGRAM_FACTORS[1]
            _add_hashed_embedding(embeddings.bigrams, pair, first, after, row)
            _add_hashed_embedding(embeddings.trigrams, pair + before * NGRAM_FACTORS[2], first, after, row)
            before, last = last, token


@compiled
def _remember_tokens(tokens, last_tokens):
    for lane in range(tokens.shape[0]):
        for t in range(tokens.shape[1]):
            last_tokens[lane, 1] = last_tokens[lane, 0]
            last_tokens[lane, 0] = tokens[lane, t]


@compiled
def _add_to_residual(sums, multiplier, first, after, residual, square_sums):
    """Add a product; the sums of squares of the channels from ``first`` to ``after`` go to ``square_sums`` ``[r]``."""
    factors = multiplier[first:after]
    for r in range(residual.shape[0]):  # slices from 0 on become vector instructions, ranges of a row do not
        row, added = residual[r, first:after], sums[r, first:after]
        for i in range(row.size):
            row[i] = clip_symmetric(np.int64(row[i]) + rescale_sum(added[i], factors[i]), RESIDUAL_MAX)
        square_sums[r] = sum_of_squares(row)


@compiled
def _square_relu(sums, multiplier, first, after, square_sums):
    """A product to the squares of its positive values, in place; their own squares as in :func:`_add_to_residual`."""
    factors = multiplier[first:after]
    for r in range(sums.shape[0]):
        row = sums[r, first:after]
        for i in range(row.size):
            value = min(max(rescale_sum(row[i], factors[i]), 0), HIDDEN_MAX)
            row[i] = (value * value) >> 8
        square_sums[r] = sum_of_squares(row)


@compiled
def _add_squares(values, first, after, square_sums):
    for r in range(values.shape[0]):
        square_sums[r] = sum_of_squares(values[r, first:after])


@compiled
def _normalise(values, first, after, steps_per_rms, inputs, shared, control, part, parts):
    """RMS-normalise rows into inputs of a product. Each part has its channels, and the sums of their squares in
    ``shared[0, part]``; both have all inputs behind."""
    meet(control, part, parts)
    for r in range(values.shape[0]):
        square_sum = shared[0, 0, r]
        if parts == 2:
            square_sum += shared[0, 1, r]
        inverse = inverse_rms(square_sum, values.shape[1], steps_per_rms)
        row, out = values[r, first:after], inputs[r, first:after]
        for i in range(row.size):
            out[i] = np.uint8(normalised(row[i], inverse) + UNSIGNED_OFFSET)
    meet(control, part, parts)


@njit(cache=True, nogil=True)
def _attend(weights, matrices, way, state, window, lanes, steps, buffers, layer, part, parts):
    """Attention of the part's heads, every second one, from ``buffers.inputs`` to ``buffers.inner``; the last part has
    all where heads are no whole tiles."""
    width, heads = buffers.inner.shape[1], weights.temperature.shape[1]
    first_head, head_step = np.int64(0), np.int64(1)
    if parts == 2 and width // heads % TILE == 0:
        first_head, head_step = part, np.int64(2)
        for h in range(first_head, heads, head_step):
            for third in range(3):
                first = third * width + h * (width // heads)
                multiply(buffers.inputs, matrices.to_inner, layer, way, first, first + width // heads, buffers.wide)
    elif part == parts - 1:
        multiply(buffers.inputs, matrices.to_inner, layer, way, 0, 3 * width, buffers.wide)
    else:
        first_head = heads
    slot = weights.cache_slot[layer]
    attend_heads(
        buffers.wide, weights.in_multiplier[layer], weights.temperature[layer], weights.slopes, state.keys[slot],
        state.values[slot], state.length[0], window, way, lanes, steps, first_head, head_step, buffers.inner,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _convolve(weights, matrices, way, state, lanes, steps, buffers, layer, part, parts):
    """Convolution of the part's channels, from ``buffers.inputs`` to ``buffers.inner``."""
    width = buffers.inner.shape[1]
    first, after = share_of(width, TILE, part, parts)
    for start in range(0, 3 * width, width):
        multiply(buffers.inputs, matrices.to_inner, layer, way, start + first, start + after, buffers.wide)
    convolve_lanes(
        buffers.wide, weights.in_multiplier[layer], weights.taps[layer], state.tails[layer], first, after, lanes, steps,
        buffers.inner,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _run_layers(weights, matrices, embeddings, side, way, state, window, buffers, control, part, parts):
    """Embed ``buffers.tokens`` and run all layers; each part has all normalised states in ``buffers.inputs`` behind."""
    lanes, steps = buffers.tokens.shape
    residual, inputs, inner = buffers.residual, buffers.inputs, buffers.inner
    tall_inputs, narrow, tall, shared = buffers.tall_inputs, buffers.narrow, buffers.tall, buffers.shared
    first, after = share_of(residual.shape[1], TILE, part, parts)
    first_tall, after_tall = share_of(tall.shape[1], TILE, part, parts)
    square_sums = shared[0, part]
    _embed(buffers.tokens, state.last_tokens, side, embeddings, first, after, residual)
    _add_squares(residual, first, after, square_sums)
    _normalise(residual, first, after, ACTIVATION_STEPS_PER_RMS, inputs, shared, control, part, parts)
    for layer in range(weights.cache_slot.size):
        if weights.cache_slot[layer] >= 0:
            _attend(weights, matrices, way, state, window, lanes, steps, buffers, layer, part, parts)
            meet(control, part, parts)  # heads need not be cut where channels are
            _add_squares(inner, first, after, square_sums)
            _normalise(inner, first, after, ACTIVATION_STEPS_PER_RMS, inputs, shared, control, part, parts)
        else:
            _convolve(weights, matrices, way, state, lanes, steps, buffers, layer, part, parts)
            _add_squares(inner, first, after, square_sums)
            _normalise(inner, first, after, GATE_STEPS_PER_RMS, inputs, shared, control, part, parts)
        multiply(inputs, matrices.from_inner, layer, way, first, after, narrow)
        _add_to_residual(narrow, weights.out_multiplier[layer], first, after, residual, square_sums)
        _normalise(residual, first, after, ACTIVATION_STEPS_PER_RMS, inputs, shared, control, part, parts)
        multiply(inputs, matrices.up, layer, way, first_tall, after_tall, tall)
        _square_relu(tall, weights.up_multiplier[layer], first_tall, after_tall, square_sums)
        _normalise(tall, first_tall, after_tall, GATE_STEPS_PER_RMS, tall_inputs, shared, control, part, parts)
        multiply(tall_inputs, matrices.down, layer, way, first, after, narrow)
        _add_to_residual(narrow, weights.down_multiplier[layer], first, after, residual, square_sums)
        _normalise(residual, first, after, ACTIVATION_STEPS_PER_RMS, inputs, shared, control, part, parts)
    if part == 0:  # nobody reads these any more in this call
        state.length[0] += steps
        _remember_tokens(buffers.tokens, state.last_tokens)


@compiled
def _frequencies(logits, head, cumulative, shared, control, coarse, fine, part, parts):
    """The head's sums, of which each part has its tokens, to cumulative frequencies."""
    first, after = share_of(logits.shape[1], TILE, part, parts)
    score_tokens(logits, head.multiplier, head.bias, first, after, shared[1, part])
    meet(control, part, parts)
    weigh_tokens(logits, shared[1, :parts], first, after, coarse, fine, shared[2, part])
    meet(control, part, parts)
    add_up_frequencies(logits, shared[2, :parts], first, after, cumulative, shared[3, part])
    meet(control, part, parts)
    if part == 1:
        move_up(cumulative, first, after, shared[3, 0])
    meet(control, part, parts)


@njit(cache=True, nogil=True)
def _run_part(
    weights, matrices, embeddings, side, head, way, state, window, buffers, control, coarse, fine, part, parts
):
    """What one of the ``parts`` of a call has to compute, from ``buffers.tokens`` to ``buffers.cumulative``."""
    _run_layers(weights, matrices, embeddings, side, way, state, window, buffers, control, part, parts)
    first, after = share_of(buffers.logits.shape[1], TILE, part, parts)
    multiply(buffers.inputs, head.matrix, 0, way, first, after, buffers.logits)
    _frequencies(buffers.logits, head, buffers.cumulative, buffers.shared, control, coarse, fine, part, parts)


@njit(cache=True, nogil=True)
def _run(weights, matrices, embeddings, side, head, way, state, window, buffers, control, coarse, fine):
    """A call, with the second core where that is ready."""
    parts = start_step(control)
    _run_part(
        weights, matrices, embeddings, side, head, way, state, window, buffers, control, coarse, fine, 0, parts
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _serve(weights, matrices, embeddings, side, head, way, state, window, buffers, control, coarse, fine):
    """The second part of calls, until there will be none."""
    last = begin_service(control)
    while True:
        step = next_step(control, last)
        if step == last:
            return
        last = step
        _run_part(
            weights, matrices, embeddings, side, head, way, state, window, buffers, control, coarse, fine, 1, 2
        )  # fmt: skip


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
        self._float_matrices: dict[tuple[int, int], NDArray[np.float32]] = {}

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

    def _make_room(self, state: StackState, steps: int) -> None:
        """Drop positions that no window reaches where ``steps`` further ones would not fit."""
        if state.length[0] + steps > state.keys.shape[3] * TILE:
            _drop_old_positions(state, self.config.window - 1)

    def states(
        self, tokens: NDArray[np.int32], embeddings: Embeddings, side: NDArray[np.int32], state: StackState,
        kernel: str | None,
    ) -> NDArray[np.int16]:  # fmt: skip
        """Evaluate ``tokens`` int32 ``[lanes, steps]``; return normalised int8 values as int16 ``[lanes * steps, d]``.

        Args:
            side: int32 ``[d]``, added to every embedding.
            kernel: ``"compiled"`` (or None), ``"plain"`` or ``"blas"``.
        """
        lanes, steps = tokens.shape
        self._make_room(state, steps)
        buffers = new_buffers(lanes, steps, self.config, 0)
        buffers.tokens[:] = tokens
        if kernel == "blas":
            self._run_layers_blas(state, embeddings, side, buffers)
        else:
            _run_layers(
                self.weights, self.matrices, embeddings, side, self.way_to_multiply(kernel), state, self.config.window,
                buffers, NO_HELPER, 0, 1,
            )  # fmt: skip
        return buffers.inputs.astype(np.int16) - UNSIGNED_OFFSET

    def evaluate(
        self, tokens: NDArray[np.int32], embeddings: Embeddings, side: NDArray[np.int32], head: Head, state: StackState,
        kernel: str | None, buffers: StepBuffers, control: NDArray[np.int64] = NO_HELPER,
    ) -> None:  # fmt: skip
        """As :meth:`states`, into ``buffers.inputs`` (moved up by 128), and what follows each token, into
        ``buffers.cumulative``.

        Args:
            control: a second core's, which shares ``buffers``.
        """
        self._make_room(state, tokens.shape[1])
        buffers.tokens[:] = tokens
        if kernel == "blas":
            self._run_layers_blas(state, embeddings, side, buffers)
            buffers.logits[:] = self._blas_inputs(buffers.inputs) @ self._float_matrix(head.matrix, 0)
            _frequencies(
                buffers.logits, head, buffers.cumulative, buffers.shared, NO_HELPER, EXP_COARSE, EXP_FINE, 0, 1
            )  # fmt: skip
        else:
            _run(
                self.weights, self.matrices, embeddings, side, head, self.way_to_multiply(kernel), state,
                self.config.window, buffers, control, EXP_COARSE, EXP_FINE,
            )  # fmt: skip

    def second_core(
        self, embeddings: Embeddings, side: NDArray[np.int32], head: Head, state: StackState, kernel: str | None,
        buffers: StepBuffers,
    ) -> SecondCore:  # fmt: skip
        """A second core for calls of :meth:`evaluate` with these arguments."""

        def serve(control: NDArray[np.int64]) -> None:
            _serve(
                self.weights, self.matrices, embeddings, side, head, self.way_to_multiply(kernel), state,
                self.config.window, buffers, control, EXP_COARSE, EXP_FINE,
            )  # fmt: skip

        return SecondCore(serve)

    def _float_matrix(self, matrices: Matrices, layer: int) -> NDArray[np.float32]:
        """int8 ``[out, in]`` as float32 ``[in, out]`` for BLAS."""
        key = id(matrices.rows), layer
        if key not in self._float_matrices:
            self._float_matrices[key] = np.ascontiguousarray(matrices.rows[layer].T, np.float32)
        return self._float_matrices[key]

    @staticmethod
    def _blas_inputs(inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        return inputs.astype(np.float32) - UNSIGNED_OFFSET

    def _run_layers_blas(
        self, state: StackState, embeddings: Embeddings, side: NDArray[np.int32], buffers: StepBuffers
    ) -> None:
        weights, matrices, width, hidden = self.weights, self.matrices, self.config.width, self.config.hidden
        lanes, steps = buffers.tokens.shape
        residual, inner, inputs, square_sums = buffers.residual, buffers.inner, buffers.inputs, buffers.shared[0, 0]

        def product(source: NDArray[np.uint8], which: Matrices, layer: int, out: NDArray[np.int32]) -> None:
            out[:] = self._blas_inputs(source) @ self._float_matrix(which, layer)

        def normalise(values: NDArray[np.int32], steps_per_rms: int, out: NDArray[np.uint8]) -> None:
            _add_squares(values, 0, values.shape[1], square_sums)
            _normalise(values, 0, values.shape[1], steps_per_rms, out, buffers.shared, NO_HELPER, 0, 1)

        _embed(buffers.tokens, state.last_tokens, side, embeddings, 0, width, residual)
        normalise(residual, ACTIVATION_STEPS_PER_RMS, inputs)
        for layer, slot in enumerate(weights.cache_slot):
            product(inputs, matrices.to_inner, layer, buffers.wide)
            multiplier = weights.in_multiplier[layer]
            if slot >= 0:
                attend_heads(
                    buffers.wide, multiplier, weights.temperature[layer], weights.slopes, state.keys[slot],
                    state.values[slot], state.length[0], self.config.window, PLAIN, lanes, steps, 0, 1, inner,
                )  # fmt: skip
            else:
                convolve_lanes(
                    buffers.wide, multiplier, weights.taps[layer], state.tails[layer], 0, width, lanes, steps, inner
                )
            normalise(inner, ACTIVATION_STEPS_PER_RMS if slot >= 0 else GATE_STEPS_PER_RMS, inputs)
            product(inputs, matrices.from_inner, layer, buffers.narrow)
            _add_to_residual(buffers.narrow, weights.out_multiplier[layer], 0, width, residual, square_sums)
            normalise(residual, ACTIVATION_STEPS_PER_RMS, inputs)
            product(inputs, matrices.up, layer, buffers.tall)
            _square_relu(buffers.tall, weights.up_multiplier[layer], 0, hidden, square_sums)
            normalise(buffers.tall, GATE_STEPS_PER_RMS, buffers.tall_inputs)
            product(buffers.tall_inputs, matrices.down, layer, buffers.narrow)
            _add_to_residual(buffers.narrow, weights.down_multiplier[layer], 0, width, residual, square_sums)
            normalise(residual, ACTIVATION_STEPS_PER_RMS, inputs)
        state.length[0] += steps
        _remember_tokens(buffers.tokens, state.last_tokens)


def rescale(sums: NDArray[np.int64], multiplier: NDArray[np.int32]) -> NDArray[np.int64]:
    """Fixed-point value of a product's sums, as the kernels compute it."""
    return (sums.astype(np.int64) * multiplier.astype(np.int64) + _HALF) >> MULTIPLIER_BITS
