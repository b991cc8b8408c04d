"""Lines of a text and runs of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def line_starts(text: bytes) -> NDArray[np.int64]:
    """Where lines start, and the end."""
    starts = np.flatnonzero(np.frombuffer(text, np.uint8) == 10) + 1
    ends = [] if text.endswith(b"\n") or not text else [len(text)]
    return np.concatenate([[0], starts, ends]).astype(np.int64)
