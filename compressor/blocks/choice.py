"""A block of plain bytes to a coded block and back; the method that gives the fewest bytes wins."""

from __future__ import annotations

import io
import itertools
import lzma
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmzip.mixing import context_coding
from llmzip.format.container import (
    RESTART_CONTEXT,
    RESTART_MIXED,
    Block,
    Header,
    Method,
    Reader,
    pack_checksum,
    pack_method,
    pack_varint,
)
from llmzip.mixing.context_coding import ContextCoder
from llmzip.errors import LlmzError, TruncatedError
from llmzip.network.lane_layout import LaneLayout
from llmzip.text.line_breaks import LONGEST_TEXT, Layout, read_layout, take_out_layout
from llmzip.mixing.mixed_coding import MAX_BUCKET_BITS, MIN_BUCKET_BITS, MixedCoder, bucket_bits_for
from llmzip.network.model import Model, network_code_lengths
from llmzip.progress import SILENT, Progress
from llmzip.blocks.repeats import MAX_DISTANCE, Piece, RepeatFinder, RepeatWindow
from llmzip.settings import Settings
from llmzip.blocks.side_information import choose_side, pack_side, unpack_side
from llmzip.blocks.tokens import decode_tokens, encode_tokens

SAMPLE_PARTS = 4
SAMPLE_PART_TOKENS = 192
REPETITIVE_RATIO = 0.004
"""LZMA at or below this share of the plain length is left alone: the rest to be won is not worth the time."""

TYPICAL_TOKEN_BYTES = 2.8
"""For the progress of blocks that do not say how many tokens they have."""

WORTHWHILE_RATIO = 0.1
"""Above this share LZMA at its fastest need not be tried at its best: context mode wins."""


def _lzma_filters(plain_length: int, preset: int = 9 | lzma.PRESET_EXTREME) -> list[dict]:
    size = max(4096, min(1 << 26, 1 << (plain_length - 1).bit_length()))
    return [{"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": size}]


def _lzma_compress(plain: bytes, fast: bool = False) -> bytes:
    """Raw LZMA; ``fast`` makes an effort only where a quick trial finds much to win."""
    if fast:
        packed = lzma.compress(plain, lzma.FORMAT_RAW, filters=_lzma_filters(len(plain), 0))
        if len(packed) > WORTHWHILE_RATIO * len(plain):
            return packed
    return lzma.compress(plain, lzma.FORMAT_RAW, filters=_lzma_filters(len(plain)))


def _all_but_vanishes(plain: bytes, packed: bytes) -> bool:
    return len(packed) <= REPETITIVE_RATIO * len(plain)


def is_repetitive(plain: bytes) -> bool:
    """Whether LZMA leaves so little of a block that the model is not worth its time."""
    return _all_but_vanishes(plain, _lzma_compress(plain))


def _checksum(header: Header, block: Block, plain: bytes) -> bytes:
    """Covers the plain bytes and everything that is stored, so that no changed bit goes unnoticed."""
    fields = bytes([block.method, block.parameter]) + pack_varint(block.plain_length)
    return pack_checksum(plain, header.to_bytes() + fields + block.payload)


class _Choice(NamedTuple):
    """A block coded by one method; no payload if it would grow."""

    method: Method
    parameter: int
    payload: bytes | None

    def size(self) -> float:
        return math.inf if self.payload is None else len(self.payload)

    def laid_out(self, layout: Layout, text_length: int) -> _Choice:
        """The same with the layout of its text, which has ``text_length`` bytes without."""
        if self.payload is None:
            return self
        start = pack_method(self.method, self.parameter) + layout.to_bytes() + pack_varint(text_length)
        return _Choice(Method.LAID_OUT, 0, start + self.payload)


def seal(block: Block, header: Header, plain: bytes) -> Block:
    """``block`` with the checksum for a member with ``header``."""
    return replace(block, checksum=_checksum(header, block, plain))


def seal_all(blocks: list[Block], header: Header, plain: bytes) -> list[Block]:
    """:func:`seal` for blocks that together hold ``plain``."""
    ends = itertools.accumulate(block.plain_length for block in blocks)
    return [seal(block, header, plain[end - block.plain_length : end]) for block, end in zip(blocks, ends, strict=True)]


