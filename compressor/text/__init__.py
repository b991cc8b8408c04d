"""Exact, reversible transforms: what a text is wrapped in, taken out before it is coded.

Every transform is a module with ``take_out(plain, sample_bits)``, which returns a description and streams to be coded
in place of the text, or None where it is of no use, and ``put_back(description, streams, plain_length)``, which undoes
that or raises DamagedError.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from llmzip.errors import DamagedError
from llmzip.text import (
    charsets,
    digits,
    escapes,
    hex_dumps,
    hex_records,
    line_breaks,
    overstrikes,
    passages,
    separators,
    uuencode,
)
from llmzip.text.samples import SampleBits

__all__ = ["TRANSFORMS", "SampleBits", "Taken", "Transform", "put_back", "take_out"]


class Transform(Protocol):
    """What a transform's module has."""

    __name__: str

    def take_out(self, plain: bytes, sample_bits: SampleBits | None) -> tuple[bytes, list[bytes]] | None: ...

    def put_back(self, description: bytes, streams: list[bytes], plain_length: int) -> bytes: ...


TRANSFORMS: dict[int, Transform] = {
    2: charsets,
    7: separators,
    8: passages,
    10: hex_records,
    3: digits,
    4: uuencode,
    5: hex_dumps,
    6: overstrikes,
    9: escapes,
    1: line_breaks,
}
"""By their numbers in the format, in the order in which they are tried: NULs of UTF-16 are no separators, separators no
passages that are no text, hex records no digits in lines, and line breaks of what is left come last."""
LINE_BREAKS = 1
"""The number of the transform that joins lines."""


class Taken(NamedTuple):
    """A text that was transformed."""

    number: int
    description: bytes
    streams: list[bytes]


def take_out(
    plain: bytes, sample_bits: SampleBits | None, before: tuple[int, ...] = (), keeps_crlf: bool | None = None
) -> Taken | None:
    """What the first transform makes of a text that is of use; its streams may be transformed again.

    Args:
        before: numbers of the transforms that ``plain`` is left by, the last one last.
        keeps_crlf: whether line ends that are left are CR LF, as in text before; None asks the network.
    """
    for number, transform in TRANSFORMS.items():
        if transform is not line_breaks:
            taken = transform.take_out(plain, sample_bits)
        elif before[-1:] != (number,):  # else none are left, and asking the network again takes time
            taken = line_breaks.take_out(plain, sample_bits, keeps_crlf)
        else:
            taken = None
        if taken:
            return Taken(number, *taken)
    return None


def put_back(taken: Taken, plain_length: int) -> bytes:
    """Undo :func:`take_out`.

    Raises:
        DamagedError: there is no such transform, or its description makes no sense or does not give ``plain_length``
            bytes.
    """
    transform = TRANSFORMS.get(taken.number)
    if transform is None:
        raise DamagedError("text was transformed in a way that is not known here")
    return transform.put_back(taken.description, taken.streams, plain_length)
