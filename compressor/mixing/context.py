"""Context mode of a block: models that learn from the text alone and live on from block to block.

Before a file, they read a primer: 62 KB of text of several kinds that the shipped model wrote.
"""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from llmzip.core import _native
from llmzip.errors import DamagedError
from llmzip.mixing.logistic import WEIGHT_ONE, Shape, untrained_counter_maps, untrained_match_maps
from llmzip.mixing.profiles import Profile
from llmzip.mixing.wide import begin_wide_decoding, begin_wide_encoding, new_wide_core, wide_table_bits
from llmzip.progress import Progress

RATES = (6, 2)
"""Learning rates of the mixers and of the last one."""

_COPYING = threading.Lock()
_SLICE_BYTES = 1 << 16
"""Bytes between two reports of progress."""
_LARGEST_KEPT_TABLE = 20
"""Models that have read the primer are kept for the next file up to this size: 32 MB."""


SHAPES = tuple(Shape(*numbers) for numbers in _native.context_shapes())
"""Of the profiles: prose, markup and code; records; binary data; genomes and proteins."""


class ContextLearnedState(NamedTuple):
    """Mixers and maps: what ships primed for a profile."""

    weights: NDArray[np.int32]
    """``[sets, inputs]``, 16 fraction bits, within +-8."""
    final_weights: NDArray[np.int32]
    """``[256, mixers]``, by partial byte."""
    counter_maps: NDArray[np.uint16]
    """``[contexts, 16, 32]``: probability by count and stretched counter."""
    match_maps: NDArray[np.uint16]
    """``[guesses, 64, 2]``: by length bucket and recent misses, and expected bit."""


def new_learned_state(profile: int = 0) -> ContextLearnedState:
    """Untrained mixers and maps."""
    contexts, _, guesses, inputs, mixers, sets, _ = SHAPES[profile]
    weights = np.zeros((sets, inputs), np.int32)
    weights[:, : 2 * contexts] = WEIGHT_ONE * 12 // 8 // contexts
    weights[:, 2 * contexts : 2 * (contexts + guesses)] = WEIGHT_ONE // 4
    return ContextLearnedState(
        weights,
        np.full((256, mixers), WEIGHT_ONE // mixers, np.int32),
        untrained_counter_maps(contexts),
        untrained_match_maps(guesses),
    )


def new_learned_states() -> tuple[ContextLearnedState, ...]:
    """Of all profiles."""
    return tuple(new_learned_state(profile) for profile in range(len(SHAPES)))


@functools.cache
def shipped_states() -> tuple[ContextLearnedState, ...]:
    with resources.files("llmzip").joinpath("data/context.npz").open("rb") as file, np.load(file) as arrays:
        return tuple(
            ContextLearnedState(*(arrays[f"{profile}.{name}"] for name in ContextLearnedState._fields))
            for profile in range(len(SHAPES))
        )


def _read_primer(table_bits: int) -> Any:
    """Models of the core that have read the primer, with the mixers and maps that ship."""
    text = resources.files("llmzip").joinpath("data/primer.txt").read_bytes()
    models = _native.context_new(table_bits, RATES, shipped_states())
    _native.context_begin_encoding(models, text, 0, 2 * len(text))
    _native.context_code(models, len(text))
    _native.context_finish(models)
    _native.context_set_learned(models, 0, *shipped_states()[0])
    return models


@functools.lru_cache(maxsize=2)
def _kept_models(table_bits: int) -> Any:
    return _read_primer(table_bits)


class ContextCoder:
    """Adaptive models of one member, or of one block where blocks are independent.

    Args:
        table_bits: logarithm of the buckets of counters (32 bytes each), 10 to 25.
        learned: mixers and maps to start from, by profile; None takes those that ship.

    Raises:
        ValueError: an array or number is out of range.
    """

    def __init__(self, table_bits: int, learned: Sequence[ContextLearnedState] | None = None) -> None:
        self.table_bits = table_bits
        self._wide: Any = None
        self._plain: Any = None
        if learned is not None:
            for profile, state in enumerate(learned):
                _native.context_set_learned(self._core, profile, *state)

    @property
    def _core(self) -> Any:
        """Models of all profiles but the wide one, which has models of its own."""
        if self._plain is None and self.table_bits <= _LARGEST_KEPT_TABLE:
            with _COPYING:
                self._plain = _native.context_copy(_kept_models(self.table_bits))
        elif self._plain is None:
            self._plain = _read_primer(self.table_bits)
        return self._plain

    @property
    def _wide_core(self) -> Any:
        if self._wide is None:
            self._wide = new_wide_core(wide_table_bits(self.table_bits))
        return self._wide

    def copy(self) -> ContextCoder:
        """The same models, which learn on their own."""
        twin = copy.copy(self)
        twin._plain = self._plain and _native.context_copy(self._plain)
        twin._wide = self._wide and _native.mixed_copy(self._wide)
        return twin

    def learned(self, profile: int = 0) -> ContextLearnedState:
        """A copy of a profile's mixers and maps as they are now."""
        state = new_learned_state(profile)
        _native.context_learned(self._core, profile, *state)
        return state

    def encode(self, plain: bytes, profile: int, progress: Progress) -> bytes | None:
        """Code a block of at most 64 MiB; None if it would grow."""
        if profile == Profile.WIDE:
            begin_wide_encoding(self._wide_core, len(plain), len(plain))
            return self._code_wide(plain, len(plain), progress)
        _native.context_begin_encoding(self._core, plain, profile, len(plain))
        return self._code(len(plain), progress)

    def decode(self, data: bytes, plain_length: int, profile: int, progress: Progress) -> bytes:
        """Undo :meth:`encode`.

        Raises:
            DamagedError: the data is damaged.
        """
        try:
            if profile == Profile.WIDE:
                begin_wide_decoding(self._wide_core, plain_length, data)
            else:
                _native.context_begin_decoding(self._core, plain_length, profile, data)
        except (ValueError, OverflowError) as error:
            raise DamagedError("a block's contexts make no sense") from error
        wide = profile == Profile.WIDE
        plain = self._code_wide(b"", plain_length, progress) if wide else self._code(plain_length, progress)
        if plain is None:
            raise DamagedError("coded data is damaged")
        return plain

    def _code(self, plain_length: int, progress: Progress) -> bytes | None:
        core = self._core
        done = _told(progress, plain_length, lambda: _native.context_code(core, _SLICE_BYTES))
        return cast("bytes | None", _native.context_finish(core)) if done else None

    def _code_wide(self, plain: bytes, plain_length: int, progress: Progress) -> bytes | None:
        core = self._wide_core
        done = _told(progress, plain_length, lambda: _native.mixed_code_bytes(core, plain, _SLICE_BYTES))
        return cast("bytes | None", _native.mixed_finish(core)) if done else None


def _told(progress: Progress, plain_length: int, code: Callable[[], int | None]) -> bool:
    """Code slices until no byte is left; False where one fails."""
    left = plain_length
    while left:
        now_left = code()
        if now_left is None:
            return False
        progress.advance(left - now_left)
        left = now_left
    return True
