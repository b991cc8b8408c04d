"""Token mode: the network's distribution straight into constriction's range coder, all lanes in step."""

from __future__ import annotations

import constriction
import numpy as np
from numpy.typing import NDArray

from llmzip.errors import LlmzError
from llmzip.network.lanes import LaneNetwork, active_in, known_frequencies, lane_groups
from llmzip.network.lane_layout import LaneLayout
from llmzip.network.model import Model
from llmzip.progress import Progress


def _probabilities(cumulative: NDArray[np.int32]) -> NDArray[np.float32]:
    """Frequencies as float32, exactly: they are integers below 2^24."""
    return np.ascontiguousarray(np.diff(cumulative, axis=1), np.float32)


def encode_tokens(
    model: Model, tokens: NDArray[np.int32], lanes: int, side: NDArray[np.int8] | None,
    kernel: str | None, progress: Progress, cores: int | None = None,
) -> bytes:  # fmt: skip
    """Code ``tokens`` in ``lanes`` lanes; the result has no length of its own."""
    layout = LaneLayout(tokens.size, lanes)
    grid = layout.split(tokens)
    family = constriction.stream.model.Categorical(perfect=False)
    encoder = constriction.stream.queue.RangeEncoder()
    groups = lane_groups(lanes, cores)
    for step, frequencies in enumerate(known_frequencies(model, grid, groups, side, kernel)):
        active = layout.active(step)
        for group, cumulative in zip(groups, frequencies, strict=True):
            if here := active_in(group, active):
                encoder.encode(grid[group, step][:here].copy(), family, _probabilities(cumulative[:here]))
        progress.advance_tokens(active)
    return encoder.get_compressed().astype("<u4").tobytes().rstrip(b"\0")


def decode_tokens(
    model: Model, data: bytes, count: int, lanes: int, side: NDArray[np.int8] | None,
    kernel: str | None, progress: Progress, cores: int | None = None,
) -> NDArray[np.int32]:  # fmt: skip
    """Undo :func:`encode_tokens`.

    Raises:
        LlmzError: the data is not a range coder's output.
    """
    layout = LaneLayout(count, lanes)
    grid = np.zeros((lanes, layout.steps), np.int32)
    family = constriction.stream.model.Categorical(perfect=False)
    words = np.frombuffer(data + b"\0" * (-len(data) % 4), "<u4").astype(np.uint32)
    decoder = constriction.stream.queue.RangeDecoder(words)
    with LaneNetwork(model, lanes, side, kernel, cores) as network:
        for step in range(layout.steps):
            active = layout.active(step)
            for i, group in enumerate(network.groups):
                if here := active_in(group, active):
                    probabilities = _probabilities(network.frequencies(i)[:here])
                    try:
                        grid[group, step][:here] = decoder.decode(family, probabilities)
                    except (AssertionError, ValueError) as error:
                        raise LlmzError("coded data is damaged") from error
                    network.read(i, grid[group, step])
            progress.advance_tokens(active)
    return layout.join(grid)
