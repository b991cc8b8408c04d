"""Sources and targets of a conversion. A target appears under its name only when it is complete and on disk; nothing is
overwritten or removed that should not be."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from typing import BinaryIO

from llmzip.transfer import WholeReader, WholeWriter

STANDARD_STREAM = "-"
COPY_BYTES = 1 << 16
_temporaries: set[str] = set()
_lock = threading.RLock()
"""Held while names come and go, so that a signal finds every temporary file in the set, and no new one after it.
The same thread may take it twice: a second signal may come while the first one removes the files."""


class Refusal(Exception):
    """A file was not converted; the message says why. An error."""


class Skipped(Exception):
    """A file was left as it is; the message says why. A warning."""


class Source(WholeReader):
    """An open input.

    Attributes:
        name: as given; ``-`` is standard input.
        status: of what was opened, before anything was read.
    """

    def __init__(self, name: str, stream: BinaryIO) -> None:
        super().__init__(stream)
        self.name = name
        self.status = os.fstat(stream.fileno())
        self._pushed_back = b""

    @property
    def is_file(self) -> bool:
        return self.name != STANDARD_STREAM and stat.S_ISREG(self.status.st_mode)

    @property
    def whole_size(self) -> int | None:
        """Bytes from where reading began to the end, as it is now; None where that is unknown."""
        status = os.fstat(self.stream.fileno())
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return None
        with contextlib.suppress(OSError):
            return self.position + len(self._pushed_back) + max(0, status.st_size - self.stream.tell())
        return None

    def starts_with(self, expected: bytes) -> bool:
        """Look at the first bytes without taking them."""
        while len(self._pushed_back) < len(expected) and (part := super().read(len(expected))):
            self._pushed_back += part
            self.position -= len(part)
        return self._pushed_back.startswith(expected)

    def read(self, size: int = -1) -> bytes:
        if self._pushed_back and size:
            end = len(self._pushed_back) if size < 0 else size
            part, self._pushed_back = self._pushed_back[:end], self._pushed_back[end:]
            self.position += len(part)
            return part
        return super().read(size)

    def read_all(self) -> bytes:
        parts = []
        while part := self.read(COPY_BYTES):
            parts.append(part)
        return b"".join(parts)

    def copy_to(self, target: WholeWriter) -> None:
        while part := self.read(COPY_BYTES):
            target.write(part)


@contextlib.contextmanager
def open_source(name: str) -> Iterator[Source]:
    if name == STANDARD_STREAM:
        with open(0, "rb", closefd=False) as stream:
            yield Source(name, stream)
        return
    if os.path.isdir(name):
        raise Skipped("is a directory (-r takes the files in it)")
    with open(name, "rb") as stream:
        yield Source(name, stream)


class Target(WholeWriter):
    """An open output.

    Attributes:
        name: of the file that is written; ``-`` is standard output.
        is_stored: what was written is on disk under its name.
    """

    def __init__(self, name: str, stream: BinaryIO) -> None:
        super().__init__(stream)
        self.name = name
        self.is_stored = False

    @property
    def is_terminal(self) -> bool:
        return os.isatty(self.stream.fileno())

    def write(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return super().write(data)
        except OSError as error:
            # The system does not say which file is full. The subclass (BrokenPipeError, ...) follows from the number.
            raise OSError(error.errno, error.strerror, self.shown_name) from error

    @property
    def shown_name(self) -> str:
        return "standard output" if self.name == STANDARD_STREAM else self.name


@contextlib.contextmanager
def open_target(name: str, source: Source, force: bool, like_source: bool = True) -> Iterator[Target]:
    """Open what will be known as ``name``, made from ``source``. A link is followed, a pipe or device written through.

    Args:
        force: overwrite what is there already.
        like_source: a file gets owner, mode and times of the source.

    Raises:
        Refusal: it is there already and not to be overwritten, or is the source itself.
    """
    if name == STANDARD_STREAM:
        _refuse_source(os.fstat(1), source, "standard output")
        with open(1, "wb", buffering=0, closefd=False) as standard_output:
            yield Target(name, standard_output)
        os.close(os.dup(1))  # a network file system tells only now what it could not store
        return
    status = _status(name)
    if status:
        _refuse_source(status, source, name)
    if not force and os.path.lexists(name) and not (status and _is_stream(status)):
        raise Refusal(f"{name} already exists (-f overwrites)")
    if status and not stat.S_ISREG(status.st_mode):
        with open(_open_special(name), "wb", buffering=0) as special:
            yield Target(name, special)
        return
    final = os.path.realpath(name) if os.path.islink(name) else name
    like_source &= source.is_file
    try:
        temporary, stream = _new_temporary(os.path.dirname(final), 0o600 if like_source else 0o666)
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from error
    try:
        with stream:
            target = Target(final, stream)
            yield target
            if like_source:
                _copy_attributes(stream.fileno(), source.status)
            _to_disk(stream.fileno())
        _put_in_place(temporary, final, force)
        target.is_stored = True
    finally:
        _discard(temporary)


def remove_source(source: Source, target: Target) -> None:
    """Remove an input that was stored as ``target``.

    Raises:
        Skipped: it is not, or no longer, the file that was read.
    """
    if not target.is_stored or not source.is_file:
        return
    read = source.status
    try:
        now = (os.lstat(source.name), os.fstat(source.stream.fileno()))
    except FileNotFoundError:
        raise Skipped("was moved or removed by others meanwhile") from None
    if stat.S_ISLNK(now[0].st_mode):
        raise Skipped("is a link: kept")
    if source.position != read.st_size or any(
        not os.path.samestat(read, other) or (read.st_size, read.st_mtime_ns) != (other.st_size, other.st_mtime_ns)
        for other in now
    ):
        raise Skipped("changed while it was read: kept")
    source.stream.close()  # Windows does not remove a file that is open
    os.unlink(source.name)


def discard_temporaries_for_good() -> None:
    """Remove every temporary file, and let no thread make one or put one in place again: the process is to end."""
    _lock.acquire()
    for temporary in _temporaries:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _status(name: str) -> os.stat_result | None:
    try:
        return os.stat(name)
    except FileNotFoundError:
        return None


def _is_stream(status: os.stat_result) -> bool:
    """A pipe, socket or terminal: nothing is overwritten by writing to it."""
    return stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode) or stat.S_ISSOCK(status.st_mode)


def _open_special(name: str) -> int:
    """Open a pipe or device, which stays whatever else may appear under its name."""
    descriptor = os.open(name, os.O_WRONLY | getattr(os, "O_NOCTTY", 0))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Refusal("was replaced by a file meanwhile")
    return descriptor


def _refuse_source(status: os.stat_result, source: Source, name: str) -> None:
    if os.path.samestat(status, source.status) and not stat.S_ISCHR(status.st_mode):
        raise Refusal(f"the output, {name}, is the input itself")


def _new_temporary(folder: str, mode: int) -> tuple[str, BinaryIO]:
    """A new file in ``folder``; its name is short however long the final one is."""
    while True:
        name = os.path.join(folder, f".llmzip-{secrets.token_hex(4)}")
        with _lock, contextlib.suppress(FileExistsError):
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
            _temporaries.add(name)
            return name, open(descriptor, "wb", buffering=0)


def _discard(temporary: str) -> None:
    with _lock:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        _temporaries.discard(temporary)


def _copy_attributes(descriptor: int, status: os.stat_result) -> None:
    """Owner, permissions and times as ``status`` has them. Nobody gets a right by it that he had not before: no set-uid
    or like bits pass, and where the group cannot be kept, neither old nor new members gain."""
    mode = status.st_mode & 0o777
    if hasattr(os, "fchown"):
        with contextlib.suppress(OSError):
            os.fchown(descriptor, status.st_uid, -1)
        try:
            os.fchown(descriptor, -1, status.st_gid)
        except OSError:
            everyone = mode >> 3 & mode & 0o7
            mode = mode & 0o700 | everyone << 3 | everyone
        os.fchmod(descriptor, mode)
    if os.utime in os.supports_fd:
        os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))


def _to_disk(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not every file system can
            raise


def _put_in_place(temporary: str, final: str, force: bool) -> None:
    with _lock:
        if force:
            os.replace(temporary, final)
        else:
            _rename_to_new(temporary, final)
    folder = os.path.dirname(final) or os.curdir
    if hasattr(os, "O_DIRECTORY"):
        with contextlib.suppress(PermissionError):  # a folder that may be written but not read
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                _to_disk(descriptor)
            finally:
                os.close(descriptor)


def _rename_to_new(temporary: str, final: str) -> None:
    """Rename, unless the name is taken: also by what appeared while the program ran."""
    try:
        os.link(temporary, final, follow_symlinks=False)
    except FileExistsError:
        raise Refusal(f"{final} already exists (-f overwrites)") from None
    except (OSError, NotImplementedError):  # no hard links here: take the name first, then replace what took it
        try:
            os.close(os.open(final, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            raise Refusal(f"{final} already exists (-f overwrites)") from None
        try:
            os.replace(temporary, final)
        except BaseException:
            os.unlink(final)
            raise
