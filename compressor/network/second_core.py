"""A second core for a step of few lanes, whose weights pass too fast for one core's memory path.

A thread in compiled code waits for the next step. Both cores then run the same code, each for its own channels, hidden
units, heads and tokens, and meet where one needs what the other has computed. Integers, so it does not matter who
computes what.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from llmzip.network.compilation import compiled

# Places in the control words; each has a cache line of its own.
STEP, READY, STOP, LATE, FIRST_MEETING, SECOND_MEETING = range(0, 48, 8)
CONTROL_WORDS = 48
_SPINS_PER_MEETING = 1 << 16
"""Turns of the waiting loop, some 20 microseconds, that a meeting may take on average."""
_SPINS_TO_YIELD = 1 << 11
_LATE_LIMIT = 1 << 25
"""After so many turns too many the second core is taken to be busy, and the caller goes on alone for a while."""
_PAUSE_SECONDS = 1.0


def _atomic(store: bool) -> Any:
    """An intrinsic that stores with release order, or loads with acquire order, a word of an int64 array."""

    @intrinsic
    def access(typing_context, array, place, value):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            pointer = builder.gep(data, [arguments[1]])
            if not store:
                return builder.load_atomic(pointer, "acquire", 8)
            builder.store_atomic(arguments[2], pointer, "release", 8)
            return arguments[2]

        return types.int64(array, types.intp, types.int64), generate

    return access


@intrinsic
def _yield_core(typing_context):  # type: ignore[no-untyped-def]
    """Let another thread have this core: the scheduler may have put caller and helper on the same one."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        if os.name == "posix":
            function = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield"
            )
            builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


_load, _store = _atomic(False), _atomic(True)


@compiled
def share_of(size, unit, part, parts):
    """First and end of what ``part`` of ``parts`` (1 or 2) computes of ``size`` values; a multiple of ``unit`` parts
    them."""
    half = size // (2 * unit) * unit
    if parts == 1:
        return 0, size
    if part == 0:
        return 0, half
    return half, size


@compiled
def meet(control, part, parts):
    """Wait until both parts have come here; what each has written before, the other sees afterwards."""
    if parts == 1:
        return
    mine, other = (FIRST_MEETING, SECOND_MEETING) if part == 0 else (SECOND_MEETING, FIRST_MEETING)
    meeting = control[mine] + 1
    _store(control, mine, meeting)
    spins = 0
    while _load(control, other, 0) < meeting:
        spins += 1
        if spins % _SPINS_TO_YIELD == 0:
            _yield_core()  # type: ignore[call-arg]
    if part == 0:
        control[LATE] = max(0, control[LATE] + spins - _SPINS_PER_MEETING)


@compiled
def start_step(control):
    """Call the second core to a step where it is ready; returns the number of parts that compute."""
    if control.size == 0 or _load(control, READY, 0) == 0:
        return 1
    if control[LATE] >= _LATE_LIMIT:
        _store(control, READY, 0)
        _store(control, STOP, 1)
        return 1
    _store(control, STEP, control[STEP] + 1)
    return 2


@compiled
def begin_service(control):
    """Make the second core ready; returns the last step that it has no part in."""
    last = control[STEP]
    control[SECOND_MEETING] = control[FIRST_MEETING]
    _store(control, READY, 1)
    return last


@compiled
def next_step(control, last):
    """Wait for the step after ``last``; returns its number, or ``last`` when there will be none."""
    spins = 0
    while True:
        step = _load(control, STEP, 0)
        if step != last:
            return step
        if _load(control, STOP, 0) != 0:
            return last
        spins += 1
        if spins % _SPINS_TO_YIELD == 0:
            _yield_core()  # type: ignore[call-arg]


class SecondCore:
    """A thread that takes part in steps; a context manager.

    Args:
        serve: computes the second part of steps, with these control words, until it is told to stop.
    """

    def __init__(self, serve: Callable[[NDArray[np.int64]], None]) -> None:
        self.control = np.zeros(CONTROL_WORDS, np.int64)
        self._serve = serve
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve_while_open, daemon=True)

    def _serve_while_open(self) -> None:
        while not self._closing.is_set():
            self.control[STOP] = self.control[LATE] = 0
            self._serve(self.control)
            self._closing.wait(_PAUSE_SECONDS)

    def __enter__(self) -> SecondCore:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        while self._thread.is_alive():
            self.control[STOP] = 1
            self._thread.join(0.01)


NO_HELPER: NDArray[np.int64] = np.zeros(0, np.int64)
"""Control words of a caller without a second core."""
