"""The stored numbers of a block: what to store, and how."""

from __future__ import annotations

from importlib.util import find_spec

import constriction
import numpy as np
from numpy.typing import NDArray

from llmzip.network.architecture import INT8_MAX, SIDE_STEPS_PER_UNIT
from llmzip.errors import LlmzError
from llmzip.network.model import Model, inputs_of, network_code_lengths

NULL_SIDE = b"\0"
TRIAL_TOKENS = 512
"""Tokens of each part of a block on which side information has to pay for itself."""
TRIED_PARTS, REFINED_PARTS = 2, 4
"""Parts to try what the encoder reads on, and to refine it for."""
COLD_TOKENS = 128
"""Tokens at a part's start that do not count: a lane starts cold only once."""
MIN_TOKENS = 64
GRADIENT_STEPS, SEARCH_STEPS = 12, 64
"""Of refinement, for each level of effort."""


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


class SideTrial:
    """Parts of a block on which side information shows what it saves.

    Args:
        tokens: the block's, int32 ``[tokens]``. Few are tried whole; of many, ``parts`` parts are.
    """

    def __init__(self, model: Model, tokens: NDArray[np.int32], parts: int) -> None:
        self._model = model
        self._block_tokens = tokens.size
        self._whole = tokens.size <= parts * TRIAL_TOKENS
        length = tokens.size if self._whole else TRIAL_TOKENS
        first, last = (0, 0) if self._whole else (tokens.size // 4, 3 * tokens.size // 4 - length)
        starts = np.linspace(first, last, 1 if self._whole else parts).astype(np.int64)
        self._targets = np.stack([tokens[start : start + length] for start in starts])
        self._cold = 0 if self._whole else COLD_TOKENS
        self._weight = tokens.size / self._targets[:, self._cold :].size

    def bits(self, side: NDArray[np.int8] | None) -> float:
        """Bits of the whole block by the network alone, estimated on the parts behind their start, and of ``side``."""
        lengths = network_code_lengths(self._model, self._targets, side)
        return float(lengths[:, self._cold :].sum()) * self._weight + 8 * len(pack_side(self._model, side))

    def read(self) -> NDArray[np.int8]:
        """What the encoder reads in one window of each part, on average."""
        window = self._model.config.encoder.window
        numbers = np.stack([self._model.encode_side(part[:window]) for part in self._targets])
        mean: NDArray[np.int8] = np.rint(numbers.mean(0)).astype(np.int8)
        return mean

    def refine(self, side: NDArray[np.int8], effort: int) -> NDArray[np.int8]:
        """``side`` refined for the block: by gradient where PyTorch is installed, else number by number."""
        if find_spec("torch"):
            from llmzip.models.refine_side import refine_by_gradient

            steps = effort * GRADIENT_STEPS
            inputs = inputs_of(self._model, self._targets)
            return refine_by_gradient(self._model, inputs, self._targets, self._cold, side, steps, self._weight)
        return self.search(side, effort * SEARCH_STEPS)

    def search(self, side: NDArray[np.int8], steps: int) -> NDArray[np.int8]:
        """Coordinate search: ``steps`` trials of one number more or less, by strides that halve; what helps is kept."""
        best, least, stride = side.copy(), self.bits(side), SIDE_STEPS_PER_UNIT
        moves = [(number, sign) for number in range(side.size) for sign in (1, -1)]
        random = np.random.default_rng(0)
        for step in range(steps):
            if step % len(moves) == 0:
                random.shuffle(moves)
                stride = max(1, stride // 2) if step else stride
            number, sign = moves[step % len(moves)]
            tried = best.copy()
            tried[number] = np.clip(int(tried[number]) + sign * stride, -INT8_MAX, INT8_MAX)
            if (bits := self.bits(tried)) < least:
                best, least = tried, bits
        return best


def choose_side(model: Model, tokens: NDArray[np.int32], effort: int = 0) -> NDArray[np.int8] | None:
    """Return the side information that saves more than it costs on ``tokens`` int32 ``[tokens]``, or None.

    The candidates are what the encoder reads and, with ``effort`` of 1 and more, that and none at all refined for
    these tokens.
    """
    if tokens.size < MIN_TOKENS:
        return None
    trial = SideTrial(model, tokens, REFINED_PARTS if effort else TRIED_PARTS)
    read = trial.read()
    candidates: list[NDArray[np.int8] | None] = [None, read]
    if effort:
        candidates += [trial.refine(start, effort) for start in (np.zeros_like(read), read)]
    return min(candidates, key=trial.bits)
