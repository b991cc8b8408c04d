"""Progress of long work, told to whoever wants to know."""

from __future__ import annotations

import threading
from collections.abc import Callable

ProgressCallback = Callable[[int, int | None], object]
"""Called with the plain bytes done so far and, where it is known, their total. What it raises ends the work."""


class Progress:
    """Counts plain bytes done and calls ``on_advance`` with each increment.

    Args:
        on_advance: called with a number of plain bytes, or None for silence.
    """

    def __init__(self, on_advance: Callable[[float], object] | None = None) -> None:
        self._on_advance = on_advance

    def advance(self, plain_bytes: float) -> None:
        if self._on_advance:
            self._on_advance(plain_bytes)


SILENT = Progress()


def told_to(callback: ProgressCallback | None, total: int | None = None) -> Progress:
    """A progress that tells ``callback`` the sum of all increments, of which blocks side by side make some each."""
    if callback is None:
        return SILENT
    done = 0.0
    lock = threading.Lock()

    def advance(plain_bytes: float) -> None:
        nonlocal done
        with lock:
            done += plain_bytes
            callback(round(done) if total is None else min(round(done), total), total)

    return Progress(advance)
