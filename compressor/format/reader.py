"""Reading to the exact byte, without taking memory for more than is there."""

from __future__ import annotations

import io
from typing import BinaryIO

from llmzip.errors import DamagedError, TruncatedError

_PIECE_BYTES = 1 << 20


class Reader:
    """Reads a binary stream, or bytes, to the exact byte.

    Attributes:
        position: bytes read so far.
        missing: bytes that the stream had too few at its end.
    """

    def __init__(self, source: BinaryIO | bytes) -> None:
        self._stream = io.BytesIO(source) if isinstance(source, bytes) else source
        self.position = self.missing = 0

    def read(self, count: int) -> bytes:
        """Return exactly ``count`` bytes.

        Raises:
            TruncatedError: the stream ends before.
        """
        data = self.read_at_most(count)
        if len(data) < count:
            raise TruncatedError("unexpected end of file")
        return data

    def read_at_most(self, count: int) -> bytes:
        """Return ``count`` bytes, fewer only where the stream ends.

        Raises:
            BlockingIOError: a stream that does not block has nothing at the moment.
        """
        parts = []
        left = count
        while left:
            part = self._stream.read(min(left, _PIECE_BYTES))
            if part is None:
                raise BlockingIOError("input has no bytes ready; llmzip reads blocking streams only")
            if not part:
                break
            parts.append(part)
            left -= len(part)
        self.position += count - left
        self.missing = left
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Go on ``count`` bytes further, in a stream that can seek; behind its end, too."""
        self._stream.seek(count, io.SEEK_CUR)
        self.position += count

    def rest(self) -> bytes:
        """What is left of the stream."""
        data = self._stream.read()
        self.position += len(data)
        return data

    def read_varint(self, limit: int) -> int:
        """Read what :func:`llmzip.format.varint.pack_varint` gave.

        Raises:
            TruncatedError: the stream ends before.
            DamagedError: the number is more than ``limit`` or is not written in as few bytes as it needs.
        """
        value = shift = 0
        while True:
            byte = self.read(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if value > limit or shift > 70 or (byte == 0 and shift > 7):
                raise DamagedError("a number in the file is out of range")
            if byte < 0x80:
                return value
