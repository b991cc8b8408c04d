"""Side information: numbers that tell the network what kind of text a block is.

In a payload: a byte with the length of what follows, and range-coder words that hold the model's ``side_numbers``
values, each coded by its frequencies in the model file.
"""

from __future__ import annotations

import constriction
import numpy as np
from numpy.typing import NDArray

from llmzip.errors import DamagedError
from llmzip.format.reader import Reader
from llmzip.network.architecture import INT8_MAX
from llmzip.network.model import Model, network_code_lengths

_PARTS, _PART_BYTES, _PART_TOKENS = 2, 2048, 512
"""Parts of a text on which side information has to pay for itself."""
_LEAST_BYTES = 32 << 10
"""Of a text that side information may pay for: of 163 shorter ones three saved ten bytes together, and asking takes as
long as coding 7,000 bytes."""
_COLD_TOKENS = 128
"""Tokens at a part's start that do not count: a lane starts cold only once."""
_OVERSTATED = 10
"""How much more the parts may promise than a lane keeps, which has a whole window to learn from: where they promised 4
to 9 times the cost, blocks gained nothing (docs/experiments.md)."""


def pack_side(model: Model, side: NDArray[np.int8]) -> bytes:
    """Code side information int8 ``[side_numbers]``."""
    encoder = constriction.stream.queue.RangeEncoder()
    family = constriction.stream.model.Categorical(perfect=False)
    encoder.encode(side.astype(np.int32) + INT8_MAX, family, model.side_frequencies.astype(np.float32))
    coded = encoder.get_compressed().astype("<u4").tobytes().rstrip(b"\0")
    return bytes([len(coded)]) + coded


def read_side(model: Model, reader: Reader) -> NDArray[np.int8]:
    """Undo :func:`pack_side`.

    Raises:
        DamagedError: it is cut off or no range coder's output.
    """
    coded = reader.read(reader.read(1)[0])
    decoder = constriction.stream.queue.RangeDecoder(range_coder_words(coded))
    family = constriction.stream.model.Categorical(perfect=False)
    try:
        symbols = decoder.decode(family, model.side_frequencies.astype(np.float32))
    except (AssertionError, ValueError) as error:
        raise DamagedError("side information is damaged") from error
    return (np.asarray(symbols) - INT8_MAX).astype(np.int8)


def range_coder_words(coded: bytes) -> NDArray[np.uint32]:
    """What constriction's range decoder reads: words of little-endian bytes whose trailing zeros were left out."""
    return np.frombuffer(coded + bytes(-len(coded) % 4), "<u4").astype(np.uint32)


def choose_side(model: Model, text: bytes) -> NDArray[np.int8] | None:
    """The side information that the encoder reads in ``text``; None where it does not pay."""
    if len(text) < _LEAST_BYTES:
        return None
    parts, cold = _parts(model, text)
    window = model.config.encoder.window
    numbers = np.stack([model.encode_side(part[:window]) for part in parts])
    read: NDArray[np.int8] = np.rint(numbers.mean(0)).astype(np.int8)
    saved = (network_code_lengths(model, parts) - network_code_lengths(model, parts, read))[:, cold:].sum()
    counted_bytes = int(model.tokenizer.token_lengths[parts[:, cold:]].sum(dtype=np.int64))
    promised_bits = saved * len(text) / counted_bytes
    return read if promised_bits > 8 * _OVERSTATED * len(pack_side(model, read)) else None


def _parts(model: Model, text: bytes) -> tuple[NDArray[np.int32], int]:
    """Tokens of parts of a text of at least ``_LEAST_BYTES``, ``[parts, length]``; how many at each one's start do not
    count."""
    starts = np.linspace(len(text) // 4, 3 * len(text) // 4 - _PART_BYTES, _PARTS).astype(int)
    parts = [model.tokenizer.encode(text[start : start + _PART_BYTES]) for start in starts]
    length = min(_PART_TOKENS, *map(len, parts))
    return np.stack([part[:length] for part in parts]), min(_COLD_TOKENS, length // 2)
