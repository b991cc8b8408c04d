"""Numbers in as few bytes as they need."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmzip.errors import DamagedError

_MOST_BYTES = 9
"""Of one number of many: those of 63 bits."""


def pack_varint(value: int) -> bytes:
    """``value`` of 0 and more, seven bits a byte, lowest first; the high bit says that more follow."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def unpack_varints(data: bytes) -> NDArray[np.uint64]:
    """All numbers of ``data``, each below 2^63.

    Raises:
        DamagedError: the last one is cut off, one is too great or is not written in as few bytes as it needs.
    """
    every = np.frombuffer(data, np.uint8)
    if every.size and every[-1] >= 0x80:
        raise DamagedError("numbers in the file are cut off")
    ends = np.flatnonzero(every < 0x80)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])[: ends.size]
    lengths = ends - starts + 1
    if ends.size and (lengths.max() > _MOST_BYTES or ((every[ends] == 0) & (lengths > 1)).any()):
        raise DamagedError("a number in the file is out of range")
    values = np.zeros(ends.size, np.uint64)
    for place in range(int(lengths.max()) if ends.size else 0):
        longer = lengths > place
        values[longer] |= (every[starts[longer] + place] & 0x7F).astype(np.uint64) << np.uint64(7 * place)
    return values
