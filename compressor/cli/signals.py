"""Signals that end the program: temporary files go first, then the signal does what it does to any program."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from llmzip.cli.safe_files import discard_temporaries_for_good

ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGXCPU", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR1", "SIGUSR2")
WAIT_SECONDS = 1.0
"""Where a signal can reach another thread than the waiting one, it is answered after so long at most."""
_Result = TypeVar("_Result")


def interruptibly(work: Callable[[], _Result]) -> _Result:
    """Do ``work`` in a thread and wait for it, so that a signal is answered at once even while native code runs.

    What ``work`` raises is raised here, but for a broken pipe, which ends the program quietly as SIGPIPE does.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    outcome: list[_Result] = []
    failure: list[BaseException] = []

    def body() -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # so that they reach the waiting thread
        try:
            outcome.append(work())
        except BaseException as error:
            failure.append(error)

    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    # What was ignored when the program started, as by nohup, stays so.
    numbers = [number for number in numbers if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    previous = {number: signal.signal(number, _end) for number in numbers}
    try:
        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(WAIT_SECONDS)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if failure:
        if isinstance(failure[0], BrokenPipeError):
            end_by_broken_pipe()
        raise failure[0]
    return outcome[0]


def end_by_broken_pipe() -> None:
    """End quietly as SIGPIPE does, where there is such a signal."""
    if hasattr(signal, "SIGPIPE"):
        _end(signal.SIGPIPE, None)


def raise_interrupts() -> None:
    """Let an interrupt be an exception again, for commands that clean up by themselves."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, _frame: FrameType | None) -> None:
    discard_temporaries_for_good()
    if sys.stderr is not None and sys.stderr.isatty() and number != getattr(signal, "SIGPIPE", None):
        os.write(2, b"\n")  # below a progress bar
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
