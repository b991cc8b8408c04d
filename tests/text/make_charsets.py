"""Write compressor/data/charsets.bin from Python's codecs: which character every code of every charset stands for.

A code of which the charset's encoder makes another is left out, so that what is read can be written again.
"""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmzip.text.charset_tables import (
    GB_FOUR,
    GRID_LEADS,
    GRID_TRAILS,
    NOTHING,
    ONE_BYTE,
    TABLES,
    TWO_BYTES,
    pack_tables,
)

PATH = Path(__file__).parents[2] / "compressor" / "data" / "charsets.bin"


def character(code: bytes, charset: str) -> int | None:
    """The one character below 65536 that a code stands for, if it is written with that code."""
    try:
        text = code.decode(charset)
        exact = len(text) == 1 and ord(text) < 1 << 16 and text.encode(charset) == code
    except UnicodeError:
        return None
    return ord(text) if exact else None


def one_byte(charset: str) -> NDArray[np.uint16]:
    found = (character(bytes([byte]), charset) for byte in range(256))
    return np.array([NOTHING if point is None else point for point in found], np.uint16)


def grid(charset: str, before: bytes = b"") -> NDArray[np.uint16]:
    codes = (before + bytes([lead, trail]) for lead in GRID_LEADS for trail in GRID_TRAILS)
    return np.array([character(code, charset) or 0 for code in codes], np.uint16)


def four_bytes(charset: str) -> NDArray[np.uint16]:
    places = range(GB_FOUR)
    digits = ((place // 12600, place // 1260 % 10, place // 10 % 126, place % 10) for place in places)
    codes = (bytes([0x81 + a, 0x30 + b, 0x81 + c, 0x30 + d]) for a, b, c, d in digits)
    return np.array([character(code, charset) or 0 for code in codes], np.uint16)


def make_tables() -> list[NDArray[np.uint16]]:
    """All tables in the order of :data:`llmzip.text.charset_tables.TABLES`."""
    made = []
    for charset, kind in TABLES:
        if kind == "one":
            made.append(one_byte(charset))
        elif kind == "four":
            made.append(four_bytes(charset))
        else:
            made.append(grid(charset, b"\x8f" if kind == "three" else b""))
    return made


if __name__ == "__main__":
    assert ONE_BYTE
    assert TWO_BYTES
    packed = pack_tables(make_tables())
    PATH.write_bytes(packed)
    print(len(packed), len(lzma.decompress(packed)))
