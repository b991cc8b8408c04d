"""The stored numbers of a block: what to store, and how."""

from __future__ import annotations

import constriction
import numpy as np
from numpy.typing import NDArray

from llmzip.architecture import INT8_MAX
from llmzip.errors import LlmzError
from llmzip.model import Model, code_lengths

NULL_SIDE = b"\0"
TRIAL_TOKENS = 512
"""Tokens of each part of a block on which side information has to pay for itself."""
COLD_TOKENS = 128
"""Tokens at a part's start that do not count: a lane starts cold only once."""
MIN_TOKENS = 64


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

    Short blocks are tried whole. Of longer ones two parts are tried: the encoder reads one window of each, the
    candidate is the mean, and what it saves behind the first tokens of a part is taken for the whole block.
    """
    window = model.config.encoder.window
    if tokens.size < MIN_TOKENS:
        return None
    whole = tokens.size <= 2 * TRIAL_TOKENS
    starts = [0] if whole else [tokens.size // 4, 3 * tokens.size // 4 - TRIAL_TOKENS]
    length = tokens.size if whole else TRIAL_TOKENS
    targets = np.stack([tokens[start : start + length] for start in starts])
    inputs = np.concatenate([np.full((len(starts), 1), model.start_token, np.int32), targets[:, :-1]], 1)
    read = [model.encode_side(part[:window]) for part in targets]
    candidate: NDArray[np.int8] = np.rint(np.stack(read).mean(0)).astype(np.int8)
    cold = 0 if whole else COLD_TOKENS

    def bits(side: NDArray[np.int8] | None) -> float:
        cumulative = model.predictor(len(starts), length, side)(inputs)
        warm = code_lengths(cumulative, targets.ravel()).reshape(targets.shape)[:, cold:]
        return float(warm.mean()) * tokens.size + 8 * len(pack_side(model, side))

    return candidate if bits(candidate) < bits(None) else None
