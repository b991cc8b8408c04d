"""Context mode's wide profile: records byte by byte, with all that mixed mode has for them but the network."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmzip.core import _native
from llmzip.mixing.logistic import (
    ONE,
    WEIGHT_ONE,
    Shape,
    arrays_in_use,
    untrained_counter_maps,
    untrained_match_maps,
)

_PROFILE = 2
"""Its number among mixed mode's profiles in the core."""
SHAPE = Shape(*_native.mixed_shapes()[_PROFILE])
STATES = 1024
"""Of a bit history."""
_LEAST_TABLE_BITS = 10
_TRUSTED_GUESSES = 5
_UNTRAINED_COUNT = 8


class WideState(NamedTuple):
    """Mixers and maps: what ships primed."""

    weights: NDArray[np.int32]
    """``[sets, inputs]``, 16 fraction bits, within +-8."""
    final_weights: NDArray[np.int32]
    """``[320, mixers]``, of two last mixers: by partial byte, by state of the matches."""
    counter_maps: NDArray[np.uint16]
    """``[contexts, 16, 32]``: probability by count and stretched counter."""
    match_maps: NDArray[np.uint16]
    """``[guesses, 64, 2]``: by length bucket and recent misses, and expected bit."""
    history_maps: NDArray[np.uint32]
    """``[contexts, 1024]``: slow counters by bit history."""


def _untrained_history_maps() -> NDArray[np.uint32]:
    state = np.arange(STATES)
    zeros, ones = state & 15, state >> 4 & 15
    probability = ((10 * ones + 4) * (ONE - 1) // (10 * (zeros + ones) + 8)) << 6
    return np.tile(((probability ^ 1 << 21) << 10 | _UNTRAINED_COUNT).astype(np.uint32), (SHAPE.contexts, 1))


def new_wide_state() -> WideState:
    """Untrained mixers and maps."""
    of_contexts = SHAPE.contexts * SHAPE.context_inputs
    weights = np.zeros((SHAPE.sets, SHAPE.inputs), np.int32)
    weights[:, :of_contexts] = WEIGHT_ONE // 16 // SHAPE.context_inputs
    weights[:, of_contexts : of_contexts + 2 * _TRUSTED_GUESSES] = WEIGHT_ONE // 8
    return WideState(
        weights,
        np.full((SHAPE.final_sets, SHAPE.mixers), WEIGHT_ONE // SHAPE.mixers, np.int32),
        untrained_counter_maps(SHAPE.contexts),
        untrained_match_maps(SHAPE.guesses),
        _untrained_history_maps(),
    )


@functools.cache
def shipped_wide_state() -> WideState:
    with resources.files("llmzip").joinpath("data/wide.npz").open("rb") as file, np.load(file) as arrays:
        return WideState(**arrays_in_use(arrays))


def wide_table_bits(table_bits: int) -> int:
    """Logarithm of the buckets of models whose member has tables of 2^table_bits: a bucket has its bit histories beside
    it, so that both together take as much."""
    return max(table_bits - 1, _LEAST_TABLE_BITS)


def new_wide_core(table_bits: int, learned: WideState | None = None, rates: tuple[int, int, int] | None = None) -> Any:
    """Models of the core that know nothing of a text yet.

    Raises:
        ValueError: an array or number is out of range.
    """
    return _native.mixed_new(None, table_bits, rates, (learned or shipped_wide_state(),))


def wide_learned(core: Any) -> WideState:
    """A copy of mixers and maps as they are now."""
    state = new_wide_state()
    _native.mixed_learned(core, _PROFILE, *state)
    return state


def begin_wide_encoding(core: Any, plain_bytes: int, capacity: int) -> None:
    """Begin a block that takes at most ``capacity`` bytes."""
    _native.mixed_begin_encoding(core, np.array([plain_bytes], np.uint64), _PROFILE, capacity)


def begin_wide_decoding(core: Any, plain_bytes: int, data: bytes) -> None:
    """Raises: ValueError: there is no such block."""
    _native.mixed_begin_decoding(core, np.array([plain_bytes], np.uint64), _PROFILE, data)
