"""Whole streams: compress and decompress between binary files, on several cores where blocks are independent."""

from __future__ import annotations

import io
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, TypeVar

from llmzip.blocks.choice import BlockDecoder, BlockEncoder, is_repetitive, seal_all
from llmzip.format.container import (
    FINGERPRINT_BYTES,
    MAX_BLOCK_BYTES,
    Block,
    Header,
    Index,
    MemberWriter,
    Reader,
    read_block,
    read_end_record,
    read_header,
)
from llmzip.errors import LlmzError
from llmzip.network.model import Model, find_model, load_model
from llmzip.progress import SILENT, Progress
from llmzip.settings import INDEPENDENT_ABOVE_BYTES, Settings

REPETITIVE_BLOCK_FACTOR = 4
"""Where LZMA alone wins by far, larger blocks let it see further back."""
NO_MODEL = bytes(FINGERPRINT_BYTES)
_In = TypeVar("_In")
_Out = TypeVar("_Out")


def ordered_map(function: Callable[[_In], _Out], items: Iterable[_In], threads: int) -> Iterator[_Out]:
    """``map`` on ``threads`` threads, in order, with at most ``threads + 1`` items in flight."""
    if threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[_Out]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _read_blocks(source: BinaryIO, first: bytes, block_bytes: int) -> Iterator[bytes]:
    while first:
        yield first
        first = Reader(source).read_at_most(block_bytes)


def compress_stream(
    source: BinaryIO, target: BinaryIO, settings: Settings, size: int | None = None, progress: Progress = SILENT
) -> None:
    """Compress ``source`` to its end as one member.

    Args:
        size: plain bytes of the source where known; above 64 MiB blocks become independent.
    """
    model = None if settings.context_mode else load_model(settings.model)
    block_bytes = settings.block_bytes
    first = Reader(source).read_at_most(block_bytes)
    if len(first) == block_bytes and is_repetitive(first):
        block_bytes = min(block_bytes * REPETITIVE_BLOCK_FACTOR, MAX_BLOCK_BYTES)
        first += Reader(source).read_at_most(block_bytes - len(first))
    second = Reader(source).read_at_most(1) if len(first) == block_bytes else b""
    independent = settings.independent or settings.token_mode or (size or 0) > INDEPENDENT_ABOVE_BYTES
    fingerprint = model.fingerprint[:FINGERPRINT_BYTES] if model else NO_MODEL
    header = Header(fingerprint, bool(first) and not second, independent)
    encoder = BlockEncoder(header, model, settings, progress, settings.thread_count)
    if header.single:
        blocks = encoder.encode(first)
        if len(blocks) > 1:
            header = Header(fingerprint, False, independent)
        elif not blocks[0].text_coding[0].needs_model:
            header = Header(NO_MODEL, True, False)
        _write_member(target, header, seal_all(blocks, header, first))
        return

    def plain_blocks() -> Iterator[bytes]:
        if first:
            yield first
            following = second + Reader(source).read_at_most(block_bytes - len(second))
            yield from _read_blocks(source, following, block_bytes)

    def encode_alone(plain: bytes) -> list[Block]:
        return BlockEncoder(header, model, settings, progress, cores=1).encode(plain)

    if independent:
        coded = ordered_map(encode_alone, plain_blocks(), settings.thread_count)
    else:
        coded = map(encoder.encode, plain_blocks())
    _write_member(target, header, itertools.chain.from_iterable(coded))


def _write_member(target: BinaryIO, header: Header, blocks: Iterable[Block]) -> None:
    writer = MemberWriter(header)
    for block in blocks:
        target.write(writer.add(block))
    target.write(writer.finish())


def member_model(header: Header, path: str | None) -> Model | None:
    """The model that a member's header names.

    Raises:
        LlmzError: it is not here.
    """
    return None if header.fingerprint == NO_MODEL else find_model(header.fingerprint, path)


def member_blocks(reader: Reader, header: Header) -> Iterator[Block]:
    """Yield a member's blocks; check the end record against them."""
    index = Index()
    while True:
        start = reader.position
        block = read_block(reader)
        if block is None:
            if header.single or read_end_record(reader) != index:
                raise LlmzError("the index does not fit the blocks")
            return
        index.blocks.append((block.plain_length, reader.position - start))
        yield block
        if header.single:
            return


def decompress_stream(
    source: BinaryIO, target: BinaryIO, model: str | None = None, threads: int | None = None,
    kernel: str | None = None, progress: Progress = SILENT,
) -> None:  # fmt: skip
    """Decompress all members of ``source``; every block's checksum is verified before its bytes are written.

    Raises:
        LlmzError: the data is damaged, foreign, cut off, or needs a model that is not here.
    """
    for plain in iterate_plain(source, model, threads, kernel, progress):
        target.write(plain)


def iterate_plain(
    source: BinaryIO, model: str | None = None, threads: int | None = None, kernel: str | None = None,
    progress: Progress = SILENT,
) -> Iterator[bytes]:  # fmt: skip
    """Yield the plain bytes of all members block by block. Raises as :func:`decompress_stream`."""
    reader = Reader(source)
    header = read_header(reader)
    if header is None:
        raise LlmzError("empty input is not an llmzip file")
    thread_count = Settings(threads=threads).thread_count
    while header is not None:
        found = member_model(header, model)
        decoder = BlockDecoder(header, found, kernel, progress, thread_count)
        blocks = member_blocks(reader, header)
        if header.independent and not header.single:
            here = header

            def decode_alone(block: Block, here: Header = here, found: Model | None = found) -> bytes:
                return BlockDecoder(here, found, kernel, progress, cores=1).decode(block)

            yield from ordered_map(decode_alone, blocks, thread_count)
        else:
            yield from map(decoder.decode, blocks)
        header = read_header(reader)


def compress(data: bytes, settings: Settings | None = None) -> bytes:
    """Compress ``data`` as one member."""
    target = io.BytesIO()
    compress_stream(io.BytesIO(data), target, settings or Settings(), len(data))
    return target.getvalue()


def decompress(data: bytes, model: str | None = None, threads: int | None = None, kernel: str | None = None) -> bytes:
    """Decompress all members of ``data``.

    Raises:
        LlmzError: as for :func:`decompress_stream`.
    """
    return b"".join(iterate_plain(io.BytesIO(data), model, threads, kernel))
