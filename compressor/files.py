"""The Python interface, shaped after the standard library's ``gzip`` and ``lzma``."""

from __future__ import annotations

import builtins
import io
import os
from typing import IO, Any, BinaryIO, cast

from llmzip.blocks.choice import BlockDecoder, BlockEncoder
from llmzip.format.container import (
    FINGERPRINT_BYTES,
    Header,
    Index,
    MemberWriter,
    Reader,
    read_block,
    read_end_record,
    read_header,
)
from llmzip.errors import LlmzError, TruncatedError
from llmzip.network.model import load_model
from llmzip.settings import DEFAULT_LEVEL, Settings
from llmzip.streams import NO_MODEL, decompress, iterate_plain, member_model
from llmzip.streams import compress as _compress


def compress(data: bytes, level: int = DEFAULT_LEVEL, **settings: Any) -> bytes:
    """Compress ``data``; further settings as in :class:`llmzip.settings.Settings`.

    Raises:
        ValueError: a setting is out of range.
    """
    return _compress(data, Settings(level=level, **settings))


class Compressor:
    """Compresses one stream piece by piece, as ``lzma.LZMACompressor`` does.

    Raises:
        ValueError: a setting is out of range, or the stream was already flushed.
    """

    def __init__(self, level: int = DEFAULT_LEVEL, **settings: Any) -> None:
        self._settings = Settings(level=level, **settings)
        model = None if self._settings.context_mode else load_model(self._settings.model)
        independent = self._settings.independent or self._settings.token_mode
        header = Header(model.fingerprint[:FINGERPRINT_BYTES] if model else NO_MODEL, False, independent)
        self._encoder = BlockEncoder(header, model, self._settings, cores=self._settings.thread_count)
        self._writer = MemberWriter(header)
        self._waiting = bytearray()
        self._flushed = False

    def compress(self, data: bytes) -> bytes:
        """Take more plain bytes; return what is ready (whole blocks only)."""
        if self._flushed:
            raise ValueError("compressor has been flushed")
        self._waiting += data
        out = bytearray()
        while len(self._waiting) >= self._settings.block_bytes:
            out += self._encode(bytes(self._waiting[: self._settings.block_bytes]))
            del self._waiting[: self._settings.block_bytes]
        return bytes(out)

    def flush(self) -> bytes:
        """Return the rest of the stream; the compressor cannot be used afterwards."""
        if self._flushed:
            raise ValueError("compressor has been flushed")
        self._flushed = True
        if not self._writer.started and self._waiting:
            return _compress(bytes(self._waiting), self._settings)
        out = self._encode(bytes(self._waiting)) if self._waiting else b""
        return out + self._writer.finish()

    def _encode(self, plain: bytes) -> bytes:
        return b"".join(self._writer.add(block) for block in self._encoder.encode(plain))


class Decompressor:
    """Decompresses one member piece by piece, as ``lzma.LZMADecompressor`` does.

    Attributes:
        eof: the end of the member has been reached.
        unused_data: what came behind it.
    """

    def __init__(self, model: str | None = None, kernel: str | None = None) -> None:
        self._model_path = model
        self._kernel = kernel
        self._waiting = b""
        self._header: Header | None = None
        self._decoder: BlockDecoder | None = None
        self._index = Index()
        self.eof = False
        self.unused_data = b""

    @property
    def needs_input(self) -> bool:
        return not self.eof

    def decompress(self, data: bytes) -> bytes:
        """Take more coded bytes; return the plain bytes of all blocks that are complete.

        Raises:
            EOFError: the member has ended already.
            LlmzError: the data is damaged, foreign, or needs a model that is not here.
        """
        if self.eof:
            raise EOFError("end of member already reached")
        self._waiting += data
        out = []
        while not self.eof:
            reader = Reader(io.BytesIO(self._waiting))
            try:
                plain = self._next(reader)
            except TruncatedError:
                break
            if plain is None:
                break
            out.append(plain)
            self._waiting = self._waiting[reader.position :]
        if self.eof:
            self.unused_data, self._waiting = self._waiting, b""
        return b"".join(out)

    def _next(self, reader: Reader) -> bytes | None:
        if self._decoder is None:
            if not self._waiting:
                return None
            self._header = read_header(reader)
            assert self._header is not None
            model = member_model(self._header, self._model_path)
            self._decoder = BlockDecoder(self._header, model, self._kernel)
            return b""
        assert self._header is not None
        if not self._waiting:
            return None
        block = read_block(reader)
        if block is None:
            if self._header.single or read_end_record(reader) != self._index:
                raise LlmzError("the index does not fit the blocks")
            self.eof = True
            return b""
        self._index.blocks.append((block.plain_length, reader.position))
        self.eof = self._header.single
        return self._decoder.decode(block)


class LlmzFile(io.BufferedIOBase):
    """A compressed file as a stream of plain bytes, forward only."""

    def __init__(self, file: str | os.PathLike[str] | BinaryIO, mode: str = "rb", **settings: Any) -> None:
        if mode not in ("r", "rb", "w", "wb", "x", "xb", "a", "ab"):
            raise ValueError(f"invalid mode: {mode!r}")
        self._owns = isinstance(file, (str, os.PathLike))
        self._reading = mode[0] == "r"
        if isinstance(file, (str, os.PathLike)):
            self._raw = cast(BinaryIO, builtins.open(file, mode[0] + "b"))
        else:
            self._raw = file
        if self._reading:
            self._blocks = iterate_plain(self._raw, **settings)
            self._ready = memoryview(b"")
        else:
            self._compressor = Compressor(**settings)

    def readable(self) -> bool:
        return self._reading

    def writable(self) -> bool:
        return not self._reading

    def read(self, size: int | None = -1) -> bytes:
        if not self._reading:
            raise io.UnsupportedOperation("not open for reading")
        parts, left = [], -1 if size is None else size
        while left:
            if not self._ready:
                following = next(self._blocks, None)
                if following is None:
                    break
                self._ready = memoryview(following)
            part = self._ready if left < 0 else self._ready[:left]
            parts.append(bytes(part))
            self._ready = self._ready[len(part) :]
            left -= len(part) if left > 0 else 0
        return b"".join(parts)

    def read1(self, size: int = -1) -> bytes:
        return self.read(size)

    def write(self, data: Any) -> int:
        if self._reading:
            raise io.UnsupportedOperation("not open for writing")
        view = memoryview(data).cast("B")
        self._raw.write(self._compressor.compress(bytes(view)))
        return len(view)

    def close(self) -> None:
        if self.closed:
            return
        try:
            if not self._reading:
                self._raw.write(self._compressor.flush())
        finally:
            if self._owns:
                self._raw.close()
            super().close()


def open(
    file: str | os.PathLike[str] | BinaryIO, mode: str = "rb", *, encoding: str | None = None,
    errors: str | None = None, newline: str | None = None, **settings: Any,
) -> IO[Any]:  # fmt: skip
    """Open a compressed file as ``gzip.open`` does: binary by default, text with ``t`` in the mode.

    Args:
        settings: as in :class:`llmzip.settings.Settings` when writing; ``model``, ``threads`` when reading.
    """
    stream = LlmzFile(file, mode.replace("t", ""), **settings)
    if "t" in mode:
        return io.TextIOWrapper(cast(IO[bytes], stream), encoding, errors, newline)
    return cast(IO[Any], stream)


__all__ = ["Compressor", "Decompressor", "LlmzError", "LlmzFile", "compress", "decompress", "open"]