class BlockEncoder:
    """Codes the blocks of one member in order.

    Args:
        model: None codes without a model (context mode, stored or LZMA).
        cores: how many the network may use; None for all.
    """

    def __init__(
        self, header: Header, model: Model | None, settings: Settings, progress: Progress = SILENT,
        cores: int | None = None,
    ) -> None:  # fmt: skip
        self._header = header
        self._model = model
        self._settings = settings
        self._cores = cores
        self._progress = progress
        self._mixed: MixedCoder | None = None
        self._context: ContextCoder | None = None
        self._repeats = None if header.independent else RepeatFinder()

    def encode(self, plain: bytes) -> list[Block]:
        """Code 1 to 64 Mi bytes: one block, or several where long repeats become blocks of their own."""
        pieces = self._repeats.split(plain) if self._repeats else [Piece(len(plain), 0)]
        blocks, start = [], 0
        for length, distance in pieces:
            part = plain[start : start + length]
            if distance:
                copy = Block(Method.COPY, 0, length, b"", pack_varint(distance))
                blocks.append(seal(copy, self._header, part))
                self._progress.advance(length)
            else:
                blocks.append(self._encode_new(part))
            start += length
        return blocks

    def _encode_new(self, plain: bytes) -> Block:
        packed = _lzma_compress(plain, self._settings.context_mode)
        choices = [_Choice(Method.STORED, 0, plain), _Choice(Method.LZMA, 0, packed)]
        tried = None
        if _all_but_vanishes(plain, packed):
            self._progress.advance(len(plain))
        else:
            tried, coded = self._encode_with_adaptive_models(plain, len(packed))
            choices.append(coded)
        best = min(choices, key=_Choice.size)
        parameter = best.parameter
        if best.method in (Method.STORED, Method.LZMA):
            parameter = self._restart(tried)
        return seal(Block(best.method, parameter, len(plain), b"", best.payload or b""), self._header, plain)

    def _encode_with_adaptive_models(self, plain: bytes, bound: int) -> tuple[Method, _Choice]:
        """The method that codes the text of a block, and the block with what layout was taken out of the text."""
        sample_bits = self.sample_bits if self._model else None
        layout, text = take_out_layout(plain, sample_bits) or (None, plain)
        coded = self._encode_with_model(self._model, text, bound) if self._model else self._encode_with_contexts(text)
        if coded is None:  # the model takes it for no text
            layout, coded = None, self._encode_with_contexts(plain)
        return coded.method, coded.laid_out(layout, len(text)) if layout else coded

    def _restart(self, tried: Method | None) -> int:
        """Give up models that have learned from a block which the decoder will not see through them."""
        if tried is Method.CONTEXT:
            self._context = None
            return RESTART_CONTEXT
        if tried and tried.is_mixed:
            self._mixed = None
            return RESTART_MIXED
        return 0

    def _encode_with_model(self, model: Model, plain: bytes, bound: int) -> _Choice | None:
        """None for what does not look like text."""
        tokens = model.tokenizer.encode(plain)
        if not self._looks_like_text(model, tokens, bound / len(plain)):
            return None
        lanes = min(self._settings.lanes_for(len(plain)), 1 << (tokens.size.bit_length() - 1))
        side = choose_side(model, tokens, self._settings.effort)
        self._progress.bytes_per_token = len(plain) / tokens.size
        if self._settings.token_mode:
            return self._encode_tokens(model, tokens, lanes, side)
        if self._mixed is None or self._header.independent:
            self._mixed = MixedCoder(model, bucket_bits_for(len(plain)), cores=self._cores)
        return self._encode_mixed(model, tokens, lanes, side)

    def _encode_tokens(
        self, model: Model, tokens: NDArray[np.int32], lanes: int, side: NDArray[np.int8] | None
    ) -> _Choice:
        def choice(numbers: NDArray[np.int8] | None, progress: Progress) -> _Choice:
            coded = encode_tokens(model, tokens, lanes, numbers, self._settings.kernel, progress, self._cores)
            start = pack_side(model, numbers) + pack_varint(tokens.size)
            return _Choice(Method.TOKENS, lanes.bit_length() - 1, start + coded)

        best = choice(side, self._progress)
        if side is not None and self._settings.effort:
            best = min(best, choice(None, SILENT), key=_Choice.size)
        return best

    def _encode_mixed(
        self, model: Model, tokens: NDArray[np.int32], lanes: int, side: NDArray[np.int8] | None
    ) -> _Choice:
        def choice(mixed: MixedCoder, numbers: NDArray[np.int8] | None, progress: Progress) -> _Choice:
            result = mixed.encode(tokens, lanes, numbers, self._settings.kernel, progress)
            if result is None:
                return _Choice(Method.MIXED, lanes.bit_length() - 1, None)
            lane_bytes, coded = result
            if lanes == 1 and numbers is None:
                return _Choice(Method.MIXED_LANE, 0, coded)
            start = bytes([mixed.bucket_bits]) + pack_side(model, numbers) + pack_varint(tokens.size)
            start += b"".join(pack_varint(n) for n in lane_bytes[:-1])
            return _Choice(Method.MIXED, lanes.bit_length() - 1, start + coded)

        assert self._mixed is not None
        if side is None or not self._settings.effort:
            return choice(self._mixed, side, self._progress)
        without = self._mixed.fork()
        best, plainer = choice(self._mixed, side, self._progress), choice(without, None, SILENT)
        if plainer.size() < best.size():
            self._mixed, best = without, plainer
        return best

    def _encode_with_contexts(self, plain: bytes) -> _Choice:
        if self._context is None or self._header.independent:
            self._context = ContextCoder(context_coding.bucket_bits_for(len(plain)))
        coded = self._context.encode(plain, self._progress)
        return _Choice(Method.CONTEXT, 0, coded and bytes([self._context.bucket_bits]) + coded)

    def _looks_like_text(self, model: Model, tokens: NDArray[np.int32], bound: float) -> bool:
        """Whether the network alone, on a sample, comes near the bytes per byte that LZMA needs."""
        length = min(SAMPLE_PART_TOKENS, tokens.size)
        starts = np.unique(np.linspace(0, tokens.size - length, SAMPLE_PARTS).astype(np.int64))
        parts = [tokens[s : s + length] for s in starts]
        sample_bytes = int(model.tokenizer.token_lengths[np.concatenate(parts)].sum(dtype=np.int64))
        needed = _bits_by_network(model, parts) / 8 / sample_bytes
        return needed < 0.97 and (needed < 2.5 * bound or bound < 0.25)

    def sample_bits(self, parts: list[bytes]) -> float:
        """Bits of pieces of text by the network alone, each from a cold start."""
        assert self._model is not None
        return _bits_by_network(self._model, [self._model.tokenizer.encode(part) for part in parts])


