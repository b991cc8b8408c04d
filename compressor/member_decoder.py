"""One member's blocks to plain bytes: read, decoded, verified in order."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, NamedTuple, TypeVar, cast

from llmzip.blocks import limits
from llmzip.blocks.reading import BlockDecoder
from llmzip.blocks.repeats import RepeatWindow
from llmzip.errors import DamagedError, OutputLimitError, TruncatedError
from llmzip.format.layout import MemberLayout
from llmzip.format.member import Block, Coded, Header, MemberReader, Method, read_header
from llmzip.format.reader import Reader
from llmzip.network.model import find_model
from llmzip.progress import SILENT, Progress
from llmzip.settings import ReadSettings

Before = Callable[[int, int], bytes]
"""Gives so many plain bytes from a place of a member on."""
_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Entry(NamedTuple):
    """Where decoding begins, if it is not a member's start.

    Attributes:
        layout: of the member; blocks have to be what it says.
        block: the first one, which begins a group.
        before: gives what copies reach back to; None where they do not reach back.
    """

    layout: MemberLayout
    block: int
    before: Before | None


class MemberDecoder:
    """Restores one member; iterating gives its plain bytes block by block, each of them verified.

    Args:
        reader: stands after the header, or before the block of the ``entry``.
        plain_before: plain bytes before the member, that count for the limit of output too.
        entry: where reading begins: then block after block can be had by :meth:`next_plain`, and nothing after them.

    Raises:
        LlmzError: when made, the header asks for more memory than the limit allows; later, the data is damaged or cut
            off, needs a model that is not here or more memory than allowed, or holds more than allowed.
    """

    def __init__(
        self, reader: Reader, header: Header, settings: ReadSettings, progress: Progress = SILENT,
        plain_before: int = 0, entry: Entry | None = None,
    ) -> None:  # fmt: skip
        limits.check_memory(header, None, settings.memory_bytes)
        plain_place = 0 if entry is None else entry.layout.plain_places[entry.block]
        self._member = MemberReader(reader, header, 0 if entry is None else entry.block, plain_place)
        self._entry = entry
        self._header = header
        self._settings = settings
        self._progress = progress
        self._plain_before = plain_before
        self._window = None if header.single else RepeatWindow(plain_place, None if entry is None else entry.before)
        self._decode_block: Callable[[Coded], bytes] | None = None
        self._side_by_side = 1

    def __iter__(self) -> Iterator[bytes]:
        blocks = iter(self._next_block, None)
        if (first := next(blocks, None)) is not None:
            for block, plain in _ordered_map(self._decode, itertools.chain([first], blocks), self._side_by_side):
                yield self._verified(block, plain)
        self._member.read_end()

    def next_plain(self) -> bytes | None:
        """The next block's plain bytes; None after the last, with the member read to its end.

        Where the stream does not hold what is next to its end, this can be repeated from there once it does.
        """
        block = self._next_block()
        if block is None:
            self._member.read_end()
            return None
        return self._verified(*self._decode(block))

    def _next_block(self) -> Block | None:
        number = self._member.blocks
        block = self._member.next_block()
        if self._entry is not None and (block is None or not _is_listed(block, number, self._entry.layout)):
            raise DamagedError("the end record does not fit the blocks")
        if block is not None:
            most_plain = self._settings.max_output
            if most_plain is not None and self._plain_before + self._member.plain_bytes > most_plain:
                raise OutputLimitError(f"there are more than {most_plain} plain bytes")
            if self._decode_block is None:  # the first block has shown that the header is not damaged
                self._decode_block = self._block_decoding()
        return block

    def _block_decoding(self) -> Callable[[Coded], bytes]:
        header, settings = self._header, self._settings
        limit = settings.memory_bytes
        model = None if header.fingerprint is None else find_model(header.fingerprint, settings.model)
        limits.check_memory(header, model, limit)
        midway = self._entry is not None and self._entry.block > 0 and not header.independent
        if self._entry is None:
            self._side_by_side, threads = limits.share_threads(header, model, settings.thread_count, limit)
        else:
            threads = settings.thread_count

        lanes = limits.LaneBudget(header, model, self._side_by_side, limit)

        def new_decoder() -> BlockDecoder:
            return BlockDecoder(header.table_bits, model, threads, lanes, self._progress, midway, header.wide)

        if header.independent:
            return lambda coded: new_decoder().decode(coded)
        return new_decoder().decode

    def _decode(self, block: Block) -> tuple[Block, bytes | None]:
        """A block and its plain bytes; None for a copy, which has to wait for all blocks before."""
        assert self._decode_block is not None
        return block, None if block.coded.method is Method.COPY else self._decode_block(block.coded)

    def _verified(self, block: Block, plain: bytes | None) -> bytes:
        if plain is None:
            if self._window is None:
                raise DamagedError("a copy stands where there can be none")
            plain = self._window.decode(block.coded.payload, block.coded.plain_length)
            self._progress.advance(len(plain))
        self._member.verify(block, plain)
        if self._window is not None:
            self._window.append(plain)
        return plain


def _is_listed(block: Block, number: int, layout: MemberLayout) -> bool:
    """Whether a block is what its member's end record says."""
    plain_length = layout.plain_places[number + 1] - layout.plain_places[number]
    return block.coded.plain_length == plain_length and block.checksum == layout.checksum(number)


