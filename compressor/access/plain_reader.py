"""The plain bytes of a compressed file, as a raw stream that can seek."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Generator
from typing import Any, BinaryIO, cast

from llmzip import streams
from llmzip.access.ranges import BlockMap
from llmzip.errors import DamagedError, LlmzError
from llmzip.progress import ProgressCallback, told_to
from llmzip.settings import ReadSettings
from llmzip.transfer import WholeReader


class PlainReader(io.RawIOBase):
    """The plain bytes of a compressed stream; the last decoded block is kept, so that seeking within it is free.

    Reading goes from the start to the end, as any stream can be read, until something else is asked for. Then the
    places of all blocks are looked up, and decoding begins with the group that holds what is wanted.

    Args:
        blocks: where they are, if that is known; else it is found out when it is wanted.
    """

    def __init__(
        self, source: BinaryIO, settings: ReadSettings, progress: ProgressCallback | None,
        blocks: BlockMap | None = None,
    ) -> None:  # fmt: skip
        self._source = source
        self._settings = settings
        self._progress = told_to(progress)
        self._start = source.tell() if self.seekable() else 0
        self._error: Exception | None = None
        self._map = blocks
        if blocks is None:
            self._blocks = self._decode()
        elif blocks.members:
            self._blocks = blocks.blocks_from(blocks.place_before(0), self._progress)
        else:
            self._blocks = _none()
        self._has_no_map = False
        self._block = memoryview(b"")
        self._block_offset = 0
        self._position = 0
        self._size: int | None = None

    def _decode(self) -> Generator[bytes]:
        source = cast(BinaryIO, WholeReader(self._source))
        return streams.iterate_plain(source, self._settings, self._progress)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(getattr(self._source, "seekable", bool)())

    def readinto(self, buffer: Any) -> int:
        with memoryview(buffer) as view, view.cast("B") as target:
            part = self._ready()[: len(target)]
            target[: len(part)] = part
        self._position += len(part)
        return len(part)

    def readall(self) -> bytes:
        parts = []
        while part := self._ready():
            parts.append(part)
            self._position += len(part)
        return b"".join(parts)

    def close(self) -> None:
        if not self.closed:
            self._blocks.close()
        super().close()

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if not self.seekable():
            raise io.UnsupportedOperation("the compressed file cannot seek")
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            offset += self._whole_size()
        elif whence != io.SEEK_SET:
            raise ValueError(f"invalid whence: {whence!r}")
        if offset < 0:
            raise ValueError(f"negative seek position {offset}")
        self._position = offset
        return offset

    def _whole_size(self) -> int:
        if self._size is None and (blocks := self._block_map()) is not None:
            self._size = blocks.plain_bytes
        while self._size is None:
            self._next_block()
        return self._size

    def _ready(self) -> memoryview:
        """What is left of the block that holds the present position; empty at the end."""
        if self._position < self._block_offset or self._position > self._block_offset + len(self._block):
            self._go_to(self._position)
        while self._position >= self._block_offset + len(self._block) and self._next_block():
            pass
        return self._block[max(0, self._position - self._block_offset) :]

    def _go_to(self, position: int) -> None:
        """Make the next block one that starts at or before ``position``, and is not far from it if that can be."""
        end = self._block_offset + len(self._block)
        if (blocks := self._block_map()) is None:
            if position < self._block_offset:
                self._source.seek(self._start)
                self._begin(self._decode(), 0)
        elif position < blocks.plain_bytes:
            place = blocks.place_before(position)
            if position < self._block_offset or place.plain_place > end:
                self._begin(blocks.blocks_from(place, self._progress), place.plain_place)
        else:
            self._begin(_none(), blocks.plain_bytes)

    def _begin(self, blocks: Generator[bytes], offset: int) -> None:
        self._blocks.close()
        self._error = None
        self._blocks = blocks
        self._block, self._block_offset = memoryview(b""), offset

    def _block_map(self) -> BlockMap | None:
        """Where blocks are; None where that cannot be told, for lack of seeking or since the file is damaged."""
        if self._map is None and not self._has_no_map:
            if not self.seekable():
                self._has_no_map = True
                return None
            place = self._source.tell()
            try:
                self._map = BlockMap(self._source, self._start, self._settings)
            except LlmzError as error:
                self._has_no_map = True
                if not isinstance(error, DamagedError):
                    raise
            finally:
                self._source.seek(place)
        return self._map

    def _next_block(self) -> bool:
        """Take the next block; tell whether there was one. What is wrong with the file once is so again."""
        if self._error:
            raise self._error
        following = self._block_offset + len(self._block)
        try:
            block = next(self._blocks, None)
            if block is None:
                self._size = following
                return False
            self._block, self._block_offset = memoryview(block), following
        except LlmzError as error:
            self._error = error
            raise
        except BaseException:  # such as KeyboardInterrupt or a network's time-out, which is no fault of the file
            self._start_again()
            raise
        return True

    def _start_again(self) -> None:
        """Make reading possible after what may not come again, but ended the blocks that were to come."""
        self._error = OSError("reading was interrupted, and the compressed file cannot seek back")
        if self.seekable():
            with contextlib.suppress(OSError):
                self._source.seek(self._start)
                self._begin(self._decode(), 0)


def _none() -> Generator[bytes]:
    yield from ()
