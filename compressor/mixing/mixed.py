"""Mixed mode of a block: the network's frequencies feed models that learn from the text, block after block."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from llmzip.core import _native, available_cores
from llmzip.errors import DamagedError, LlmzError
from llmzip.mixing.logistic import (
    WEIGHT_ONE,
    Shape,
    arrays_in_use,
    identity_row,
    stored_arrays,
    untrained_counter_maps,
    untrained_match_maps,
)
from llmzip.mixing.profiles import MIXED_PROFILES
from llmzip.network.beginning import TAIL_BYTES, beginning_of_lanes
from llmzip.progress import Progress

if TYPE_CHECKING:
    from llmzip.network.model import Model

_CALL_TOKENS = 4096
"""Between two reports of progress."""
_BYTES_PER_TOKEN = 2.8
_MORE, _DONE = 0, 1
_COPYING = threading.Lock()
LARGEST_KEPT_TABLE = 22
"""Models that have read a primer are kept for the next file up to this size: 215 MB."""
_TRUSTED_GUESSES = 5
"""Matches and predictions of numbers; the others, runs, have no weight before they are trained."""


SHAPES = tuple(Shape(*numbers) for numbers in _native.mixed_shapes()[:MIXED_PROFILES])
"""Of the profiles: prose; records, with most code and markup."""


class LearnedState(NamedTuple):
    """What ships primed for a profile: mixer weights and adaptive maps."""

    weights: NDArray[np.int32]
    """``[sets, inputs]``, 16 fraction bits, within +-8."""
    final_weights: NDArray[np.int32]
    """``[final_sets, mixers]``: by partial byte; in records also of a second last mixer, by state of the matches."""
    counter_maps: NDArray[np.uint16]
    """``[2 * contexts, 16, 32]``: probability by count and stretched counter; bits, then ends of tokens."""
    match_maps: NDArray[np.uint16]
    """``[2 * guesses, 64, 2]``: by length bucket and recent misses, and expected bit; bits, then ends."""
    network_map: NDArray[np.uint16]
    """``[256, 24]``: the network's calibration by partial byte."""