class PushDecoder:
    """Restores one member from coded bytes that are pushed piece by piece.

    Attributes:
        ended: the member has been read to its end.
        wanted: bytes that have to be pushed, at least, for more plain bytes to come.
    """

    def __init__(self, settings: ReadSettings, progress: Progress = SILENT) -> None:
        self._settings = settings
        self._progress = progress
        self._pushed = _PushedBytes()
        self._reader = Reader(cast(BinaryIO, self._pushed))
        self._member: MemberDecoder | None = None
        self.ended = False
        self.wanted = 1

    def push(self, data: bytes) -> None:
        self._pushed.data += data
        self.wanted = max(0, self.wanted - len(data))

    def next_plain(self) -> bytes | None:
        """The next block's plain bytes; None where it is not all here yet, or the member has ended.

        Raises:
            LlmzError: as for :class:`MemberDecoder`.
        """
        if self.ended or self.wanted:
            return None
        try:
            if self._member is None:
                header = read_header(self._reader)
                if header is None:
                    raise TruncatedError("unexpected end of file")
                self._member = MemberDecoder(self._reader, header, self._settings, self._progress)
                self._pushed.forget_what_was_read()
            plain = self._member.next_plain()
        except TruncatedError:
            self._pushed.rewind()
            self.wanted = self._reader.missing
            return None
        self._pushed.forget_what_was_read()
        self.ended = plain is None
        return plain

    def rest(self) -> bytes:
        """Bytes that were pushed and not used; after the member's end, what follows it."""
        return bytes(self._pushed.data)


class _PushedBytes:
    """Bytes that are read from a place to which reading can go back."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._position = 0

    def read(self, count: int) -> bytes:
        part = bytes(memoryview(self.data)[self._position : self._position + count])
        self._position += len(part)
        return part

    def rewind(self) -> None:
        self._position = 0

    def forget_what_was_read(self) -> None:
        del self.data[: self._position]
        self._position = 0


def _ordered_map(function: Callable[[_In], _Out], items: Iterable[_In], threads: int) -> Iterator[_Out]:
    """``map`` on ``threads`` threads, in order, with at most ``threads + 1`` items in flight.

    What getting an item raises comes after the results for all items before it.
    """
    if threads == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(threads)
    try:
        in_flight: deque[Future[_Out]] = deque()
        failure: Exception | None = None
        iterator = iter(items)
        while failure is None:
            try:
                in_flight.append(pool.submit(function, next(iterator)))
            except StopIteration:
                break
            except Exception as error:
                failure = error
            if len(in_flight) > threads:
                yield in_flight.popleft().result()
        while in_flight:
            yield in_flight.popleft().result()
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(cancel_futures=True)
