"""Long repeats of what came before in the file, found without hashing every position into a table.

The method of Bentley and McIlroy ("Data compression using long common strings", 1999): fingerprints of aligned chunks
are kept, a rolling hash of the last chunk is looked up at every position, and what it finds is verified and extended.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from llmzip.errors import LlmzError

MAX_DISTANCE = 1 << 26
MIN_REPEAT = 1 << 15
"""Shorter repeats cost little through match models; behind a copy, lanes start afresh, which costs about 100 bytes."""
CHUNK = 1 << 12
_TABLE_BITS = 16
_FACTOR = 0x2545F4914F6CDD1D
_SPREAD = 0x1B873593CC9E2D51


class Piece(NamedTuple):
    """``length`` bytes of a block; a copy of what stands ``distance`` before, or new text where that is 0."""

    length: int
    distance: int


@njit(cache=True, nogil=True)
def _find_repeats(text, hashed_to, start, base, table, out):
    """Write (start, length, distance) of repeats in ``text[start:]`` to ``out``; return how many there are.

    Args:
        text: uint8, what came before and, from ``start``, the new block.
        hashed_to: ``table`` knows the chunks that end up to here.
        base: absolute position of ``text[0]``, a multiple of ``CHUNK``.
        table: int64 ``[2^_TABLE_BITS]``, absolute position behind the last chunk with a hash; 0 for none.
    """
    oldest_factor = np.int64(1)
    for _ in range(CHUNK):
        oldest_factor *= _FACTOR
    found = 0
    hashed = np.int64(0)
    free = start  # where the last repeat ends
    next_try = start
    first = max(0, hashed_to - CHUNK)
    for i in range(first, text.size):
        hashed = hashed * _FACTOR + np.int64(text[i]) + 1
        if i - CHUNK >= first:
            hashed -= (np.int64(text[i - CHUNK]) + 1) * oldest_factor
        behind = i + 1
        if behind - first < CHUNK or behind <= hashed_to:
            continue
        slot = ((hashed * _SPREAD) >> 20) & ((1 << _TABLE_BITS) - 1)
        begin = behind - CHUNK
        candidate = table[slot] - base
        if candidate >= CHUNK and begin >= free and behind >= next_try and found < out.shape[0]:
            distance = behind - candidate
            if MIN_REPEAT <= distance <= MAX_DISTANCE:
                length = 0
                while length < CHUNK and text[begin + length] == text[begin - distance + length]:
                    length += 1
                if length == CHUNK:
                    while (
                        begin + length < text.size
                        and length < distance
                        and text[begin + length] == text[begin - distance + length]
                    ):
                        length += 1
                    while begin > free and begin > distance and length < distance:
                        if text[begin - 1] != text[begin - 1 - distance]:
                            break
                        begin -= 1
                        length += 1
                    if length >= MIN_REPEAT:
                        out[found, 0], out[found, 1], out[found, 2] = begin, length, distance
                        found += 1
                        free = begin + length
                next_try = behind + CHUNK // 2
        if (behind + base) % CHUNK == 0:
            table[slot] = behind + base
    return found


class RepeatFinder:
    """Finds the long repeats of a stream that comes block by block."""

    def __init__(self) -> None:
        self._text = np.zeros(0, np.uint8)
        self._base = 0
        self._table = np.zeros(1 << _TABLE_BITS, np.int64)
        self._hashed_to = 0

    def split(self, plain: bytes) -> list[Piece]:
        """Cut the next block into repeats and what lies between them."""
        drop = max(0, self._text.size - MAX_DISTANCE) // CHUNK * CHUNK
        start = self._text.size - drop
        self._text = np.concatenate([self._text[drop:], np.frombuffer(plain, np.uint8)])
        self._base += drop
        self._hashed_to -= drop
        if self._text.size < 2 * MIN_REPEAT:
            return [Piece(len(plain), 0)]
        out = np.zeros((len(plain) // MIN_REPEAT + 1, 3), np.int64)
        found = _find_repeats(self._text, self._hashed_to, start, self._base, self._table, out)
        self._hashed_to = self._text.size
        pieces = []
        at = start
        for begin, length, distance in out[:found].tolist():
            if begin > at:
                pieces.append(Piece(begin - at, 0))
            pieces.append(Piece(length, distance))
            at = begin + length
        if at < self._text.size:
            pieces.append(Piece(self._text.size - at, 0))
        return pieces


class RepeatWindow:
    """The end of a stream's plain bytes, as far back as repeats reach."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def append(self, plain: bytes) -> None:
        self._kept += plain
        if len(self._kept) > 2 * MAX_DISTANCE:
            del self._kept[:-MAX_DISTANCE]

    def copy(self, distance: int, length: int) -> bytes:
        """Return ``length`` bytes that begin ``distance`` before the end.

        Raises:
            LlmzError: they are not all there.
        """
        if not length <= distance <= min(len(self._kept), MAX_DISTANCE):
            raise LlmzError("a repeat points outside the text")
        start = len(self._kept) - distance
        return bytes(self._kept[start : start + length])
