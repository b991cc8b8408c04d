"""Copies: long repeats of what came before in the member.

Payload: the distance back to what the block repeats (varint), from 1 to 2^26. It may be less than the block's plain
length: then the last so many bytes come again and again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from llmzip.core import _native
from llmzip.errors import DamagedError, TruncatedError
from llmzip.format.reader import Reader
from llmzip.format.varint import pack_varint

MAX_DISTANCE = 1 << 26
MIN_REPEAT = 1 << 15
"""Shorter repeats cost little through match models."""
CHUNK = 1 << 12
_TABLE_SIZE = 1 << 16
_PART_BYTES = 1 << 16
_ROOM_BYTES = 1 << 24
"""How much more than ``MAX_DISTANCE`` is kept before it is moved to the front of its memory."""


class Piece(NamedTuple):
    """``length`` bytes of a block; a copy of what stands ``distance`` before, or new text where that is 0."""

    length: int
    distance: int


class RepeatFinder:
    """Finds the long repeats of a stream that comes block by block."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._base = 0
        self._table = np.zeros(_TABLE_SIZE, np.uint64)
        self._hashed = 0

    def split(self, plain: bytes) -> list[Piece]:
        """Cut the next block into repeats and what lies between them."""
        if len(self._text) > MAX_DISTANCE + _ROOM_BYTES:
            self._forget(len(self._text) - MAX_DISTANCE)
        start = len(self._text)
        self._text += plain
        if len(self._text) < 2 * MIN_REPEAT:
            return [Piece(len(plain), 0)]
        out = np.zeros((len(plain) // MIN_REPEAT, 3), np.uint64)
        found = _native.find_repeats(
            self._text, start, self._hashed, self._base, self._table, MIN_REPEAT, MAX_DISTANCE, out
        )
        self._hashed = len(self._text)
        pieces = []
        at = start
        for begin, length, distance in out[:found].tolist():
            if begin > at:
                pieces.append(Piece(begin - at, 0))
            pieces.append(Piece(length, distance))
            at = begin + length
        if at < len(self._text):
            pieces.append(Piece(len(self._text) - at, 0))
        return pieces

    def _forget(self, count: int) -> None:
        del self._text[:count]
        self._base += count
        self._hashed = max(0, self._hashed - count)


def encode(distance: int) -> bytes:
    return pack_varint(distance)


class RepeatWindow:
    """The end of a member's plain bytes, as far back as copies reach.

    Args:
        place: of its first byte in the member.
        before: gives so many bytes from a place before it on; None where no copy reaches back so far.
    """

    def __init__(self, place: int = 0, before: Callable[[int, int], bytes] | None = None) -> None:
        self._end = place
        self._before = before
        self._parts: deque[bytes | bytearray] = deque()
        self._bytes = 0

    def append(self, plain: bytes) -> None:
        last = self._parts[-1] if self._parts else b""
        if len(plain) >= _PART_BYTES:
            self._parts.append(plain)
        elif isinstance(last, bytearray) and len(last) < _PART_BYTES:
            last += plain
        else:
            self._parts.append(bytearray(plain))
        self._bytes += len(plain)
        self._end += len(plain)
        while self._bytes - len(self._parts[0]) >= MAX_DISTANCE:
            self._bytes -= len(self._parts.popleft())

    def decode(self, payload: bytes, plain_length: int) -> bytes:
        """The plain bytes of a copy.

        Raises:
            DamagedError: they are not all there.
        """
        reader = Reader(payload)
        try:
            distance = reader.read_varint(MAX_DISTANCE)
        except TruncatedError as error:
            raise DamagedError("a copy's distance is cut off") from error
        most = self._bytes if self._before is None else min(self._end, MAX_DISTANCE)
        if reader.position < len(payload) or not 1 <= distance <= most:
            raise DamagedError("a copy points outside the text")
        length = min(plain_length, distance)
        earlier = min(length, max(0, distance - self._bytes))
        once = self._before(self._end - distance, earlier) if earlier and self._before is not None else b""
        once += self._last(distance - earlier, length - earlier)
        return (once * -(-plain_length // length))[:plain_length]

    def _last(self, distance: int, length: int) -> bytes:
        """So many bytes from ``distance`` before the end on."""
        found: list[bytes | bytearray] = []
        first = self._bytes - distance
        end = self._bytes
        for part in reversed(self._parts):
            begin = end - len(part)
            low, high = max(first - begin, 0), first + length - begin
            if high > 0:
                found.append(part[low:high])
            if begin <= first:
                break
            end = begin
        return b"".join(reversed(found))
