"""Token mode: the network's distribution straight into constriction's range coder, all lanes in step."""

from __future__ import annotations

import constriction
import numpy as np
from numpy.typing import NDArray

from llmzip.errors import LlmzError
from llmzip.lanes import LaneLayout
from llmzip.model import Model
from llmzip.progress import Progress

CHUNK_ROWS = 512
"""Rows of one network call while compressing: enough for BLAS, little enough for memory."""


def _probabilities(cumulative: NDArray[np.int32]) -> NDArray[np.float32]:
    """Frequencies as float32, exactly: they are integers below 2^24."""
    return np.diff(cumulative, axis=1).astype(np.float32)


def encode_tokens(
    model: Model, tokens: NDArray[np.int32], lanes: int, side: NDArray[np.int8] | None,
    kernel: str | None, progress: Progress,
) -> bytes:  # fmt: skip
    """Code ``tokens`` in ``lanes`` lanes; the result has no length of its own."""
    layout = LaneLayout(tokens.size, lanes)
    grid = layout.split(tokens)
    chunk = max(1, CHUNK_ROWS // lanes)
    predictor = model.predictor(lanes, chunk, side, kernel)
    inputs = np.concatenate([np.full((lanes, 1), model.start_token, np.int32), grid[:, :-1]], 1)
    family = constriction.stream.model.Categorical(perfect=False)
    encoder = constriction.stream.queue.RangeEncoder()
    for start in range(0, layout.steps, chunk):
        steps = min(chunk, layout.steps - start)
        probabilities = _probabilities(predictor(np.ascontiguousarray(inputs[:, start : start + steps])))
        by_step = probabilities.reshape(lanes, steps, -1)
        for t in range(steps):
            active = layout.active(start + t)
            encoder.encode(grid[:active, start + t].copy(), family, np.ascontiguousarray(by_step[:active, t]))
            progress.advance_tokens(active)
    return encoder.get_compressed().astype("<u4").tobytes().rstrip(b"\0")


def decode_tokens(
    model: Model, data: bytes, count: int, lanes: int, side: NDArray[np.int8] | None,
    kernel: str | None, progress: Progress,
) -> NDArray[np.int32]:  # fmt: skip
    """Undo :func:`encode_tokens`.

    Raises:
        LlmzError: the data is not a range coder's output.
    """
    layout = LaneLayout(count, lanes)
    grid = np.zeros((lanes, layout.steps), np.int32)
    predictor = model.predictor(lanes, 1, side, kernel)
    family = constriction.stream.model.Categorical(perfect=False)
    words = np.frombuffer(data + b"\0" * (-len(data) % 4), "<u4").astype(np.uint32)
    decoder = constriction.stream.queue.RangeDecoder(words)
    previous = np.full((lanes, 1), model.start_token, np.int32)
    for step in range(layout.steps):
        active = layout.active(step)
        probabilities = _probabilities(predictor(previous))
        try:
            symbols = decoder.decode(family, np.ascontiguousarray(probabilities[:active]))
        except (AssertionError, ValueError) as error:
            raise LlmzError("coded data is damaged") from error
        grid[:active, step] = symbols
        previous[:active, 0] = symbols
        progress.advance_tokens(active)
    return layout.join(grid)