def new_learned_state(profile: int = 0) -> LearnedState:
    """Untrained mixers and maps."""
    contexts, context_inputs, guesses, inputs, mixers, sets, final_sets = SHAPES[profile]
    weights = np.zeros((sets, inputs), np.int32)
    of_contexts = contexts * context_inputs
    network_input = of_contexts + 2 * guesses
    weights[:, :of_contexts] = WEIGHT_ONE // 16 // context_inputs
    weights[:, of_contexts : of_contexts + 2 * min(guesses, _TRUSTED_GUESSES)] = WEIGHT_ONE // 8
    weights[:, network_input] = WEIGHT_ONE // 2
    return LearnedState(
        weights,
        np.full((final_sets, mixers), WEIGHT_ONE // mixers, np.int32),
        untrained_counter_maps(2 * contexts),
        untrained_match_maps(2 * guesses),
        np.tile(identity_row(), (256, 1)),
    )


def new_learned_states() -> tuple[LearnedState, ...]:
    """Of all profiles."""
    return tuple(new_learned_state(profile) for profile in range(len(SHAPES)))


def primed_states(model: Model, without: int | None = None) -> tuple[LearnedState, ...]:
    """What ships with ``model``, by profile; untrained mixers and maps where it has none.

    Args:
        without: a profile that is to be untrained whatever the model has, whose shapes may have changed since.

    Raises:
        LlmzError: the model's arrays have other shapes.
    """
    arrays = model.file.extras("mixing")
    states = []
    for profile, untrained in enumerate(new_learned_states()):
        own = {name: arrays.get(f"{profile}.{name}") for name in LearnedState._fields}
        if profile == without or all(array is None for array in own.values()):
            states.append(untrained)
            continue
        for name, expected in stored_arrays(untrained._asdict()).items():
            found = own[name]
            if found is None or found.shape != expected.shape or found.dtype != expected.dtype:
                raise LlmzError(f"not a model file of this version: array mixing.{profile}.{name} does not fit")
        states.append(LearnedState(**arrays_in_use(cast(dict[str, NDArray], own))))
    return tuple(states)


def new_core(
    model: Model, table_bits: int, learned: Sequence[LearnedState], rates: tuple[int, int, int] | None = None
) -> Any:
    """Models of the core that have read the model's primer, if it has one."""
    core = _native.mixed_new(model.tokenizer.core, table_bits, rates, tuple(learned))
    if model.primer is not None:
        _native.mixed_read(core, *model.primer)
    return core


def _core_from_file(model: Model, table_bits: int) -> Any:
    """Raises: LlmzError: the model's mixers or maps make no sense."""
    learned = primed_states(model)
    try:
        return new_core(model, table_bits, learned)
    except ValueError as error:
        raise LlmzError(f"not a model file of this version: {error}") from error


@functools.lru_cache(maxsize=1)
def _kept_core(model: Model, table_bits: int) -> Any:
    return _core_from_file(model, table_bits)


class MixedCoder:
    """Adaptive models of one member, or of one block where blocks are independent.

    Args:
        table_bits: logarithm of the buckets of counters (32 bytes each), 10 to 25.
        learned: mixers and maps to start from, by profile; None takes those that ship with the model.
        threads: how many the network may use; None for all.
        rates: learning rates of the mixers and of the last ones, and what the mixers' has extra at a file's start; None
            for each profile's own.

    Raises:
        ValueError: an array or number is out of range.
    """

    def __init__(
        self, model: Model, table_bits: int, learned: Sequence[LearnedState] | None = None, threads: int | None = None,
        rates: tuple[int, int, int] | None = None,
    ) -> None:  # fmt: skip
        self._model = model
        self._threads = threads
        self.table_bits = table_bits
        self._tail = model.primer.text[-TAIL_BYTES:] if model.primer else b""
        if learned is not None or rates is not None:
            self._core = new_core(model, table_bits, primed_states(model) if learned is None else learned, rates)
        elif model.primer is None or table_bits > LARGEST_KEPT_TABLE:
            self._core = _core_from_file(model, table_bits)
        else:
            with _COPYING:
                self._core = _native.mixed_copy(_kept_core(model, table_bits))

    def learned(self, profile: int = 0) -> LearnedState:
        """A copy of a profile's mixers and maps as they are now."""
        state = new_learned_state(profile)
        _native.mixed_learned(self._core, profile, *state)
        return state

    def encode(
        self, text: bytes, lane_bytes: list[int], profile: int, side: NDArray[np.int8] | None,
        progress: Progress, after_line: bool = False,
    ) -> bytes | None:  # fmt: skip
        """Code ``text``, cut into lanes of these lengths, which add up to its own; None if it would grow.

        Args:
            after_line: the first lane begins after a line end, as the others do, not after a NUL byte.
        """
        lanes = self._tokens_of_lanes(text, lane_bytes)
        _native.mixed_begin_encoding(self._core, np.array(lane_bytes, np.uint64), profile, len(text))
        counts = np.array([tokens.size for tokens in lanes], np.uint64)
        if not self._run(len(text), lane_bytes, side, after_line, progress, np.concatenate(lanes), counts):
            return None
        coded: bytes | None = _native.mixed_finish(self._core)
        self._tail = text[-TAIL_BYTES:]
        return coded

    def decode(
        self, data: bytes, lane_bytes: list[int], profile: int, side: NDArray[np.int8] | None,
        progress: Progress, after_line: bool = False,
    ) -> bytes:  # fmt: skip
        """Undo :meth:`encode`.

        Raises:
            DamagedError: the data is damaged.
        """
        try:
            _native.mixed_begin_decoding(self._core, np.array(lane_bytes, np.uint64), profile, data)
        except (ValueError, OverflowError) as error:
            raise DamagedError("a block's lanes make no sense") from error
        none = np.zeros(0, np.int32)
        if not self._run(sum(lane_bytes), lane_bytes, side, after_line, progress, none, none.astype(np.uint64)):
            raise DamagedError("coded data is damaged")
        plain: bytes | None = _native.mixed_finish(self._core)
        if plain is None:
            raise DamagedError("coded data is damaged")
        self._tail = plain[-TAIL_BYTES:]
        return plain

    def _run(
        self, size: int, lane_bytes: list[int], side: NDArray[np.int8] | None, after_line: bool, progress: Progress,
        tokens: NDArray[np.int32], counts: NDArray[np.uint64],
    ) -> bool:  # fmt: skip
        """Code a block that was begun; whether it went well."""
        model = self._model
        shared, first = beginning_of_lanes(model, self._tail, len(lane_bytes), after_line)
        # More of them than cores would wait for each other: lanes are decoded in turn.
        cores = available_cores()
        threads = _native.threads_new(min(self._threads or cores, cores))
        drive = _native.drive_new(
            model.decoder, threads, self._core, first, model.side_vector(side), shared, tokens, counts
        )
        estimate = size / _BYTES_PER_TOKEN
        left = size
        while (state := _native.drive_run(drive, _CALL_TOKENS)) == _MORE:
            estimate = max(estimate, 2 * _CALL_TOKENS)
            advance = min(left, round(left * _CALL_TOKENS / estimate))
            progress.advance(advance)
            left, estimate = left - advance, estimate - _CALL_TOKENS
        progress.advance(left)
        return bool(state == _DONE)

    def _tokens_of_lanes(self, text: bytes, lane_bytes: list[int]) -> list[NDArray[np.int32]]:
        if sum(lane_bytes) != len(text):
            raise ValueError("lanes do not add up to the text")
        lanes, start, view = [], 0, memoryview(text)
        for length in lane_bytes:
            lanes.append(self._model.tokenizer.encode(view[start : start + length]))
            start += length
        return lanes
