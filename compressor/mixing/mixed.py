"""Mixed mode of a block: the network's frequencies feed models that learn from the text, block after block."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmzip.core import _native
from llmzip.errors import LlmzError
from llmzip.mixing.logistic import WEIGHT_ONE, identity_row, untrained_counter_maps, untrained_match_map
from llmzip.progress import Progress

if TYPE_CHECKING:
    from llmzip.network.model import Model

CONTEXTS = 28
MATCH_MODELS = 2
MIXERS = 6
SETS, INPUTS = 1608, 48
RATES = (6, 2, 16)
"""Learning rates of the mixers and of the last one, and what the mixers' has extra at a file's start."""

_CHUNK_ROWS = 256
"""Rows of one call of the network while compressing."""


class LearnedState(NamedTuple):
    """What ships primed: mixer weights and adaptive maps."""

    weights: NDArray[np.int32]
    """``[SETS, INPUTS]``, 16 fraction bits, within +-8."""
    final_weights: NDArray[np.int32]
    """``[256, MIXERS]``, by partial byte."""
    counter_maps: NDArray[np.uint16]
    """``[2 * CONTEXTS, 16, 32]``: probability by count and stretched counter; bits, then ends of tokens."""
    match_maps: NDArray[np.uint16]
    """``[2 * MATCH_MODELS, 64, 2]``: by length bucket and recent misses, and expected bit; bits, then ends."""
    network_map: NDArray[np.uint16]
    """``[256, 24]``: the network's calibration by partial byte."""


def new_learned_state() -> LearnedState:
    """Untrained mixers and maps."""
    weights = np.zeros((SETS, INPUTS), np.int32)
    network_input = CONTEXTS + 2 * MATCH_MODELS
    weights[:, :CONTEXTS] = WEIGHT_ONE // 16
    weights[:, CONTEXTS:network_input] = WEIGHT_ONE // 8
    weights[:, network_input] = WEIGHT_ONE // 2
    return LearnedState(
        weights,
        np.full((256, MIXERS), WEIGHT_ONE // MIXERS, np.int32),
        untrained_counter_maps(2 * CONTEXTS),
        np.tile(untrained_match_map(), (2 * MATCH_MODELS, 1, 1)),
        np.tile(identity_row(), (256, 1)),
    )


class MixedCoder:
    """Adaptive models of one member, or of one block where blocks are independent.

    Args:
        table_bits: logarithm of the buckets of counters (32 bytes each), 10 to 25.
        learned: mixers and maps to start from; None takes those that ship with the model.
        threads: how many the network may use; None for all.
        rates: learning rates, as ``RATES``.

    Raises:
        ValueError: an array or number is out of range.
    """

    def __init__(
        self, model: Model, table_bits: int, learned: LearnedState | None = None, threads: int | None = None,
        rates: tuple[int, int, int] = RATES,
    ) -> None:  # fmt: skip
        self._model = model
        self._threads = threads
        self.table_bits = table_bits
        if learned is None:
            learned = model.primed_mixing()
        self._core = _native.mixed_new(model.tokenizer.core, table_bits, rates, *learned)

    def fork(self) -> MixedCoder:
        """A coder in the same state that learns on its own."""
        twin = object.__new__(MixedCoder)
        twin.__dict__.update(self.__dict__)
        twin._core = _native.mixed_copy(self._core)
        return twin

    def learned(self) -> LearnedState:
        """A copy of the mixers and maps as they are now."""
        state = new_learned_state()
        _native.mixed_learned(self._core, *state)
        return state

    def encode(
        self, text: bytes, lane_bytes: list[int], profile: int, side: NDArray[np.int8] | None, progress: Progress
    ) -> bytes | None:
        """Code ``text``, cut into lanes of these lengths, which add up to its own; None if it would grow."""
        lanes = self._tokens_of_lanes(text, lane_bytes)
        _native.mixed_begin_encoding(self._core, np.array(lane_bytes, np.uint64), profile, len(text))
        longest = max(tokens.size for tokens in lanes)
        grid = np.zeros((len(lanes), longest), np.int32)
        for row, tokens in zip(grid, lanes, strict=True):
            row[: tokens.size] = tokens
        chunk = max(1, _CHUNK_ROWS // len(lanes))
        predictor = self._model.predictor(len(lanes), chunk, side, threads=self._threads)
        inputs = np.concatenate([np.full((len(lanes), 1), self._model.start_token, np.int32), grid[:, :-1]], 1)
        left = len(text)
        for start in range(0, longest, chunk):
            part = np.ascontiguousarray(inputs[:, start : start + chunk])
            frequencies = predictor(part).reshape(*part.shape, -1)
            for step in range(part.shape[1]):
                column = grid[:, start + step].copy()
                if not _native.mixed_step(self._core, column, np.ascontiguousarray(frequencies[:, step])):
                    return None
            left = _advance(progress, left, len(text) * (longest - start - part.shape[1]) // longest)
        coded: bytes | None = _native.mixed_finish(self._core)
        return coded

    def decode(
        self, data: bytes, lane_bytes: list[int], profile: int, side: NDArray[np.int8] | None, progress: Progress
    ) -> bytes:
        """Undo :meth:`encode`.

        Raises:
            LlmzError: the data is damaged.
        """
        try:
            _native.mixed_begin_decoding(self._core, np.array(lane_bytes, np.uint64), profile, data)
        except (ValueError, OverflowError) as error:
            raise LlmzError("a block's lanes make no sense") from error
        tokens = np.full(len(lane_bytes), self._model.start_token, np.int32)
        predictor = self._model.predictor(len(lane_bytes), 1, side, threads=self._threads)
        lengths = self._model.tokenizer.token_lengths
        while left := _native.mixed_lanes_left(self._core):
            if not _native.mixed_step(self._core, tokens, predictor(tokens[:, None])):
                raise LlmzError("coded data is damaged")
            progress.advance(int(lengths[tokens].sum()) * left / len(lane_bytes))
        plain: bytes | None = _native.mixed_finish(self._core)
        if plain is None:
            raise LlmzError("coded data is damaged")
        return plain

    def _tokens_of_lanes(self, text: bytes, lane_bytes: list[int]) -> list[NDArray[np.int32]]:
        if sum(lane_bytes) != len(text):
            raise ValueError("lanes do not add up to the text")
        lanes, start, view = [], 0, memoryview(text)
        for length in lane_bytes:
            lanes.append(self._model.tokenizer.encode(view[start : start + length]))
            start += length
        return lanes


def _advance(progress: Progress, left: int, now_left: int) -> int:
    progress.advance(left - now_left)
    return now_left
