"""How a block's tokens are cut into lanes that are coded in step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LaneLayout:
    """``tokens`` in ``lanes`` consecutive runs whose lengths differ by at most one, the longer ones first."""

    tokens: int
    lanes: int

    @property
    def lengths(self) -> NDArray[np.int64]:
        base, longer = divmod(self.tokens, self.lanes)
        return np.array([base + (lane < longer) for lane in range(self.lanes)], np.int64)

    @property
    def steps(self) -> int:
        return -(-self.tokens // self.lanes)

    def split(self, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return ``[lanes, steps]``; a short lane's last place repeats token 0."""
        grid = np.zeros((self.lanes, self.steps), np.int32)
        start = 0
        for lane, length in enumerate(self.lengths):
            grid[lane, :length] = tokens[start : start + length]
            start += length
        return grid

    def join(self, grid: NDArray[np.int32]) -> NDArray[np.int32]:
        """Undo :meth:`split`."""
        return np.concatenate([grid[lane, :length] for lane, length in enumerate(self.lengths)])

    def active(self, step: int) -> int:
        """Lanes that have a token at ``step``; always the first ones."""
        return self.lanes if (step + 1) * self.lanes <= self.tokens else self.tokens - step * self.lanes
