"""Progress of long work, told to whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable


class Progress:
    """Counts plain bytes done and calls ``on_advance`` with each increment.

    Args:
        on_advance: called with a number of plain bytes, or None for silence.
    """

    def __init__(self, on_advance: Callable[[float], object] | None = None) -> None:
        self._on_advance = on_advance
        self.bytes_per_token = 0.0

    def advance(self, plain_bytes: float) -> None:
        if self._on_advance:
            self._on_advance(plain_bytes)

    def advance_tokens(self, tokens: int) -> None:
        self.advance(tokens * self.bytes_per_token)


SILENT = Progress()
