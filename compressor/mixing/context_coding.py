"""Context mode of a block: bytes go through the compiled kernel; models and history live on from block to block.

Before a file, the models read a primer: 62 KB of text of several kinds that the shipped model wrote.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmzip import context_mixing as kernel
from llmzip.mixing.binary_coder import CODER_MARGIN, finish, new_coder, new_decoder
from llmzip.mixing.bit_models import COUNTER_RATES, COUNTER_STRETCH, bucket_bits
from llmzip.mixing.logistic import SQUASH, STRETCH
from llmzip.progress import Progress

HISTORY_BYTES = 1 << 26
"""Text that matches can reach back to from the start of a block."""
MIN_BUCKET_BITS, MAX_BUCKET_BITS = 20, 23
RATES = (6, 2)
"""Learning rates of the mixers and of the second layer."""
CALL_BYTES = 1 << 16
"""Bytes between two reports of progress."""


def bucket_bits_for(plain_length: int) -> int:
    """:func:`llmzip.mixing.bit_models.bucket_bits` of this mode."""
    return bucket_bits(plain_length, kernel.CONTEXTS, MIN_BUCKET_BITS)


@functools.cache
def _shipped_state() -> kernel.LearnedState:
    with resources.files("llmzip").joinpath("data/context.npz").open("rb") as file, np.load(file) as arrays:
        return kernel.LearnedState(*(arrays[name] for name in kernel.LearnedState._fields))


def _fresh_learned_state() -> kernel.LearnedState:
    return kernel.LearnedState(*(array.copy() for array in _shipped_state()))


class _Primed(NamedTuple):
    """What a coder starts from: models that have read the primer, and the primer as history."""

    adaptive: kernel.AdaptiveState
    history: NDArray[np.uint8]


def _read_primer(bucket_bits: int) -> _Primed:
    history = np.frombuffer(resources.files("llmzip").joinpath("data/primer.txt").read_bytes(), np.uint8).copy()
    learned = _fresh_learned_state()
    adaptive = kernel.new_adaptive_state(bucket_bits)
    unused_output = np.zeros(history.size + CODER_MARGIN, np.uint8)
    _code_bytes(history, 0, history.size, bucket_bits, learned, adaptive, new_coder(), unused_output)
    return _Primed(adaptive, history)


@functools.cache
def _primed_for_small_files() -> _Primed:
    return _read_primer(MIN_BUCKET_BITS)


class ContextCoder:
    """Adaptive models of one file (or of one block, where blocks are independent).

    Args:
        learned: mixers and maps to start from and to train on; None takes a copy of those that ship.
    """

    def __init__(self, bucket_bits: int, learned: kernel.LearnedState | None = None) -> None:
        self.bucket_bits = bucket_bits
        self._learned = learned or _fresh_learned_state()
        if bucket_bits == MIN_BUCKET_BITS:
            primed = _primed_for_small_files()
            self._adaptive = kernel.AdaptiveState(*(array.copy() for array in primed.adaptive))
            self._history = primed.history
        else:
            self._adaptive, self._history = _read_primer(bucket_bits)

    def encode(self, plain: bytes, progress: Progress) -> bytes | None:
        """Code a block; None if it would grow by more than a quarter."""
        coder = new_coder()
        coded = np.zeros(len(plain) + len(plain) // 4 + CODER_MARGIN, np.uint8)
        if not self._code(np.frombuffer(plain, np.uint8), coder, coded, progress):
            return None
        return finish(coder, coded)

    def decode(self, data: bytes, plain_length: int, progress: Progress) -> bytes:
        """Undo :meth:`encode`. Damaged data gives some other bytes."""
        coder, coded = new_decoder(data)
        self._code(np.zeros(plain_length, np.uint8), coder, coded, progress)
        return self._history[self._history.size - plain_length :].tobytes()

    def _code(
        self, plain: NDArray[np.uint8], coder: NDArray[np.int64], coded: NDArray[np.uint8], progress: Progress
    ) -> bool:
        kept = self._history[-HISTORY_BYTES:]
        self._adaptive.text[kernel.BASE] += self._history.size - kept.size
        if self._adaptive.text[kernel.MATCH] < self._adaptive.text[kernel.BASE]:
            self._adaptive.text[kernel.LENGTH] = 0
        self._history = np.concatenate([kept, plain])
        for start in range(kept.size, self._history.size, CALL_BYTES):
            stop = min(start + CALL_BYTES, self._history.size)
            if not _code_bytes(
                self._history, start, stop, self.bucket_bits, self._learned, self._adaptive, coder, coded
            ):
                return False
            progress.advance(stop - start)
        return True


def _code_bytes(
    history: NDArray[np.uint8], start: int, stop: int, bucket_bits: int, learned: kernel.LearnedState,
    adaptive: kernel.AdaptiveState, coder: NDArray[np.int64], coded: NDArray[np.uint8],
) -> bool:  # fmt: skip
    """Call the kernel; False when ``coded`` is full."""
    return not kernel.code_bytes(
        history, start, stop, bucket_bits, learned, adaptive, np.array(RATES, np.int64), coder, coded,
        STRETCH, SQUASH, COUNTER_STRETCH, COUNTER_RATES,
    )  # fmt: skip
