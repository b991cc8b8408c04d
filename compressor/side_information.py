"""The stored numbers of a block: what to store, and how."""

from __future__ import annotations

import constriction
import numpy as np
from numpy.typing import NDArray

from llmzip.architecture import INT8_MAX
from llmzip.errors import LlmzError
from llmzip.model import Model

NULL_SIDE = b"\0"
TRIAL_TOKENS = 1024
"""Tokens of each part of a block on which side information has to pay for itself."""
TRIAL_PARTS = 3


def pack_side(model: Model, side: NDArray[np.int8] | None) -> bytes:
    """Code side information int8 ``[side_numbers]`` with the learned prior; one length byte, then range-coder words."""
    if side is None:
        return NULL_SIDE
    encoder = constriction.stream.queue.RangeEncoder()
    family = constriction.stream.model.Categorical(perfect=False)
    encoder.encode(side.astype(np.int32) + INT8_MAX, family, model.side_frequencies.astype(np.float32))
    coded = encoder.get_compressed().astype("<u4").tobytes().rstrip(b"\0")
    return bytes([len(coded)]) + coded


def unpack_side(model: Model, data: bytes) -> tuple[NDArray[np.int8] | None, int]:
    """Return the side information at the start of ``data`` and the bytes it took.

    Raises:
        LlmzError: the data is cut off.
    """
    length = data[0] if data else 0
    if not data or len(data) < 1 + length:
        raise LlmzError("side information is cut off")
    if length == 0:
        return None, 1
    words = np.frombuffer(data[1 : 1 + length] + b"\0" * (-length % 4), "<u4").astype(np.uint32)
    decoder = constriction.stream.queue.RangeDecoder(words)
    family = constriction.stream.model.Categorical(perfect=False)
    symbols = decoder.decode(family, model.side_frequencies.astype(np.float32))
    return (np.asarray(symbols) - INT8_MAX).astype(np.int8), 1 + length


def choose_side(model: Model, tokens: NDArray[np.int32]) -> NDArray[np.int8] | None:
    """Return the side information that saves more than it costs on ``tokens`` int32 ``[tokens]``, or None.

    Candidates are what the encoder reads off one window in each of a few evenly spaced parts, and their mean. Savings
    on the parts tried are taken for the whole block.
    """
    window = model.config.encoder.window
    if tokens.size < 64:
        return None
    starts = np.unique(np.linspace(0, max(0, tokens.size - TRIAL_TOKENS), TRIAL_PARTS).astype(np.int64))
    parts = [tokens[s : s + TRIAL_TOKENS] for s in starts]
    length = min(part.size for part in parts)
    targets = np.stack([part[:length] for part in parts])
    inputs = np.concatenate([np.full((len(parts), 1), model.start_token, np.int32), targets[:, :-1]], 1)
    read = [model.encode_side(part[:window]) for part in parts]
    mean = np.round(np.mean(read, 0)).astype(np.int8)

    def bits(side: NDArray[np.int8] | None) -> float:
        cumulative = model.predictor(len(parts), length, side)(inputs)
        rows, flat = np.arange(targets.size), targets.ravel()
        share = (cumulative[rows, flat + 1] - cumulative[rows, flat]) / cumulative[:, -1]
        return float(-np.log2(share).sum()) * tokens.size / targets.size + 8 * len(pack_side(model, side))

    candidates = [None, mean, *(read if len(read) > 1 else [])]
    costs = [bits(side) for side in candidates]
    return candidates[int(np.argmin(costs))]
