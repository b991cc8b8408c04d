"""Lanes: runs of a block's text that the network reads in step.

What a payload of tokens or of mixed mode begins with: a byte (bits 0 to 4: profile; bit 5: the first lane begins after
a line end, not after a NUL byte; bit 6: what lives on between blocks starts afresh; bit 7: side information follows),
side information, and the plain length of every lane but the last (varints).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmzip.blocks.side_information import pack_side, read_side
from llmzip.errors import DamagedError
from llmzip.format.reader import Reader
from llmzip.format.varint import pack_varint
from llmzip.network.model import Model

PROFILE_MASK, AFTER_LINE, FRESH, HAS_SIDE = 31, 32, 64, 128
_LINE_START_SHARE = 1 / 32
"""Of a lane's bytes: so far from its even place a lane may begin for the sake of a line start."""


class LanesHead(NamedTuple):
    """How a block's lanes are coded.

    Attributes:
        lane_bytes: plain length of each lane, at least 1.
        side: side information int8 ``[side_numbers]``, or None.
        profile: the set of contexts, 0 to 31.
        after_line: the first lane begins after a line end, as the others do; it makes no difference where the network
            has read a block before.
        fresh: what lives on between blocks starts afresh.
    """

    lane_bytes: list[int]
    side: NDArray[np.int8] | None = None
    profile: int = 0
    fresh: bool = False
    after_line: bool = False

    def to_bytes(self, model: Model) -> bytes:
        start = self.profile | AFTER_LINE * self.after_line | FRESH * self.fresh | HAS_SIDE * (self.side is not None)
        side = b"" if self.side is None else pack_side(model, self.side)
        return bytes([start]) + side + b"".join(map(pack_varint, self.lane_bytes[:-1]))


def read_lanes_head(model: Model, reader: Reader, lanes: int, plain_length: int) -> LanesHead:
    """Undo :meth:`LanesHead.to_bytes`.

    Raises:
        DamagedError: it makes no sense.
    """
    start = reader.read(1)[0]
    side = read_side(model, reader) if start & HAS_SIDE else None
    lane_bytes = [reader.read_varint(plain_length) for _ in range(lanes - 1)]
    lane_bytes.append(plain_length - sum(lane_bytes))
    if min(lane_bytes) < 1:
        raise DamagedError("a block's lanes make no sense")
    return LanesHead(lane_bytes, side, start & PROFILE_MASK, bool(start & FRESH), bool(start & AFTER_LINE))


def cut_into_lanes(text: bytes, lanes: int) -> list[int]:
    """Lengths of ``lanes`` nearly equal runs of ``text``, which begin at line starts where some are near."""
    starts = [0]
    reach = int(len(text) / lanes * _LINE_START_SHARE)
    for lane in range(1, lanes):
        even = len(text) * lane // lanes
        before = text.rfind(b"\n", even - reach - 1, even) + 1
        after = text.find(b"\n", even, even + reach) + 1
        near = [start for start in (before, after) if start]
        starts.append(min(near, key=lambda start: abs(start - even)) if near else even)
    return np.diff([*starts, len(text)]).tolist()
