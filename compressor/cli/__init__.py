"""The command line. Heavy modules load inside the commands, so that ``--help`` starts at once."""

from __future__ import annotations

import io
import os
import signal
import sys


def run() -> None:
    """What the command ``llmzip`` runs."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing to clean up yet: end without a traceback
    _occupy_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that a terminal cannot show
    from llmzip.cli.commands import main

    main(prog_name="llmzip")


def _occupy_closed_streams() -> None:
    """Where standard streams are closed, put something there that can neither be read nor written, lest a file that is
    opened later gets their descriptor and what is meant for them."""
    for descriptor, useless in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, useless)
