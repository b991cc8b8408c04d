"""Mixed mode: the network's distribution and adaptive context models, mixed bit by bit.

Payload: the head of :mod:`llmzip.blocks.lanes`, then arithmetic-coder bytes. A lane ends where its length is reached.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmzip.blocks.adaptive import AdaptiveModels
from llmzip.blocks.lanes import LanesHead, read_lanes_head
from llmzip.format.member import Method
from llmzip.format.reader import Reader
from llmzip.progress import Progress


def encode(
    models: AdaptiveModels, text: bytes, lane_bytes: list[int], profile: int, side: NDArray[np.int8] | None,
    after_line: bool, progress: Progress,
) -> bytes | None:  # fmt: skip
    """Code ``text`` in lanes of so many bytes; None where it would grow."""
    head = LanesHead(lane_bytes, side, profile, models.is_spoilt(Method.MIXED), after_line)
    coded = models.mixed(head.fresh).encode(text, lane_bytes, profile, side, progress, after_line)
    return None if coded is None else head.to_bytes(models.model) + coded


def decode(models: AdaptiveModels, payload: bytes, lanes: int, plain_length: int, progress: Progress) -> bytes:
    """Undo :func:`encode`.

    Raises:
        DamagedError: the payload makes no sense.
    """
    reader = Reader(payload)
    head = read_lanes_head(models.model, reader, lanes, plain_length)
    coder = models.mixed(head.fresh)
    return coder.decode(reader.rest(), head.lane_bytes, head.profile, head.side, progress, head.after_line)
