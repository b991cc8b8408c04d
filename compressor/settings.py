"""What a user may choose when compressing."""

from __future__ import annotations

import os
from dataclasses import dataclass

from llmzip.format.container import MAX_LANES

DEFAULT_LEVEL = 6
CONTEXT_MODE_LEVELS = range(1, 2)
TOKEN_MODE_LEVELS = range(2, 4)
BLOCK_BYTES = 4 << 20
MAX_DEFAULT_THREADS = 4
"""Each needs up to 250 MB: more only on request."""
LANES = {
    2: ((2 << 10, 64),),
    3: ((8 << 10, 16),),
    4: ((8 << 10, 16),),
    5: ((16 << 10, 8),),
    6: ((24 << 10, 4), (96 << 10, 8)),
    7: ((48 << 10, 2),),
    8: ((512 << 10, 2),),
    9: ((1, 1),),
}
"""Least bytes of a lane, and how many such lanes at most, by level; the rule that gives more lanes holds."""
INDEPENDENT_ABOVE_BYTES = 64 << 20


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """Compression settings.

    Attributes:
        level: 1 context mode, 2-3 token mode, 4-9 mixed mode; the higher, the fewer lanes.
        lanes: a power of two up to 256, or None to choose by size and level.
        threads: cores to use, for blocks side by side where they are independent, else for lanes; None for all, four
            at most.
        kernel: ``"compiled"`` (or None), ``"plain"`` or ``"blas"``; no influence on the result.
        independent: every block starts from fresh models, so that blocks can be coded and read on their own.
        block_bytes: plain bytes per block.
        model: path of a model file, or None for the one that ships.
        effort: 0 to 9, how long to refine side information for each block. A block for which some is found is coded
            with and without, and the smaller is kept.
    """

    level: int = DEFAULT_LEVEL
    lanes: int | None = None
    threads: int | None = None
    kernel: str | None = None
    independent: bool = False
    block_bytes: int = BLOCK_BYTES
    model: str | None = None
    effort: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.level <= 9:
            raise ValueError(f"level must be 1 to 9, not {self.level}")
        if self.lanes is not None and (self.lanes.bit_count() != 1 or not 1 <= self.lanes <= MAX_LANES):
            raise ValueError(f"lanes must be a power of two up to {MAX_LANES}, not {self.lanes}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads must be at least 1, not {self.threads}")
        if self.kernel not in (None, "compiled", "plain", "blas"):
            raise ValueError(f"kernel must be 'compiled', 'plain' or 'blas', not {self.kernel!r}")
        if not 0 <= self.effort <= 9:
            raise ValueError(f"effort must be 0 to 9, not {self.effort}")
        if not 1 <= self.block_bytes <= 1 << 26:
            raise ValueError(f"block size must be 1 byte to 64 MiB, not {self.block_bytes}")

    @property
    def thread_count(self) -> int:
        return self.threads or min(available_cores(), MAX_DEFAULT_THREADS)

    @property
    def context_mode(self) -> bool:
        return self.level in CONTEXT_MODE_LEVELS

    @property
    def token_mode(self) -> bool:
        return self.level in TOKEN_MODE_LEVELS

    def lanes_for(self, plain_length: int) -> int:
        """Lanes of a block: more of them are faster, fewer lose less context."""
        if self.lanes is not None:
            return self.lanes
        return max(_power_of_two_below(plain_length // lane_bytes, most) for lane_bytes, most in LANES[self.level])


def _power_of_two_below(value: int, limit: int) -> int:
    return 1 << min(max(1, value).bit_length() - 1, limit.bit_length() - 1)
