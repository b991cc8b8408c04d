"""The binary arithmetic coder of the mixing kernels: carry-less, with 32-bit bounds, inside compiled code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmzip.network.compilation import compiled
from llmzip.mixing.logistic import PROBABILITY_BITS

CODER_MARGIN = 512
"""More bytes than a token can take at the worst."""

# Fields of the binary coder.
LOW, HIGH, CODE, CURSOR, DECODING, CODER_FIELDS = range(6)


def new_coder() -> NDArray[np.int64]:
    """A binary coder that writes."""
    coder = np.zeros(CODER_FIELDS, np.int64)
    coder[HIGH] = 0xFFFFFFFF
    return coder


def finish(coder: NDArray[np.int64], coded: NDArray[np.uint8]) -> bytes:
    """End what ``coder`` has written to ``coded`` and return it; the decoder reads zeros behind the end."""
    end = int(coder[CURSOR])
    coded[end] = coder[HIGH] >> 24
    return coded[: end + 1].tobytes().rstrip(b"\0")


def new_decoder(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """A binary coder that reads ``data``, and the buffer that it reads from."""
    coded = np.frombuffer(data + bytes(4), np.uint8).copy()
    coder = new_coder()
    coder[CODE] = int.from_bytes(coded[:4].tobytes(), "big")
    coder[CURSOR] = 4
    coder[DECODING] = 1
    return coder, coded


@compiled
def code_bit(bit, probability, coder, coded):
    """Binary arithmetic coder; ``probability`` of a 1 in 1/65536. Returns the bit, decoded or as given."""
    low, high = coder[LOW], coder[HIGH]
    middle = low + (((high - low) * probability) >> PROBABILITY_BITS)
    if coder[DECODING]:
        bit = 1 if coder[CODE] <= middle else 0
    if bit:
        high = middle
    else:
        low = middle + 1
    while ((low ^ high) & 0xFF000000) == 0:
        cursor = coder[CURSOR]
        if coder[DECODING]:
            byte = np.int64(coded[cursor]) if cursor < coded.size else np.int64(0)
            coder[CODE] = ((coder[CODE] << 8) & 0xFFFFFFFF) | byte
        else:
            coded[cursor] = high >> 24
        coder[CURSOR] = cursor + 1
        low = (low << 8) & 0xFFFFFFFF
        high = ((high << 8) & 0xFFFFFFFF) | 255
    coder[LOW] = low
    coder[HIGH] = high
    return bit
