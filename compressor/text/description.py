"""What a transform notes down: numbers, places and short strings as bytes."""

from __future__ import annotations

from collections.abc import Iterable

from llmzip.errors import DamagedError
from llmzip.format.varint import pack_varint

_MOST_BITS = 64


def pack_numbers(numbers: Iterable[int]) -> bytes:
    """Numbers of 0 and more as varints, one after the other."""
    return b"".join(map(pack_varint, numbers))


def pack_places(places: Iterable[int]) -> bytes:
    """Ascending numbers as the gaps between them."""
    out, before = [], -1
    for place in places:
        out.append(place - before - 1)
        before = place
    return pack_numbers(out)


def senseless() -> DamagedError:
    return DamagedError("a description of how text was transformed makes no sense")


class Source:
    """Takes numbers and strings off the front of a description. DamagedError where it ends too early."""

    def __init__(self, description: bytes) -> None:
        self._bytes = description
        self._at = 0

    @property
    def is_empty(self) -> bool:
        return self._at == len(self._bytes)

    def take(self, count: int) -> bytes:
        taken = self._bytes[self._at : self._at + count]
        if len(taken) < count:
            raise senseless()
        self._at += count
        return taken

    def peek(self, count: int) -> bytes:
        """The next ``count`` bytes, fewer where there are no more; they stay."""
        return self._bytes[self._at : self._at + count]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self, limit: int = (1 << _MOST_BITS) - 1) -> int:
        """A varint of at most ``limit``, in as few bytes as it needs."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if value > limit or shift > _MOST_BITS + 6 or (byte == 0 and shift > 7):
                raise senseless()
            if byte < 0x80:
                return value

    def numbers(self) -> list[int]:
        """All that is left."""
        out = []
        while not self.is_empty:
            out.append(self.number())
        return out

    def string(self) -> bytes:
        return self.take(self.byte())

    def end(self) -> None:
        if not self.is_empty:
            raise senseless()
