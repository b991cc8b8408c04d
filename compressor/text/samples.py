"""Pieces of a text on which a model shows what it likes better."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SampleBits = Callable[[list[bytes]], float]
"""Bits that a model needs for some pieces of text."""
_PARTS, _PART_BYTES = 4, 600


def sample(text: bytes, parts: int = _PARTS, part_bytes: int = _PART_BYTES) -> list[bytes]:
    """Pieces from all over a text."""
    length = min(part_bytes, len(text) // parts)
    return [text[start : start + length] for start in np.linspace(0, len(text) - length, parts).astype(int)]
