"""Mixed mode of a block: network chunks feed the mixing kernel; models and history may live on from block to block."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from llmzip import mixing
from llmzip.binary_coder import CODER_MARGIN, finish, new_coder, new_decoder
from llmzip.bit_models import COUNTER_RATES, bucket_bits
from llmzip.errors import LlmzError
from llmzip.lanes import LaneLayout
from llmzip.logistic import SQUASH, STRETCH
from llmzip.model import Model
from llmzip.progress import Progress
from llmzip.settings import available_cores

CHUNK_ROWS = 256
HISTORY_BYTES = 1 << 26
"""Text that match models can reach back to from the start of a block."""
MIN_BUCKET_BITS, MAX_BUCKET_BITS = 16, 24
HELPED_LANES = 4
"""So few lanes are decoded in one group that two cores share: weights pass once for all of them."""
RATES = (6, 2, 16)
"""Learning rates of the mixers and of the second layer, and what the mixers' has extra at a file's start."""


def lane_groups(lanes: int) -> list[slice]:
    """Cut a power of two of lanes into groups whose networks run side by side, a thread each; no influence on what is
    coded."""
    count = min(lanes, 1 << max(1, available_cores().bit_length() - 1))
    return [slice(first, first + lanes // count) for first in range(0, lanes, lanes // count)]


def _active_in(group: slice, active: int) -> int:
    """Lanes of ``group`` among the first ``active``."""
    return min(max(active - group.start, 0), group.stop - group.start)


def bucket_bits_for(plain_length: int) -> int:
    """:func:`llmzip.bit_models.bucket_bits` of this mode."""
    return bucket_bits(plain_length, mixing.CONTEXTS, MIN_BUCKET_BITS)


class MixedCoder:
    """Adaptive models of one file (or of one block, where blocks are independent).

    Args:
        learned: mixers and maps to start from and to train on; None takes a copy of those that ship with the model.
        rates: learning rates, as ``RATES``.
    """

    def __init__(
        self, model: Model, bucket_bits: int, learned: mixing.LearnedState | None = None,
        rates: tuple[int, int, int] = RATES,
    ) -> None:  # fmt: skip
        self._model = model
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
        groups = lane_groups(lanes)
        for step, frequencies in enumerate(self._network_steps(grid, groups, side, kernel)):
            active = layout.active(step)
            for group, cumulative in zip(groups, frequencies, strict=True):
                current = grid[group, step].copy()
                if self._code_step(current, _active_in(group, active), cumulative, lane_states[group], coder, coded):
                    return None
            progress.advance_tokens(active)
        return lane_bytes, finish(coder, coded)

    def decode(
        self, data: bytes, count: int, lane_bytes: list[int], side: NDArray[np.int8] | None, kernel: str | None,
        progress: Progress,
    ) -> bytes:  # fmt: skip
        """Undo :meth:`encode`; returns the plain bytes.

        Raises:
            LlmzError: the data is damaged.
        """
        lanes = len(lane_bytes)
        layout = LaneLayout(count, lanes)
        coder, coded = new_decoder(data)
        lane_states = self._begin_block(lane_bytes)
        start = int(lane_states[0, mixing.REGION_START])
        tokens = np.full(lanes, self._model.start_token, np.int32)
        few = lanes <= HELPED_LANES
        groups = [slice(0, lanes)] if few else lane_groups(lanes)
        helped = few and available_cores() > 1
        predictors = [self._model.predictor(lanes // len(groups), 1, side, kernel, helped) for _ in groups]
        with contextlib.ExitStack() as stack:
            for predictor in predictors:
                stack.enter_context(predictor)
            pool = stack.enter_context(ThreadPoolExecutor(len(groups))) if len(groups) > 1 else None

            def predict(i: int) -> Callable[[], NDArray[np.int32]]:
                """While one group of lanes is decoded, the network already reads the others' new tokens."""
                read = tokens[groups[i], None].copy()
                return pool.submit(predictors[i], read).result if pool else functools.partial(predictors[i], read)

            pending = [predict(i) for i in range(len(groups))]
            for step in range(layout.steps):
                active = layout.active(step)
                for i, group in enumerate(groups):
                    cumulative = pending[i]()
                    active_here = _active_in(group, active)
                    if self._code_step(tokens[group], active_here, cumulative, lane_states[group], coder, coded):
                        raise LlmzError("coded data is damaged")
                    pending[i] = predict(i)
                progress.advance_tokens(active)
        expected = np.cumsum(lane_bytes) + start
        if not np.array_equal(lane_states[:, mixing.POSITION], expected):
            raise LlmzError("coded data is damaged")
        return self._history[start : start + sum(lane_bytes)].tobytes()

    def _network_steps(
        self, grid: NDArray[np.int32], groups: list[slice], side: NDArray[np.int8] | None, kernel: str | None
    ) -> Iterator[list[NDArray[np.int32]]]:
        """Yield each step's cumulative frequencies, ``[lanes of the group, V + 1]`` for each group; a thread for each
        computes the next chunk meanwhile."""
        lanes, steps = grid.shape
        chunk = max(1, CHUNK_ROWS * len(groups) // lanes)
        predictors = [self._model.predictor(lanes // len(groups), chunk, side, kernel) for _ in groups]
        inputs = np.concatenate([np.full((lanes, 1), self._model.start_token, np.int32), grid[:, :-1]], 1)
        with ThreadPoolExecutor(len(groups)) as pool:

            def predict(start: int) -> list[Future[NDArray[np.int32]]]:
                parts = [np.ascontiguousarray(inputs[group, start : start + chunk]) for group in groups]
                return [pool.submit(predictor, part) for predictor, part in zip(predictors, parts, strict=True)]

            pending = predict(0)
            for start in range(0, steps, chunk):
                length = min(chunk, steps - start)
                by_step = [job.result().reshape(lanes // len(groups), length, -1) for job in pending]
                if start + chunk < steps:
                    pending = predict(start + chunk)
                for t in range(length):
                    yield [part[:, t] for part in by_step]

    def _begin_block(self, lane_bytes: list[int]) -> NDArray[np.int64]:
        kept = self._history[-HISTORY_BYTES:]
        self._base += self._history.size - kept.size
        start = kept.size
        self._history = np.concatenate([kept, np.zeros(sum(lane_bytes), np.uint8)])
        states = np.zeros((len(lane_bytes), mixing.LANE_FIELDS), np.int64)
        for state, length in zip(states, lane_bytes, strict=True):
            for field in (mixing.POSITION, mixing.REGION_START, mixing.LINE_START, mixing.PREVIOUS_LINE):
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
                COUNTER_RATES,
            )  # fmt: skip
        )
