"""LZMA. Payload: raw LZMA2; its dictionary is the least power of two not below the plain length, at least 4096."""

from __future__ import annotations

import lzma

from llmzip.errors import DamagedError

_LEAST_DICTIONARY = 4096
_BEST = 9 | lzma.PRESET_EXTREME
_QUICK = 1
MAYBE_REPETITIVE = 0.1
"""Where the quick setting leaves no more than this share, the best one may leave far less."""
BEST_TO_QUICK = 0.65
"""Else it does not leave less than this share of what the quick one does."""


def encode(plain: bytes) -> bytes:
    """As small as LZMA makes it: with the settings of ``xz -9e``."""
    return _encode(plain, _BEST)


def encode_quickly(plain: bytes) -> bytes:
    return _encode(plain, _QUICK)


def encode_if_below(plain: bytes, size: int) -> bytes | None:
    """The smaller of both, or None if it is not smaller than ``size``: tried at its best only where that is likely."""
    quick = encode_quickly(plain)
    if len(quick) > MAYBE_REPETITIVE * len(plain) and BEST_TO_QUICK * len(quick) >= size:
        return None
    best = min(quick, encode(plain), key=len)
    return best if len(best) < size else None


def decode(payload: bytes, plain_length: int) -> bytes:
    """Undo :func:`encode`.

    Raises:
        DamagedError: the payload is not the LZMA of so many bytes, to its last byte.
    """
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_filters(plain_length))
    try:
        plain = decoder.decompress(payload, max_length=plain_length + 1)
    except (lzma.LZMAError, EOFError) as error:
        raise DamagedError("LZMA data is damaged") from error
    if len(plain) != plain_length or not decoder.eof or decoder.unused_data:
        raise DamagedError("LZMA data is damaged")
    return plain


def _filters(plain_length: int, preset: int = _BEST) -> list[dict[str, int]]:
    size = max(_LEAST_DICTIONARY, 1 << (plain_length - 1).bit_length())
    return [{"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": size}]


def _encode(plain: bytes, preset: int) -> bytes:
    return lzma.compress(plain, lzma.FORMAT_RAW, filters=_filters(len(plain), preset))
