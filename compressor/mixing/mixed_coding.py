"""Mixed mode of a block: network chunks feed the mixing kernel; models and history may live on from block to block."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from llmzip.mixing import lane_contexts
from llmzip.mixing import mixing
from llmzip.mixing.binary_coder import CODER_MARGIN, finish, new_coder, new_decoder
from llmzip.mixing.bit_models import COUNTER_RATES, COUNTER_STRETCH, bucket_bits
from llmzip.errors import LlmzError
from llmzip.network.lanes import LaneNetwork, active_in, known_frequencies, lane_groups
from llmzip.network.lane_layout import LaneLayout
from llmzip.mixing.logistic import SQUASH, STRETCH
from llmzip.network.model import Model
from llmzip.progress import Progress

HISTORY_BYTES = 1 << 26
"""Text that match models can reach back to from the start of a block."""
MIN_BUCKET_BITS, MAX_BUCKET_BITS = 16, 24
RATES = (6, 2, 16)
"""Learning rates of the mixers and of the second layer, and what the mixers' has extra at a file's start."""


def bucket_bits_for(plain_length: int) -> int:
    """:func:`llmzip.mixing.bit_models.bucket_bits` of this mode."""
    return bucket_bits(plain_length, lane_contexts.CONTEXTS, MIN_BUCKET_BITS)


def _active_lanes(count: int | None, lane_states: NDArray[np.int64], lane_bytes: list[int]) -> Iterator[int]:
    """How many lanes have a token, step by step: of ``count`` tokens, or until the only lane is full."""
    if count is not None:
        layout = LaneLayout(count, len(lane_bytes))
        yield from map(layout.active, range(layout.steps))
        return
    (lane,), (length,) = lane_states, lane_bytes
    while lane[lane_contexts.POSITION] < lane[lane_contexts.REGION_START] + length:
        yield 1


class MixedCoder:
    """Adaptive models of one file (or of one block, where blocks are independent).

    Args:
        learned: mixers and maps to start from and to train on; None takes a copy of those that ship with the model.
        rates: learning rates, as ``RATES``.
        cores: how many the network may use; None for all.
    """

    def __init__(
        self, model: Model, bucket_bits: int, learned: mixing.LearnedState | None = None,
        rates: tuple[int, int, int] = RATES, cores: int | None = None,
    ) -> None:  # fmt: skip
        self._model = model
        self._cores = cores
        self.bucket_bits = bucket_bits
        self._learned = learned or model.primed_mixing()
        self._rates = np.array(rates, np.int64)
        self._adaptive = mixing.new_adaptive_state(bucket_bits, model.config.mixing_version)
        self._scratch = mixing.new_scratch(model.config.mixing_version)
        self._history = np.zeros(0, np.uint8)
        self._base = 1  # absolute position of history[0]; 0 marks an empty entry of the match table
        tokenizer = model.tokenizer
        first_byte_starts = np.searchsorted(tokenizer.token_bytes[:, 0], np.arange(257))
        self._vocabulary = (
            tokenizer.token_bytes, tokenizer.token_lengths, tokenizer.children, tokenizer.token_at, first_byte_starts,
        )  # fmt: skip

    def fork(self) -> MixedCoder:
        """A coder in the same state that learns on its own."""
        twin = copy.copy(self)
        twin._learned, twin._adaptive = copy.deepcopy((self._learned, self._adaptive))
        return twin

    def encode(
        self, tokens: NDArray[np.int32], lanes: int, side: NDArray[np.int8] | None, kernel: str | None,
        progress: Progress,
    ) -> tuple[list[int], bytes] | None:  # fmt: skip
        """Code a block's tokens; return each lane's plain length and the coded bytes, or None if they would grow."""
        layout = LaneLayout(tokens.size, lanes)
        grid = layout.split(tokens)
        lengths = self._model.tokenizer.token_lengths
        lane_bytes = [int(lengths[grid[i, :n]].sum(dtype=np.int64)) for i, n in enumerate(layout.lengths)]
        coder = new_coder()
        coded = np.zeros(sum(lane_bytes) + CODER_MARGIN, np.uint8)
        lane_states = self._begin_block(lane_bytes)
        groups = lane_groups(lanes, self._cores)
        for step, frequencies in enumerate(known_frequencies(self._model, grid, groups, side, kernel)):
            active = layout.active(step)
            for group, cumulative in zip(groups, frequencies, strict=True):
                current = grid[group, step].copy()
                if self._code_step(current, active_in(group, active), cumulative, lane_states[group], coder, coded):
                    return None
            progress.advance_tokens(active)
        return lane_bytes, finish(coder, coded)

    def decode(
        self, data: bytes, count: int | None, lane_bytes: list[int], side: NDArray[np.int8] | None,
        kernel: str | None, progress: Progress,
    ) -> bytes:  # fmt: skip
        """Undo :meth:`encode`; returns the plain bytes. One lane needs no ``count`` of tokens.

        Raises:
            LlmzError: the data is damaged.
        """
        lanes = len(lane_bytes)
        coder, coded = new_decoder(data)
        lane_states = self._begin_block(lane_bytes)
        start = int(lane_states[0, lane_contexts.REGION_START])
        tokens = np.zeros(lanes, np.int32)
        with LaneNetwork(self._model, lanes, side, kernel, self._cores) as network:
            for active in _active_lanes(count, lane_states, lane_bytes):
                for i, group in enumerate(network.groups):
                    cumulative = network.frequencies(i)
                    active_here = active_in(group, active)
                    if self._code_step(tokens[group], active_here, cumulative, lane_states[group], coder, coded):
                        raise LlmzError("coded data is damaged")
                    network.read(i, tokens[group])
                progress.advance_tokens(active)
        expected = np.cumsum(lane_bytes) + start
        if not np.array_equal(lane_states[:, lane_contexts.POSITION], expected):
            raise LlmzError("coded data is damaged")
        return self._history[start : start + sum(lane_bytes)].tobytes()

    def _begin_block(self, lane_bytes: list[int]) -> NDArray[np.int64]:
        kept = self._history[-HISTORY_BYTES:]
        self._base += self._history.size - kept.size
        start = kept.size
        self._history = np.concatenate([kept, np.zeros(sum(lane_bytes), np.uint8)])
        states = np.zeros((len(lane_bytes), lane_contexts.LANE_FIELDS), np.int64)
        for state, length in zip(states, lane_bytes, strict=True):
            for field in (
                lane_contexts.POSITION,
                lane_contexts.REGION_START,
                lane_contexts.LINE_START,
                lane_contexts.PREVIOUS_LINE,
            ):
                state[field] = start
            start += length
        return states

    def _code_step(
        self, tokens: NDArray[np.int32], active: int, cumulative: NDArray[np.int32], lane_states: NDArray[np.int64],
        coder: NDArray[np.int64], coded: NDArray[np.uint8],
    ) -> bool:  # fmt: skip
        return bool(
            mixing.code_step(
                tokens,
                active,
                cumulative,
                lane_states,
                self._history,
                self._base,
                self._vocabulary,
                self._learned,
                self._adaptive,
                self._scratch,
                self._rates,
                coder,
                coded,
                STRETCH,
                SQUASH,
                COUNTER_STRETCH,
                COUNTER_RATES,
            )  # fmt: skip
        )
