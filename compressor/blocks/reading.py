"""A coded block to its plain bytes."""

from __future__ import annotations

from llmzip.blocks import context, limits, lzma_block, mixed, stored, tokens, transformed
from llmzip.blocks.adaptive import AdaptiveModels
from llmzip.blocks.limits import LaneBudget
from llmzip.errors import DamagedError, TruncatedError
from llmzip.format.member import Coded, Method
from llmzip.network.model import Model
from llmzip.progress import SILENT, Progress


class BlockDecoder:
    """Decodes the blocks of a member in order; of one whose blocks are independent, one block.

    Copies are left to :class:`llmzip.blocks.repeats.RepeatWindow`.

    Args:
        table_bits: as the member's header says.
        model: the one that the header names; None where it names none.
        threads: of the network.
        lanes: those that blocks may have.
        midway: the first block is that of a group after others.
        wide: as the member's header says.
    """

    def __init__(
        self, table_bits: int, model: Model | None, threads: int, lanes: LaneBudget, progress: Progress = SILENT,
        midway: bool = False, wide: bool = False,
    ) -> None:  # fmt: skip
        self._models = AdaptiveModels(table_bits, model, threads, midway, wide)
        self._lanes = lanes
        self._progress = progress
        self._stream_bytes_left = 0

    def decode(self, block: Coded) -> bytes:
        """Return a block's plain bytes, not verified yet.

        Raises:
            LlmzError: it is damaged or needs more memory than allowed.
        """
        self._stream_bytes_left = transformed.most_stream_bytes(block.plain_length)
        try:
            return self._decode(block, self._progress, 0)
        except TruncatedError as error:
            raise DamagedError("a block's payload ends too early") from error

    def _decode(self, coded: Coded, progress: Progress, depth: int) -> bytes:
        if coded.method.has_models:
            return self._decode_with_models(coded, progress)
        if coded.method is Method.TRANSFORMED:
            return self._decode_transformed(coded, progress, depth)
        if coded.method is Method.STORED:
            plain = stored.decode(coded.payload, coded.plain_length)
        elif coded.method is Method.LZMA:
            plain = lzma_block.decode(coded.payload, coded.plain_length)
        else:
            raise DamagedError("a copy stands where there can be none")
        progress.advance(coded.plain_length)
        return plain

    def _decode_with_models(self, coded: Coded, progress: Progress) -> bytes:
        method, parameter, plain_length, payload = coded
        if not limits.is_bounded(plain_length, len(payload)):
            raise DamagedError("a block is longer than its payload allows")
        if method is Method.CONTEXT:
            return context.decode(self._models, payload, plain_length, progress)
        lanes = 1 << parameter
        decode = tokens.decode if method is Method.TOKENS else mixed.decode
        with self._lanes.taken(lanes):
            return decode(self._models, payload, lanes, plain_length, progress)

    def _decode_transformed(self, coded: Coded, progress: Progress, depth: int) -> bytes:
        if depth == transformed.MOST_NESTED:
            raise DamagedError("a block's transforms are nested too deep")
        parts = transformed.parse(coded.payload, self._stream_bytes_left)
        stream_bytes = sum(stream.plain_length for stream in parts.streams)
        self._stream_bytes_left -= stream_bytes
        share = transformed.share_of(progress, coded.plain_length, stream_bytes)
        streams = [self._decode(stream, share, depth + 1) for stream in parts.streams]
        return transformed.put_back(parts, streams, coded.plain_length)