def _bits_by_network(model: Model, parts: list[NDArray[np.int32]]) -> float:
    """Bits of runs of tokens by the network alone, each from a cold start."""
    longest = max(map(len, parts))
    targets = np.stack([np.pad(part, (0, longest - len(part))) for part in parts])
    lengths = network_code_lengths(model, targets)
    return float(sum(row[: len(part)].sum() for row, part in zip(lengths, parts, strict=True)))


class BlockDecoder:
    """Decodes the blocks of one member in order. Arguments as for :class:`BlockEncoder`."""

    def __init__(
        self, header: Header, model: Model | None, kernel: str | None = None, progress: Progress = SILENT,
        cores: int | None = None,
    ) -> None:  # fmt: skip
        self._header = header
        self._cores = cores
        self._model = model
        self._kernel = kernel
        self._progress = progress
        self._mixed: MixedCoder | None = None
        self._context: ContextCoder | None = None
        self._window = None if header.single or header.independent else RepeatWindow()

    def decode(self, block: Block) -> bytes:
        """Return the plain bytes of a block.

        Raises:
            LlmzError: the block is damaged.
        """
        try:
            plain = self._decode(block)
        except (lzma.LZMAError, TruncatedError, IndexError, OverflowError) as error:
            raise LlmzError("coded data is damaged") from error
        if len(plain) != block.plain_length or _checksum(self._header, block, plain) != block.checksum:
            raise LlmzError("checksum mismatch: the data is damaged")
        if self._window:
            self._window.append(plain)
        return plain

    def _decode(self, block: Block) -> bytes:
        if block.method is Method.LAID_OUT:
            return self._decode_laid_out(block)
        if block.method in (Method.STORED, Method.LZMA):
            if block.parameter & RESTART_MIXED:
                self._mixed = None
            if block.parameter & RESTART_CONTEXT:
                self._context = None
        if block.method is Method.STORED:
            self._progress.advance(block.plain_length)
            return block.payload
        if block.method is Method.LZMA:
            decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_lzma_filters(block.plain_length))
            plain = decoder.decompress(block.payload, max_length=block.plain_length + 1)
            self._progress.advance(block.plain_length)
            return plain
        if block.method is Method.COPY:
            if self._window is None:
                raise LlmzError("a block is a copy where there can be none")
            distance = Reader(io.BytesIO(block.payload)).read_varint(MAX_DISTANCE)
            self._progress.advance(block.plain_length)
            return self._window.copy(distance, block.plain_length)
        if block.method is Method.CONTEXT:
            return self._decode_with_contexts(block)
        if self._model is None:
            raise LlmzError("a block needs a model, but the file names none")
        return self._decode_with_model(self._model, block)

    def _decode_laid_out(self, block: Block) -> bytes:
        method, parameter = block.text_coding
        if not (method.needs_model or method is Method.CONTEXT):
            raise LlmzError("a block has a layout where it can have none")
        reader = Reader(io.BytesIO(block.payload))
        reader.read(1)
        layout = read_layout(reader)
        length = reader.read_varint(LONGEST_TEXT * block.plain_length)
        text = self._decode(Block(method, parameter, length, b"", block.payload[reader.position :]))
        return layout.put_back(text, block.plain_length)

    def _decode_with_model(self, model: Model, block: Block) -> bytes:
        payload = block.payload
        if block.method is Method.MIXED_LANE:
            self._progress.bytes_per_token = TYPICAL_TOKEN_BYTES
            mixed = self._adaptive_models(model, bucket_bits_for(block.plain_length))
            return mixed.decode(payload, None, [block.plain_length], None, self._kernel, self._progress)
        bucket_bits = 0
        if block.method is Method.MIXED:
            bucket_bits, payload = payload[0], payload[1:]
        side, used = unpack_side(model, payload)
        reader = Reader(io.BytesIO(payload[used:]))
        count = reader.read_varint(block.plain_length)
        lanes = 1 << block.parameter
        if not 1 <= lanes <= count:
            raise LlmzError("a block's lanes make no sense")
        self._progress.bytes_per_token = block.plain_length / count
        if block.method is Method.TOKENS:
            data = payload[used + reader.position :]
            tokens = decode_tokens(model, data, count, lanes, side, self._kernel, self._progress, self._cores)
            return model.tokenizer.decode(tokens)
        if not MIN_BUCKET_BITS <= bucket_bits <= MAX_BUCKET_BITS:
            raise LlmzError("a block's table size makes no sense")
        lane_bytes = [reader.read_varint(block.plain_length) for _ in range(lanes - 1)]
        lane_bytes.append(block.plain_length - sum(lane_bytes))
        if any(n < m for n, m in zip(lane_bytes, LaneLayout(count, lanes).lengths, strict=True)):
            raise LlmzError("a block's lanes make no sense")
        mixed = self._adaptive_models(model, bucket_bits)
        if mixed.bucket_bits != bucket_bits:
            raise LlmzError("a block's table size differs from the one before")
        return mixed.decode(payload[used + reader.position :], count, lane_bytes, side, self._kernel, self._progress)

    def _adaptive_models(self, model: Model, bucket_bits: int) -> MixedCoder:
        """The models that live on from the block before, or new ones with tables of that size."""
        if self._mixed is None or self._header.independent:
            self._mixed = MixedCoder(model, bucket_bits, cores=self._cores)
        return self._mixed

    def _decode_with_contexts(self, block: Block) -> bytes:
        bucket_bits, coded = block.payload[0], block.payload[1:]
        if not context_coding.MIN_BUCKET_BITS <= bucket_bits <= context_coding.MAX_BUCKET_BITS:
            raise LlmzError("a block's table size makes no sense")
        if self._context is None or self._header.independent:
            self._context = ContextCoder(bucket_bits)
        elif self._context.bucket_bits != bucket_bits:
            raise LlmzError("a block's table size differs from the one before")
        return self._context.decode(coded, block.plain_length, self._progress)
