"""Reading and writing through streams that may take or give less than was asked for, or nothing yet."""

from __future__ import annotations

import errno
import io
import os
import selectors
from typing import Any


class WholeReader:
    """Reads a binary stream whose None, or BlockingIOError, means that there is nothing yet, not that it ends.

    Attributes:
        position: bytes read so far.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.position = 0

    def read(self, size: int = -1) -> bytes:
        """At least one byte, up to ``size``; none at the end only.

        Raises:
            BlockingIOError: there is nothing yet, and the stream has no descriptor to wait for.
            TypeError: the stream gives text.
        """
        while (data := self._read(size)) is None:
            _wait(self.stream, selectors.EVENT_READ)
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"the file must be opened in binary mode: reading it gave {type(data).__name__}")
        self.position += len(data)
        return bytes(data)

    def _read(self, size: int) -> Any:
        try:
            return self.stream.read(size)
        except BlockingIOError:
            return None


class WholeWriter:
    """Writes to a binary stream until everything is taken.

    Attributes:
        position: bytes written so far.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.position = 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write all of ``data``.

        Raises:
            BlockingIOError: the stream takes nothing now, and has no descriptor to wait for.
            OSError: it cannot be written to.
        """
        left = memoryview(data).cast("B")
        size = left.nbytes
        while left:
            taken = self._write(left)
            if taken:
                self.position += taken
                left = left[taken:]
            else:
                _wait(self.stream, selectors.EVENT_WRITE)
        return size

    def flush(self) -> None:
        """Hand on what the stream itself still holds."""
        while True:
            try:
                getattr(self.stream, "flush", bool)()
                return
            except BlockingIOError:
                _wait(self.stream, selectors.EVENT_WRITE)

    def _write(self, data: memoryview) -> int:
        try:
            taken = self.stream.write(data)
        except BlockingIOError as error:
            return error.characters_written if hasattr(error, "characters_written") else 0
        if taken is None:  # a raw stream took nothing; others need not count
            return 0 if _may_refuse(self.stream) else len(data)
        if taken == 0:
            raise OSError(errno.EIO, "the stream takes no more bytes")
        return int(taken)


def _may_refuse(stream: Any) -> bool:
    if isinstance(stream, io.RawIOBase):
        return True
    try:
        return not os.get_blocking(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return False


def _wait(stream: Any, event: int) -> None:
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError):
        raise BlockingIOError(errno.EAGAIN, "the stream is not ready, and cannot be waited for") from None
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, event)
        selector.select()


__all__ = ["WholeReader", "WholeWriter"]
