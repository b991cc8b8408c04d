"""Runs the command as its users do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmzip import compress

COMMAND = [sys.executable, "-m", "llmzip"]
TEXT = b"It was the best of times, it was the worst of times, it was the age of wisdom.\n" * 20
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
TEMPORARY = ".llmzip-*"
NOBODY = 65534


def llmzip(*arguments: str | bytes | Path, stdin: bytes = b"", **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [*COMMAND, *(a if isinstance(a, bytes) else str(a) for a in arguments)]
    how = {"input": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 300} | options
    if "stdin" in how:
        del how["input"]
    return subprocess.run(command, **how)


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
    how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen([*COMMAND, *map(str, arguments)], **how)


def one_line(result: subprocess.CompletedProcess[bytes]) -> str:
    """What was complained of, in one line and without a traceback."""
    lines = result.stderr.decode(errors="replace").splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("llmzip: ")
    return lines[0]


def packed(path: Path, text: bytes = TEXT) -> Path:
    """``path`` with ``text``, compressed beside it."""
    path.write_bytes(text)
    archive = path.with_name(path.name + ".llmz")
    archive.write_bytes(compress(text, 1))
    return archive


def as_other_user(action: Callable[[], int], user: int = NOBODY) -> int:
    """What ``action`` returns in a child process of another user, who need not be able to start Python."""
    child = os.fork()
    if not child:
        code = 99
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            code = action()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
