"""Signed integers of a few bits, packed without gaps: how a model file keeps weights of fewer than eight bits."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _pack(values, bits, out):
    held, filled, place = np.int64(0), np.int64(0), np.int64(0)
    mask = (1 << bits) - 1
    for value in values:
        held |= (np.int64(value) & mask) << filled
        filled += bits
        while filled >= 8:
            out[place] = held & 255
            place += 1
            held >>= 8
            filled -= 8
    if filled:
        out[place] = held & 255


@njit(cache=True, nogil=True)
def _unpack(data, bits, out):
    held, filled, place = np.int64(0), np.int64(0), np.int64(0)
    mask, half = (1 << bits) - 1, 1 << (bits - 1)
    for i in range(out.size):
        while filled < bits:
            held |= np.int64(data[place]) << filled
            place += 1
            filled += 8
        out[i] = np.int8(((held & mask) ^ half) - half)
        held >>= bits
        filled -= bits


def packed_size(count: int, bits: int) -> int:
    """Bytes that ``count`` integers of ``bits`` bits take."""
    return -(-count * bits // 8)


def pack_integers(values: NDArray[np.int8], bits: int) -> NDArray[np.uint8]:
    """Pack two's-complement integers of ``bits`` bits, 2 to 8, lowest bits first."""
    out = np.zeros(packed_size(values.size, bits), np.uint8)
    _pack(np.ascontiguousarray(values).ravel(), bits, out)
    return out


def unpack_integers(data: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.int8]:
    """Undo :func:`pack_integers`; returns int8 ``[count]``.

    Raises:
        ValueError: ``data`` is too short.
    """
    if data.size < packed_size(count, bits):
        raise ValueError("packed integers are cut off")
    out = np.empty(count, np.int8)
    _unpack(data, bits, out)
    return out
