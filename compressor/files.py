"""The Python interface, shaped after the standard library's ``gzip`` and ``lzma``."""

from __future__ import annotations

import builtins
import dataclasses
import enum
import io
import operator
import os
import threading
from collections.abc import Callable
from typing import IO, Any, BinaryIO, TypeVar, cast

from llmzip import streams
from llmzip.access.plain_reader import PlainReader
from llmzip.errors import LlmzError
from llmzip.member_decoder import PushDecoder
from llmzip.member_encoder import MemberEncoder
from llmzip.progress import ProgressCallback, told_to
from llmzip.settings import ReadSettings, Settings
from llmzip.transfer import WholeWriter

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
LEVEL_NAMES = ("level", "preset", "compresslevel")
_AnySettings = TypeVar("_AnySettings", Settings, ReadSettings)
_Read = TypeVar("_Read")


class Flush(enum.Enum):
    """What :meth:`Compressor.flush` ends."""

    BLOCK = "block"
    """A block: a reader gets all that was written so far; costs some size."""
    FINISH = "finish"
    """The stream."""


def _settings(kind: type[_AnySettings], options: dict[str, Any]) -> _AnySettings:
    """Settings from keyword arguments, among which ``preset`` and ``compresslevel`` are further names of ``level``.

    Raises:
        TypeError, ValueError: they are unknown, of the wrong type, or out of range.
    """
    given = dict(options)
    levels = {name: level for name in LEVEL_NAMES if (level := given.pop(name, None)) is not None}
    if len(levels) > 1:
        raise TypeError(f"{' and '.join(levels)} are names of one thing: give one of them")
    known: set[str] = {field.name for field in dataclasses.fields(kind)}
    for name in given:
        if name not in known:
            raise TypeError(f"unknown setting {name!r}; there are {', '.join(sorted({'level', *known}))}")
    try:
        if given.get("model") is not None:
            given["model"] = os.fsdecode(given["model"])
        if levels:
            (level,) = levels.values()
            checked = Settings(level=operator.index(level))
            given |= {"level": checked.level} if kind is Settings else {}
        return kind(**given)
    except (TypeError, AttributeError):
        values = ", ".join(f"{name}={value!r}" for name, value in (levels | given).items())
        raise TypeError(f"a setting is of the wrong type: {values}") from None


def _bytes_of(data: Any) -> memoryview:
    """Any bytes-like object, flat.

    Raises:
        TypeError: it is none.
    """
    view = memoryview(data)
    return view.cast("B") if view.c_contiguous else memoryview(view.tobytes())


def compress(
    data: Any, level: int | None = None, *, progress: ProgressCallback | None = None, **settings: Any
) -> bytes:
    """Compress bytes-like ``data``.

    Args:
        level: 1 to 9; ``preset`` and ``compresslevel`` are other names for it.
        progress: called with the plain bytes done and their total.
        settings: as in :class:`llmzip.settings.Settings`.

    Raises:
        TypeError, ValueError: a setting is unknown, of the wrong type or out of range, or ``data`` is not bytes-like.
    """
    chosen = _settings(Settings, {"level": level} | settings)
    plain = bytes(_bytes_of(data))
    return streams.compress(plain, chosen, told_to(progress, len(plain)))


def decompress(data: Any, *, progress: ProgressCallback | None = None, **settings: Any) -> bytes:
    """Decompress all members of bytes-like ``data``.

    Args:
        progress: called with the plain bytes done so far and None.
        settings: as in :class:`llmzip.settings.ReadSettings`.

    Raises:
        TypeError, ValueError: a setting is unknown, of the wrong type or out of range, or ``data`` is not bytes-like.
        DamagedError: the data is damaged, cut off or foreign.
        ModelMissingError: its model is not here.
        MemoryLimitError, OutputLimitError: it needs, or holds, more than allowed.
    """
    return streams.decompress(bytes(_bytes_of(data)), _settings(ReadSettings, settings), told_to(progress))


class Compressor:
    """Compresses one stream piece by piece, as ``lzma.LZMACompressor`` does. Arguments as for :func:`compress`.

    Raises:
        TypeError, ValueError: a setting is unknown, of the wrong type or out of range.
        LlmzError, OSError: the model file is none, or is not there.
    """

    def __init__(self, level: int | None = None, *, progress: ProgressCallback | None = None, **settings: Any) -> None:
        self._encoder: MemberEncoder | None = MemberEncoder(
            _settings(Settings, {"level": level} | settings), told_to(progress)
        )

    def compress(self, data: Any) -> bytes:
        """Take more plain bytes; return what is ready (whole blocks only).

        Raises:
            TypeError: ``data`` is not bytes-like.
            ValueError: the stream is finished.
        """
        return self._unfinished().feed(bytes(_bytes_of(data)))

    def flush(self, mode: Flush = Flush.FINISH) -> bytes:
        """Return the rest of the stream and end it or, with ``Flush.BLOCK``, all that was taken so far, and go on.

        Raises:
            ValueError: the stream is finished.
        """
        encoder = self._unfinished()
        if Flush(mode) is Flush.BLOCK:
            return encoder.flush_block()
        self._encoder = None
        return encoder.finish()

    def finish(self) -> bytes:
        """The same as :meth:`flush` without an argument."""
        return self.flush()

    def _unfinished(self) -> MemberEncoder:
        if self._encoder is None:
            raise ValueError("the compressor has been flushed to the end of its stream")
        return self._encoder


