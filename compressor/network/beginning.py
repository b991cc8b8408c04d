"""What the network reads before the first token of every lane: the end of the text before, if there is any."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from llmzip.network.model import Model

TAIL_BYTES = 2048
"""Of the text before, its end."""


class Beginning(NamedTuple):
    """What lanes begin after.

    Attributes:
        shared: int32, tokens that are read once, for all lanes.
        first: int32 ``[lanes]``, the token after them that each lane reads before its own first one.
    """

    shared: NDArray[np.int32]
    first: NDArray[np.int32]


def beginning_of_lanes(model: Model, before: bytes, lanes: int, after_line: bool) -> Beginning:
    """What lanes begin after that go on from ``before``, which may be empty.

    Args:
        before: at most ``TAIL_BYTES``.
        after_line: the first lane begins after a line end, as the others do, not after a NUL byte; where there is text
            before, it makes no difference.
    """
    tail = model.tokenizer.encode(before)[1:]  # the first may be the end of one
    if tail.size:
        return Beginning(tail[:-1], np.full(lanes, tail[-1], np.int32))
    first = np.full(lanes, model.line_token, np.int32)
    if not after_line:
        first[0] = model.start_token
    return Beginning(tail, first)
