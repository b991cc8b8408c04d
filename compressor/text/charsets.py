"""Text that is not UTF-8, turned into UTF-8 before it is coded: the model knows its letters only there."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

CHARSETS = ("utf-16-le", "utf-16-be", "cp1252", "cp1250", "cp1251", "koi8-r")
"""Names of Python's codecs; a file stores the place in this list."""
_UTF_16_LE, _UTF_16_BE, _FIRST_OF_ONE_BYTE = range(3)
_LATIN_IN_UTF_16, _READABLE_IN_UTF_16 = 0.25, 0.99
"""Least share of code units below 256 in what is taken for UTF-16, and of readable ones among them."""
_FEWEST_HIGH_BYTES = 8
"""Bytes from 128 on."""
_WORTHWHILE = 0.98
SAMPLE_PARTS, SAMPLE_PART_BYTES = 4, 600

SampleBits = Callable[[list[bytes]], float]
"""Bits that a model needs for some pieces of text."""


def sample(text: bytes, parts: int = SAMPLE_PARTS, part_bytes: int = SAMPLE_PART_BYTES) -> list[bytes]:
    """Pieces from all over a text."""
    length = min(part_bytes, len(text) // parts)
    return [text[start : start + length] for start in np.linspace(0, len(text) - length, parts).astype(int)]


def to_utf8(plain: bytes, charset: int) -> bytes | None:
    """``plain`` in UTF-8, or None where it is not text in that charset which :func:`from_utf8` gives back."""
    try:
        text = plain.decode(CHARSETS[charset], "surrogatepass").encode("utf-8", "surrogatepass")
        return text if from_utf8(text, charset) == plain else None
    except ValueError:
        return None


def from_utf8(text: bytes, charset: int) -> bytes:
    """Undo :func:`to_utf8`.

    Raises:
        ValueError: ``text`` is not UTF-8, or has letters that the charset has not.
    """
    return text.decode("utf-8", "surrogatepass").encode(CHARSETS[charset], "surrogatepass")


def find_charset(plain: bytes, sample_bits: SampleBits | None) -> tuple[int, bytes] | None:
    """The charset that ``plain`` is better read in and its text in UTF-8; None for UTF-8, ASCII and what is no text.

    Args:
        sample_bits: tells charsets of one byte a letter apart; without it they are not looked for.
    """
    values = np.frombuffer(plain, np.uint8)
    if len(plain) >= 2 and len(plain) % 2 == 0 and (found := _find_utf_16(values)) is not None:
        text = to_utf8(plain, found)
        return None if text is None else (found, text)
    if not sample_bits or (values >= 128).sum() < _FEWEST_HIGH_BYTES or (values == 0).any() or _is_utf8(plain):
        return None
    parts = sample(plain)
    enough = _WORTHWHILE * sample_bits(parts)
    for bits, charset in sorted(_bits_by_charset(parts, sample_bits)):
        if bits < enough and (text := to_utf8(plain, charset)) is not None:
            return charset, text
    return None


def _bits_by_charset(parts: list[bytes], sample_bits: SampleBits) -> Iterator[tuple[float, int]]:
    for charset in range(_FIRST_OF_ONE_BYTE, len(CHARSETS)):
        read = [to_utf8(part, charset) for part in parts]
        if None not in read:
            yield sample_bits([text or b"" for text in read]), charset


def _find_utf_16(values: NDArray[np.uint8]) -> int | None:
    """By its code units below 256: most are printable, white space or Latin-1's letters."""
    for charset, low in ((_UTF_16_LE, values[0::2]), (_UTF_16_BE, values[1::2])):
        high = values[1::2] if charset == _UTF_16_LE else values[0::2]
        latin = low[high == 0]
        readable = (latin >= 32) | (latin == 9) | (latin == 10) | (latin == 13)
        if latin.size >= _LATIN_IN_UTF_16 * high.size and readable.mean() >= _READABLE_IN_UTF_16:
            return charset
    return None


def _is_utf8(plain: bytes) -> bool:
    """Whether a block of a text is UTF-8; characters at its ends may be cut."""
    start = next((i for i in range(min(4, len(plain))) if plain[i] & 0xC0 != 0x80), 0)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(plain[start:])
    except UnicodeDecodeError:
        return False
    return True
