"""Tokens: the network's distribution straight into constriction's range coder, all lanes in step.

Payload: the head of :mod:`llmzip.blocks.lanes` (profile 0, nothing starts afresh), then range-coder words. A lane ends
where its length is reached.
"""

from __future__ import annotations

import constriction
import numpy as np
from numpy.typing import NDArray

from llmzip.blocks.lanes import LanesHead, read_lanes_head
from llmzip.blocks.side_information import range_coder_words
from llmzip.errors import DamagedError
from llmzip.format.reader import Reader
from llmzip.network.model import Model, inputs_of
from llmzip.progress import Progress

_CALL_ROWS = 512
"""Rows of one network call while compressing."""


def encode(
    model: Model, text: bytes, lane_bytes: list[int], side: NDArray[np.int8] | None, threads: int,
    progress: Progress,
) -> bytes:  # fmt: skip
    """Code ``text`` in lanes of so many bytes."""
    ends = np.cumsum(lane_bytes).tolist()
    lanes = [model.tokenizer.encode(text[end - length : end]) for length, end in zip(lane_bytes, ends, strict=True)]
    token_counts = np.array([lane.size for lane in lanes])
    grid = np.stack([np.pad(lane, (0, token_counts.max() - lane.size)) for lane in lanes])
    inputs = inputs_of(model, grid)
    call_steps = max(1, _CALL_ROWS // len(lanes))
    predictor = model.predictor(len(lanes), call_steps, side, threads)
    encoder = constriction.stream.queue.RangeEncoder()
    family = constriction.stream.model.Categorical(perfect=False)
    for start in range(0, grid.shape[1], call_steps):
        called = np.ascontiguousarray(inputs[:, start : start + call_steps])
        cumulative = predictor(called).reshape(*called.shape, -1)
        for step in range(called.shape[1]):
            active = np.flatnonzero(token_counts > start + step)
            tokens = grid[active, start + step]
            encoder.encode(tokens, family, _probabilities(cumulative[active, step]))
            progress.advance(int(model.tokenizer.token_lengths[tokens].sum()))
    return LanesHead(lane_bytes, side).to_bytes(model) + encoder.get_compressed().astype("<u4").tobytes().rstrip(b"\0")


def decode(model: Model, payload: bytes, lanes: int, plain_length: int, threads: int, progress: Progress) -> bytes:
    """Undo :func:`encode`.

    Raises:
        DamagedError: the payload is no range coder's output.
    """
    reader = Reader(payload)
    head = read_lanes_head(model, reader, lanes, plain_length)
    if head.profile or head.fresh:
        raise DamagedError("a block's lanes make no sense")
    spelling = [
        token[:length].tobytes()
        for token, length in zip(model.tokenizer.token_bytes, model.tokenizer.token_lengths, strict=True)
    ]
    decoder = constriction.stream.queue.RangeDecoder(range_coder_words(reader.rest()))
    family = constriction.stream.model.Categorical(perfect=False)
    predictor = model.predictor(lanes, 1, head.side, threads)
    tokens = np.full(lanes, model.start_token, np.int32)
    texts = [bytearray() for _ in range(lanes)]
    active = list(range(lanes))
    while active:
        cumulative = predictor(np.ascontiguousarray(tokens[:, None]))
        try:
            tokens[active] = decoder.decode(family, _probabilities(cumulative[active]))
        except (AssertionError, ValueError) as error:
            raise DamagedError("coded data is damaged") from error
        for lane in active:
            token = spelling[tokens[lane]]
            texts[lane] += token
            progress.advance(len(token))
        active = [lane for lane in active if len(texts[lane]) < head.lane_bytes[lane]]
    if [len(text) for text in texts] != head.lane_bytes:
        raise DamagedError("coded data is damaged")
    return b"".join(texts)


def _probabilities(cumulative: NDArray[np.int32]) -> NDArray[np.float32]:
    """Frequencies ``[rows, V]`` as float32, exactly: they are integers below 2^24."""
    return np.ascontiguousarray(np.diff(cumulative, axis=1), np.float32)
