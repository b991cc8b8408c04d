"""What all commands share: file after file, one line for what goes wrong, exit codes, progress and reports."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from llmzip.cli.safe_files import (
    STANDARD_STREAM,
    Refusal,
    Skipped,
    Source,
    Target,
    open_source,
    open_target,
    remove_source,
)
from llmzip.cli.signals import interruptibly
from llmzip.errors import LlmzError
from llmzip.progress import SILENT, Progress

OK, ERROR, WARNING = 0, 1, 2
"""Exit codes, as of gzip and xz."""
Row = dict[str, Any]
"""What is reported of one file."""
Work = Callable[[Source, Target, Progress], None]


def shown(name: str) -> str:
    """A file's name for people: on one line, whatever is in it."""
    return "standard input" if name == STANDARD_STREAM else on_one_line(name)


def on_one_line(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def complain(message: str) -> None:
    with contextlib.suppress(OSError):  # nobody is left to be told
        click.echo(f"llmzip: {message}", err=True)


def say(text: str) -> None:
    """Print on standard output.

    Raises:
        OSError: it does not take it.
    """
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        click.echo(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_output()
        raise OSError(error.errno, error.strerror, "standard output") from error


def drop_output() -> None:
    """Let what standard output holds back go nowhere, lest Python complain at the end again."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def each(
    names: Iterable[str | OSError], action: Callable[[str], Row | None], *, as_json: bool = False, quiet: bool = False
) -> int:
    """Do ``action`` for every name, tell of each failure in one line, and return the exit code.

    Args:
        names: of files; an error stands for what could not be listed.
        action: returns what ``as_json`` is to print, all rows at the end as one array.
    """
    return interruptibly(lambda: _each(names, action, as_json, quiet))


def _each(names: Iterable[str | OSError], action: Callable[[str], Row | None], as_json: bool, quiet: bool) -> int:
    rows: list[Row] = []
    code = OK
    for name in names:
        row: Row | None
        try:
            if isinstance(name, OSError):
                raise name
            row = action(name)
        except BrokenPipeError:
            raise
        except Skipped as warning:
            code = code or WARNING
            row = {"file": name, "warning": str(warning)}
            if not quiet:
                complain(f"{shown(str(name))}: {warning}")
        except (Refusal, LlmzError, OSError, MemoryError) as error:
            code = ERROR
            subject, message = _explain(error, name)
            row = {"file": subject, "error": message}
            complain(f"{shown(subject)}: {on_one_line(message)}")
        if as_json and row:
            rows.append(row)
    if as_json:
        try:
            say(json.dumps(rows, indent=2))
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            complain(": ".join(_explain(error, "")))
            return ERROR
    return code


def _explain(error: Exception, name: str | OSError) -> tuple[str, str]:
    """The file that an error is about, and what to say of it."""
    subject = name if isinstance(name, str) else str(name.filename)
    if isinstance(error, MemoryError):
        return subject, "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        # Temporary files are named after nothing that a user knows.
        about = error.filename if isinstance(error.filename, str) and ".llmzip-" not in error.filename else subject
        return about, error.strerror
    return subject, str(error)


def chosen(paths: tuple[str, ...], recursive: bool, wanted: Callable[[str], bool]) -> list[str | OSError]:
    """``paths``, or standard input where there are none; with ``recursive`` a folder stands for the wanted regular
    files in it and below, links left out, and for an error where it cannot be read."""
    if not recursive:
        return list(paths or (STANDARD_STREAM,))
    files: list[str | OSError] = []
    for path in paths or (STANDARD_STREAM,):
        if not os.path.isdir(path):
            files.append(path)
            continue
        found: list[str] = []
        for folder, folders, names in os.walk(path, onerror=files.append):
            folders.sort()
            found += [os.path.join(folder, name) for name in names if wanted(name)]
        files += [name for name in sorted(found) if _is_regular(name)]
    return files


def _is_regular(name: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(name).st_mode)
    except OSError:
        return True  # whatever is wrong with it shows when it is opened


@dataclass(frozen=True)
class Conversion:
    """How files are compressed or restored.

    Attributes:
        work: reads a source to its end and writes all of the target.
        target_name: derives the target's name from the source's.
        compresses: whether the source is the plain side.
        output: name of the one target, or None to derive it.
    """

    work: Work
    target_name: Callable[[str], str]
    compresses: bool
    output: str | None = None
    to_stdout: bool = False
    remove: bool = False
    force: bool = False
    quiet: bool = False
    verbose: bool = False
    as_json: bool = False

    def of_all(self, names: list[str | OSError]) -> int:
        if self.output == "":
            raise click.UsageError("-o names no file")
        if self.output not in (None, STANDARD_STREAM):
            if len(names) > 1:
                raise click.UsageError("-o takes one input file")
            if self.to_stdout:
                raise click.UsageError("-o and -c exclude each other")
        if self.as_json and any(self._target_of(name) == STANDARD_STREAM for name in names if isinstance(name, str)):
            raise click.UsageError("--json and data cannot share standard output")
        return each(names, self._convert, as_json=self.as_json, quiet=self.quiet)

    def _target_of(self, name: str) -> str | None:
        """The target where it does not follow from the source."""
        if self.to_stdout or (name == STANDARD_STREAM and self.output is None):
            return STANDARD_STREAM
        return self.output

    def _convert(self, name: str) -> Row:
        if not self._target_of(name) and not os.path.isdir(name) and os.path.exists(name) and not os.path.isfile(name):
            raise Skipped("is no regular file: left as it is (name the output with -o or -c)")
        with open_source(name) as source:
            if not self.compresses and not self.force and os.isatty(source.stream.fileno()):
                raise Refusal("compressed data not read from a terminal (-f forces it)")
            started = time.perf_counter()
            with open_target(self._target_of(name) or self.target_name(name), source, self.force) as target:
                if self.compresses and not self.force and target.is_terminal:
                    raise Refusal("compressed data not written to a terminal (-f forces it)")
                with bar(
                    source, target if self.compresses else None, quiet=self.quiet or target.is_terminal
                ) as progress:
                    self.work(source, target, progress)
            seconds = time.perf_counter() - started
            plain, stored = (source, target) if self.compresses else (target, source)
            row = {"file": name, "output": target.name} | figures(plain.position, stored.position, seconds)
            if self.verbose and not self.quiet:
                complain(f"{shown(name)}: {sentence(row)}  {shown(target.name) if target.is_stored else ''}".rstrip())
            if self.remove:
                remove_source(source, target)
        return row


def figures(plain_bytes: int, stored_bytes: int, seconds: float) -> Row:
    return {
        "plain_bytes": plain_bytes,
        "stored_bytes": stored_bytes,
        "bits_per_byte": round(8 * stored_bytes / plain_bytes, 4) if plain_bytes else None,
        "seconds": round(seconds, 3),
        "plain_bytes_per_second": round(plain_bytes / seconds) if seconds else None,
    }


def sentence(row: Row) -> str:
    """Sizes, and where it was measured the time, of a row."""
    text = f"{row['plain_bytes']:,} plain, {row['stored_bytes']:,} stored"
    if row["plain_bytes"]:
        bits = 8 * row["stored_bytes"] / row["plain_bytes"]
        text += f" ({bits:.3f} bits per byte, ratio {8 / bits:.2f})"
    if row.get("plain_bytes_per_second"):
        text += f", {row['seconds']:.2f} s, {row['plain_bytes_per_second'] / 1000:,.1f} KB/s"
    return text


@contextlib.contextmanager
def bar(
    source: Source, target: Target | None = None, *, quiet: bool = False, total: int | None = None
) -> Iterator[Progress]:
    """A progress bar on a terminal: plain bytes done, their rate, the ratio so far and, as far as it is known, the time
    left.

    Args:
        target: where compressed bytes go; None when they come from the source, or there are none.
        total: plain bytes, where neither file tells.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield SILENT
        return
    from tqdm import tqdm

    with tqdm(
        total=total or (source.whole_size if target else None), unit="B", unit_scale=True, leave=False, delay=0.5,
        mininterval=0.2, desc=shown(os.path.basename(source.name)),
    ) as line:  # fmt: skip
        yield Progress(line.update if total else _Meter(source, target, line).advance)


class _Meter:
    """Moves a bar by plain bytes; finds out the ratio whenever a block has been read or written, and from it how many
    plain bytes there will be."""

    def __init__(self, source: Source, target: Target | None, line: Any) -> None:
        self._source = source
        self._target = target
        self._line = line
        self._stored = 0
        self._lock = threading.Lock()

    def advance(self, plain_bytes: float) -> None:
        with self._lock:
            compressed = self._target or self._source
            if compressed.position != self._stored:
                # A block that was written counts; one that was read will be decoded only now.
                self._tell_ratio(compressed.position if self._target else self._stored)
                self._stored = compressed.position
            if self._target and self._line.total and self._line.n + plain_bytes > self._line.total:  # the input grows
                self._line.total = self._source.whole_size
            self._line.update(plain_bytes)

    def _tell_ratio(self, stored: int) -> None:
        if not stored or not self._line.n:
            return
        ratio = self._line.n / stored
        self._line.set_postfix_str(f"ratio {ratio:.2f}", refresh=False)
        if not self._target and (size := self._source.whole_size):
            self._line.total = round(ratio * size)
