"""LZMA. Payload: raw LZMA2; its dictionary is the least power of two not below the plain length, at least 4096."""

from __future__ import annotations

import functools
import lzma
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from llmzip.errors import DamagedError

_LEAST_DICTIONARY = 4096
_BEST = 9 | lzma.PRESET_EXTREME
_QUICK = 1
_MAYBE_REPETITIVE = 0.1
"""Where the quick setting leaves no more than this share, the best one may leave far less."""
_BEST_TO_QUICK = 0.65
"""Else it does not leave less than this share of what the quick one does."""
_LONGEST_AHEAD = 4 << 20
"""A longer block's best, which takes memory in proportion, is not begun before it is asked for."""


def encode(plain: bytes) -> bytes:
    """As small as LZMA makes it: with the settings of ``xz -9e``."""
    return _encode(plain, _BEST)


def encode_quickly(plain: bytes) -> bytes:
    return _encode(plain, _QUICK)


class Attempt:
    """What LZMA makes of a block: quickly at once, at its best where that is asked for.

    Args:
        ahead: begin with the best in a thread of its own, since it may be asked for and a core is free.
    """

    def __init__(self, plain: bytes, ahead: bool = False) -> None:
        self._plain_length = len(plain)
        self._best: Callable[[], bytes] = functools.partial(encode, plain)
        if ahead and len(plain) <= _LONGEST_AHEAD:
            pool = ThreadPoolExecutor(1)
            self._best = pool.submit(encode, plain).result
            pool.shutdown(wait=False)
        self.quick = encode_quickly(plain)

    @property
    def may_be_repetitive(self) -> bool:
        """Whether the best may leave far less than the quick setting."""
        return len(self.quick) <= _MAYBE_REPETITIVE * self._plain_length

    def best(self) -> bytes:
        """As :func:`encode`."""
        return self._best()

    def best_may_be_below(self, size: int) -> bool:
        """Whether the best is likely to be smaller than ``size``."""
        return self.may_be_repetitive or _BEST_TO_QUICK * len(self.quick) < size

    def if_below(self, size: int) -> bytes | None:
        """The smaller of both, or None if it is not smaller than ``size``."""
        if not self.best_may_be_below(size):
            return None
        smaller = min(self.quick, self.best(), key=len)
        return smaller if len(smaller) < size else None


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
