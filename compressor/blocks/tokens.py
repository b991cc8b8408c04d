"""Tokens: the network's distribution straight into constriction's range coder, all lanes in step.

Payload: the head of :mod:`llmzip.blocks.lanes` (profile 0), then range-coder words. A lane ends where its length is
reached. As in mixed mode, all lanes go on from the end of the last such block, if there was one.
"""

from __future__ import annotations

import math

import constriction
import numpy as np
from numpy.typing import NDArray

from llmzip.blocks.adaptive import AdaptiveModels
from llmzip.blocks.lanes import LanesHead, read_lanes_head
from llmzip.blocks.side_information import range_coder_words
from llmzip.errors import DamagedError
from llmzip.format.member import Method
from llmzip.format.reader import Reader
from llmzip.network.beginning import TAIL_BYTES, beginning_of_lanes
from llmzip.network.model import Model, Predictor, code_lengths
from llmzip.progress import Progress

_CALL_ROWS = 512
"""Rows of one network call while compressing, or while reading what came before."""
_MOST_BITS_PER_BIT, _MARGIN_BITS = 1.25, 128
"""Damaged data may go on for ever: reading stops where tokens have taken so many bits more than there are. What was
coded keeps within a few hundredths, for which the range coder's rounding of probabilities is to blame."""


def encode(
    models: AdaptiveModels, text: bytes, lane_bytes: list[int], side: NDArray[np.int8] | None, after_line: bool,
    progress: Progress,
) -> bytes:  # fmt: skip
    """Code ``text`` in lanes of so many bytes."""
    fresh = models.is_spoilt(Method.TOKENS)
    before = models.text_before(fresh)
    model, tokenizer = models.model, models.model.tokenizer
    ends = np.cumsum(lane_bytes).tolist()
    lanes = [tokenizer.encode(text[end - length : end]) for length, end in zip(lane_bytes, ends, strict=True)]
    token_counts = np.array([lane.size for lane in lanes])
    grid = np.stack([np.pad(lane, (0, token_counts.max() - lane.size)) for lane in lanes])
    call_steps = max(1, _CALL_ROWS // len(lanes))
    predictor, first = _start(model, before, len(lanes), call_steps, side, after_line, models.threads)
    inputs = np.concatenate([first[:, None], grid[:, :-1]], 1)
    encoder = constriction.stream.queue.RangeEncoder()
    family = constriction.stream.model.Categorical(perfect=False)
    bits = 0.0
    for start in range(0, grid.shape[1], call_steps):
        called = np.ascontiguousarray(inputs[:, start : start + call_steps])
        cumulative = predictor(called).reshape(*called.shape, -1)
        for step in range(called.shape[1]):
            active = np.flatnonzero(token_counts > start + step)
            tokens = grid[active, start + step]
            encoder.encode(tokens, family, _probabilities(cumulative[active, step]))
            bits += float(code_lengths(cumulative[active, step], tokens).sum())
            progress.advance(int(tokenizer.token_lengths[tokens].sum(dtype=np.int64)))
    models.keep_text(text[-TAIL_BYTES:])
    coded = encoder.get_compressed().astype("<u4").tobytes().rstrip(b"\0")
    # Runs of NUL, the first token, leave many zeros: as many stay as a reader asks for.
    words = math.ceil((bits + 1 - _MARGIN_BITS) / (32 * _MOST_BITS_PER_BIT))
    coded = coded.ljust(4 * words, b"\0")
    return LanesHead(lane_bytes, side, fresh=fresh, after_line=after_line).to_bytes(model) + coded


def decode(models: AdaptiveModels, payload: bytes, lanes: int, plain_length: int, progress: Progress) -> bytes:
    """Undo :func:`encode`.

    Raises:
        DamagedError: the payload is no range coder's output.
    """
    reader, model = Reader(payload), models.model
    head = read_lanes_head(model, reader, lanes, plain_length)
    if head.profile:
        raise DamagedError("a block's lanes make no sense")
    words = range_coder_words(reader.rest())
    decoder = constriction.stream.queue.RangeDecoder(words)
    family = constriction.stream.model.Categorical(perfect=False)
    spelling = _spelling(model)
    before = models.text_before(head.fresh)
    predictor, tokens = _start(model, before, lanes, 1, head.side, head.after_line, models.threads)
    texts = [bytearray() for _ in range(lanes)]
    active = list(range(lanes))
    bits_left = _MOST_BITS_PER_BIT * 32 * words.size + _MARGIN_BITS
    while active:
        cumulative = predictor(tokens[:, None])[active]
        try:
            tokens[active] = decoder.decode(family, _probabilities(cumulative))
        except (AssertionError, ValueError) as error:
            raise DamagedError("coded data is damaged") from error
        bits_left -= float(code_lengths(cumulative, tokens[active]).sum())
        if bits_left < 0:
            raise DamagedError("coded data end too early")
        for lane in active:
            token = spelling[tokens[lane]]
            texts[lane] += token
            progress.advance(len(token))
        active = [lane for lane in active if len(texts[lane]) < head.lane_bytes[lane]]
    if [len(text) for text in texts] != head.lane_bytes:
        raise DamagedError("coded data is damaged")
    plain = b"".join(texts)
    models.keep_text(plain[-TAIL_BYTES:])
    return plain


def _spelling(model: Model) -> list[bytes]:
    """The bytes of every token."""
    tokenizer = model.tokenizer
    return [
        token[:length].tobytes() for token, length in zip(tokenizer.token_bytes, tokenizer.token_lengths, strict=True)
    ]


def _start(
    model: Model, before: bytes, lanes: int, call_steps: int, side: NDArray[np.int8] | None, after_line: bool,
    threads: int,
) -> tuple[Predictor, NDArray[np.int32]]:  # fmt: skip
    """A predictor whose lanes have read the text before but for its last token, and what each lane reads first."""
    predictor = model.predictor(lanes, call_steps, side, threads)
    shared, first = beginning_of_lanes(model, before, lanes, after_line)
    if shared.size:
        read = np.array_split(shared, -(-shared.size // _CALL_ROWS))
        reading = model.predictor(1, read[0].size, side, threads)
        for part in read:
            reading.states(part[None])
        predictor.start_from(reading)
    return predictor, first


def _probabilities(cumulative: NDArray[np.int32]) -> NDArray[np.float32]:
    """Frequencies ``[rows, V]`` as float32, exactly: they are integers below 2^24."""
    return np.ascontiguousarray(np.diff(cumulative, axis=1), np.float32)
