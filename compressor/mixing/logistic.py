"""The logistic domain as the core computes in it: what untrained adaptive maps are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmzip.core import _native

ONE = 1 << 16
"""Probabilities are in 1/65536."""
STRETCH_MAX = 11 << 8
"""Stretched values, ``ln(p / (1 - p))``, are in 1/256 within +-11."""
SQUASH: NDArray[np.uint16] = np.zeros(2 * STRETCH_MAX + 1, np.uint16)
"""``SQUASH[x + STRETCH_MAX]`` is the probability of a stretched ``x``."""
_native.squash_table(SQUASH)

WEIGHT_ONE = 1 << 16
"""A mixer's weight of 1."""
_STORED_FRACTION_BITS = 10
"""Of weights in files; those in use have six more."""
STAGE_BUCKETS = 24
"""Places in a row of an adaptive map over stretched probabilities."""
MATCH_BUCKETS = 64
_STAGE_STEP = 2 * STRETCH_MAX // (STAGE_BUCKETS - 1) + 1


class Shape(NamedTuple):
    """Of a profile's models."""

    contexts: int
    context_inputs: int
    """Of each context: what its counter map says, and in some profiles the counter itself before it."""
    guesses: int
    """Models that expect one byte: matches, predictions of numbers, runs."""
    inputs: int
    """Of a mixer; the last ones are unused."""
    mixers: int
    sets: int
    """Of weights, from which the mixers choose."""
    final_sets: int
    """The same of the last mixers."""


def stored_arrays(arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Arrays of a learned state as files have them: weights of mixers, int32 by their names, become int16 in 1/1024."""
    return {name: _stored_weights(array) if _are_weights(name) else array for name, array in arrays.items()}


def arrays_in_use(stored: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Undo :func:`stored_arrays`, which rounds."""
    more = 16 - _STORED_FRACTION_BITS
    return {name: array.astype(np.int32) << more if _are_weights(name) else array for name, array in stored.items()}


def _are_weights(name: str) -> bool:
    return name.endswith("weights")


def _stored_weights(weights: NDArray[np.int32]) -> NDArray[np.int16]:
    more = 16 - _STORED_FRACTION_BITS
    most = (1 << 3 + _STORED_FRACTION_BITS) - 1
    return np.clip((weights + (1 << more >> 1)) >> more, -most, most).astype(np.int16)


def identity_row() -> NDArray[np.uint16]:
    """An adaptive map over stretched probabilities that changes nothing yet, uint16 ``[STAGE_BUCKETS]``."""
    return SQUASH[np.clip(np.arange(STAGE_BUCKETS) * _STAGE_STEP, 0, 2 * STRETCH_MAX)]


def untrained_counter_maps(contexts: int) -> NDArray[np.uint16]:
    """Probabilities that take a counter at its word, uint16 ``[contexts, 16, 32]``."""
    row = SQUASH[np.clip(np.arange(32) * 128 - 2048 + 64 + STRETCH_MAX, 0, 2 * STRETCH_MAX)]
    return np.tile(row, (contexts, 16, 1))


def untrained_match_maps(guesses: int) -> NDArray[np.uint16]:
    """Probabilities of 1 by length bucket and expected bit, which comes 7 times of 8, uint16
    ``[guesses, MATCH_BUCKETS, 2]``."""
    return np.tile(np.array([ONE // 8, ONE - ONE // 8], np.uint16), (guesses, MATCH_BUCKETS, 1))
