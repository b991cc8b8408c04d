"""What llmzip uses of the library constriction, for the page in the browser, where there is no build of it.

``stream.queue.RangeEncoder``, ``RangeDecoder`` and ``stream.model.Categorical(perfect=False)`` over float32 images of
integers whose sums are below 2^24. tests/face/test_web.py compares them with the library.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

PRECISION = 24
_WORD, _STATE = 32, 64
_ONE_WORD = 1 << _WORD
_MASK = (1 << _STATE) - 1


class Categorical:
    def __init__(self, perfect: bool) -> None:
        assert not perfect

    @staticmethod
    def bounds(probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
        """``[n + 1]``: where each symbol begins, in units of ``2^-PRECISION``."""
        count = probabilities.size
        sums = np.cumsum(probabilities, dtype=np.float32)
        scale = np.float32((1 << PRECISION) - count) / sums[-1]
        bounds = np.zeros(count + 1, np.int64)
        bounds[1:] = (sums * scale).astype(np.int64) + np.arange(1, count + 1)
        bounds[-1] = 1 << PRECISION
        return bounds


class RangeEncoder:
    def __init__(self) -> None:
        self._words: list[int] = []
        self._lower, self._range = 0, _MASK

    def _add(self, amount: int) -> None:
        self._lower += amount
        if self._lower > _MASK:
            self._lower &= _MASK
            self._carry()

    def _carry(self) -> None:
        at = len(self._words) - 1
        while self._words[at] == _ONE_WORD - 1:
            self._words[at] = 0
            at -= 1
        self._words[at] += 1

    def encode(self, symbols: NDArray[np.int32], family: Categorical, probabilities: NDArray[np.float32]) -> None:
        for symbol, row in zip(symbols.tolist(), probabilities, strict=True):
            bounds = family.bounds(row)
            left, right = int(bounds[symbol]), int(bounds[symbol + 1])
            scale = self._range >> PRECISION
            self._add(scale * left)
            self._range = scale * (right - left)
            if self._range < _ONE_WORD:
                self._words.append(self._lower >> _WORD)
                self._lower = self._lower << _WORD & _MASK
                self._range <<= _WORD

    def get_compressed(self) -> NDArray[np.uint32]:
        if self._range == _MASK and not self._words:
            return np.zeros(0, np.uint32)
        end = RangeEncoder()
        end._words, end._lower = self._words.copy(), self._lower
        end._add(_ONE_WORD - 1)
        point = end._lower >> _WORD
        words = [*end._words, point]
        if (self._lower + self._range & _MASK) >> _WORD == point:
            words.append(0)
        return np.array(words, np.uint32)


class RangeDecoder:
    def __init__(self, words: NDArray[np.uint32]) -> None:
        self._words = iter(words.tolist())
        self._range = _MASK
        self._distance = next(self._words, 0) << _WORD | next(self._words, 0)
        """Of the coded point from the lower end of the range."""

    def decode(self, family: Categorical, probabilities: NDArray[np.float32]) -> NDArray[np.int32]:
        symbols = np.zeros(len(probabilities), np.int32)
        for i, row in enumerate(probabilities):
            bounds = family.bounds(row)
            scale = self._range >> PRECISION
            quantile = self._distance // scale
            if quantile >> PRECISION:
                raise AssertionError("invalid compressed data")
            symbol = int(np.searchsorted(bounds, quantile, side="right")) - 1
            left, right = int(bounds[symbol]), int(bounds[symbol + 1])
            self._distance -= scale * left
            self._range = scale * (right - left)
            if self._range < _ONE_WORD:
                self._range <<= _WORD
                self._distance = self._distance << _WORD | next(self._words, 0)
            symbols[i] = symbol
        return symbols


stream = SimpleNamespace(
    queue=SimpleNamespace(RangeEncoder=RangeEncoder, RangeDecoder=RangeDecoder),
    model=SimpleNamespace(Categorical=Categorical),
)