class Decompressor:
    """Decompresses one member piece by piece, as ``lzma.LZMADecompressor`` does.

    Arguments as for :func:`decompress`.
    """

    def __init__(self, *, progress: ProgressCallback | None = None, **settings: Any) -> None:
        self._decoder = PushDecoder(_settings(ReadSettings, settings), told_to(progress))
        self._plain = memoryview(b"")

    @property
    def eof(self) -> bool:
        """Whether the end of the member has been reached, and all its plain bytes were handed out."""
        return self._decoder.ended and not self._plain

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before more is put in."""
        return not self._decoder.ended and not self._plain and self._decoder.wanted > 0

    @property
    def unused_data(self) -> bytes:
        """What came after the member; nothing before ``eof``."""
        return self._decoder.rest() if self.eof else b""

    def decompress(self, data: Any, max_length: int = -1) -> bytes:
        """Take more coded bytes; return the plain bytes of all blocks that are complete.

        Args:
            max_length: return at most so many, and the others from calls that follow; -1 for all.

        Raises:
            EOFError: the member has ended already.
            TypeError: ``data`` is not bytes-like.
            LlmzError: as for :func:`decompress`.
        """
        if self.eof:
            raise EOFError("end of member already reached")
        self._decoder.push(bytes(_bytes_of(data)))
        out, left = [], max_length
        while left:
            if not self._plain:
                following = self._decoder.next_plain()
                if following is None:
                    break
                self._plain = memoryview(following)
            part = self._plain if left < 0 else self._plain[:left]
            out.append(part)
            self._plain = self._plain[len(part) :]
            left -= len(part) if left > 0 else 0
        return b"".join(out)


class LlmzFile(io.BufferedIOBase):
    """A compressed file as a stream of plain bytes, as ``gzip.GzipFile`` and ``lzma.LZMAFile`` are.

    One object may be used by several threads. Seeking costs decoding from the start of the group of blocks that holds
    the place (``group_bytes``; without groups, from the file's start), except within the last block.

    Attributes:
        name: the path as it was given, or the ``name`` of the file object.
        mode: ``"rb"`` or ``"wb"``, ``"xb"``, ``"ab"``.

    Args:
        file: a path, or a file object in binary mode, which stays open when this one is closed.
        mode: ``r``, ``w``, ``x`` or ``a``, with or without ``b``. Appending adds a member.
        level: 1 to 9 when writing; ``preset`` and ``compresslevel`` are other names for it.
        progress: called with the plain bytes done so far and None.
        settings: as in :class:`llmzip.settings.Settings` when writing, :class:`llmzip.settings.ReadSettings` when
            reading.

    Raises:
        TypeError, ValueError: an argument is unknown, of the wrong type or out of range; nothing was opened.
        OSError: the file cannot be opened.
    """

    _compressor: Compressor | None = None
    _reader: io.BufferedReader | None = None
    _owned: BinaryIO | None = None
    _raw: BinaryIO

    def __init__(
        self, file: AnyPath | BinaryIO, mode: str = "rb", level: int | None = None, *,
        progress: ProgressCallback | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        if not isinstance(mode, str) or mode.removesuffix("b") not in ("r", "w", "x", "a"):
            raise ValueError(f"invalid mode: {mode!r}")
        self.mode = mode[0] + "b"
        path = os.fspath(file) if isinstance(file, (str, bytes, os.PathLike)) else None
        if path is None and not hasattr(file, "read" if self.mode == "rb" else "write"):
            raise TypeError(f"file must be a path or a binary file object, not {type(file).__name__}")
        if self.mode == "rb":
            read_settings = _settings(ReadSettings, {"level": level} | settings)
        else:
            self._compressor = Compressor(level, progress=progress, **settings)
        self._lock = threading.RLock()
        self._written = 0
        self._lost: OSError | None = None
        """Why compressed bytes are missing in the file."""
        if path is not None:
            self._owned = cast(BinaryIO, builtins.open(path, self.mode))
        self._raw = self._owned or cast(BinaryIO, file)
        name = getattr(file, "name", "") if path is None else path
        self.name = name if isinstance(name, (str, bytes)) else ""
        self._target = WholeWriter(self._raw)
        if self.mode == "rb":
            self._reader = io.BufferedReader(PlainReader(self._raw, read_settings, progress))

    def _reading(self) -> io.BufferedReader:
        self._check_open()
        if self._reader is None:
            raise io.UnsupportedOperation("not open for reading")
        return self._reader

    def _writing(self) -> Compressor:
        self._check_open()
        if self._compressor is None:
            raise io.UnsupportedOperation("not open for writing")
        return self._compressor

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def readable(self) -> bool:
        self._check_open()
        return self._reader is not None

    def writable(self) -> bool:
        self._check_open()
        return self._compressor is not None

    def seekable(self) -> bool:
        self._check_open()
        return self._reader is not None and self._reader.seekable()

    def fileno(self) -> int:
        """The descriptor of the compressed file."""
        self._check_open()
        return self._raw.fileno()

    def _read_with(self, read: Callable[[io.BufferedReader], _Read]) -> _Read:
        """What ``read`` gives. Where it fails, the place stays, and reading once more loses nothing."""
        reader = self._reading()
        with self._lock:
            place = reader.tell()
            try:
                return read(reader)
            except BaseException:
                if reader.seekable():
                    reader.seek(place)
                raise

    def read(self, size: int | None = -1) -> bytes:
        return self._read_with(lambda reader: reader.read(size))

    def read1(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes that are there without more than one block being decoded; at least one."""
        return self._read_with(lambda reader: reader.read1(size if size >= 0 else io.DEFAULT_BUFFER_SIZE))

    def readinto(self, buffer: Any) -> int:
        return self._read_with(lambda reader: reader.readinto(buffer))

    def readinto1(self, buffer: Any) -> int:
        return self._read_with(lambda reader: reader.readinto1(buffer))

    def peek(self, size: int = 0) -> bytes:
        """Some bytes that the next read gives, at least one unless at the end."""
        return self._read_with(lambda reader: reader.peek(size))

    def readline(self, size: int | None = -1) -> bytes:
        return self._read_with(lambda reader: reader.readline(-1 if size is None else size))

    def tell(self) -> int:
        """Plain bytes before the present place."""
        self._check_open()
        return self._written if self._reader is None else self._reader.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the plain bytes; when reading only."""
        return self._reading().seek(offset, whence)

    def write(self, data: Any) -> int:
        """Take bytes-like ``data``; whole blocks are written."""
        view = _bytes_of(data)
        with self._lock:
            self._put(self._writing().compress(view))
            self._written += view.nbytes
        return view.nbytes

    def _put(self, coded: bytes) -> None:
        """Write compressed bytes. After a failure, as some bytes are missing, no others may follow.

        Raises:
            OSError: this or an earlier write failed.
        """
        if self._lost is not None:
            raise self._lost
        try:
            self._target.write(coded)
        except BaseException as error:
            self._lost = error if isinstance(error, OSError) else OSError("an earlier write was interrupted")
            raise

    def flush(self) -> None:
        """Make what was written so far readable by others: ends a block, which costs some size."""
        with self._lock:
            self._check_open()
            if self._compressor:
                self._put(self._compressor.flush(Flush.BLOCK))
                self._target.flush()

    def close(self) -> None:
        if not hasattr(self, "_target"):  # it could not be opened
            return
        with self._lock:
            if self.closed:
                return
            compressor, self._compressor = self._compressor, None
            try:
                if self._reader:
                    self._reader.close()
                if compressor:
                    self._put(compressor.finish())
                    self._target.flush()
            finally:
                try:
                    if self._owned:
                        self._owned.close()
                finally:
                    super().close()


class _TextFile(io.TextIOWrapper):
    def close(self) -> None:
        # TextIOWrapper flushes its file before closing it, which would end a block for nothing.
        if not self.closed and isinstance(self.buffer, _FileBelowText):
            self.buffer.closing = True
        super().close()


class _FileBelowText(LlmzFile):
    """A compressed file that can be flushed until the text file above it is closing."""

    closing = False

    def flush(self) -> None:
        if not self.closing:
            super().flush()


def open(
    file: AnyPath | BinaryIO, mode: str = "rb", level: int | None = None, *, encoding: str | None = None,
    errors: str | None = None, newline: str | None = None, progress: ProgressCallback | None = None, **settings: Any,
) -> IO[Any]:  # fmt: skip
    """Open a compressed file as ``gzip.open`` does: binary by default, text with ``t`` in the mode.

    Arguments and errors are those of :class:`LlmzFile`; ``encoding``, ``errors`` and ``newline`` are for text.
    """
    if not isinstance(mode, str) or "t" not in mode:
        for name, value in (("encoding", encoding), ("errors", errors), ("newline", newline)):
            if value is not None:
                raise ValueError(f"{name} is for text mode only")
        return cast(IO[Any], LlmzFile(file, mode, level, progress=progress, **settings))
    if "b" in mode:
        raise ValueError(f"invalid mode: {mode!r}")
    io.TextIOWrapper(io.BytesIO(), encoding, errors, newline)  # complains before anything is opened
    binary = _FileBelowText(file, mode.replace("t", "", 1), level, progress=progress, **settings)
    try:
        return _TextFile(cast(IO[bytes], binary), encoding, errors, newline)
    except BaseException:
        binary.close()
        raise


__all__ = ["Compressor", "Decompressor", "Flush", "LlmzError", "LlmzFile", "compress", "decompress", "open"]
