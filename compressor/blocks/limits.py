"""What reading may take: bounds of memory that follow from a header, and of work that follow from a block's length."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from llmzip.blocks.repeats import MAX_DISTANCE
from llmzip.blocks.transformed import most_stream_bytes
from llmzip.errors import MemoryLimitError
from llmzip.format.member import Header
from llmzip.mixing.mixed import LARGEST_KEPT_TABLE, SHAPES
from llmzip.mixing.wide import wide_table_bits
from llmzip.network.architecture import CHANNEL_TILE, StackConfig
from llmzip.network.model import Model

MOST_BYTES_AT_ONCE, MOST_BYTES_PER_BYTE = 4096, 1024
"""So many plain bytes at most are coded by models in a payload of none, and so many more for each of its bytes: a short
file cannot keep a reader busy for long."""
_BUCKET_BYTES = 33
"""Of counters, and its part of the table of runs."""
_MIXED_BYTES, _CONTEXT_BYTES, _WIDE_BYTES = 41 << 20, 66 << 20, 34 << 20
"""Mixers, maps and match tables of a mode, and of context mode's wide profile."""
_LEAST_END_BITS, _MOST_END_BITS = 12, 18
"""Logarithms of a context's counters for ends of tokens in mixed mode: 4 less than table bits, within these."""
_USUAL_LANES, _MOST_USUAL_LANES = 16, 64
"""Of a block, unless someone asked for more."""
_CACHE_SLACK = 576
"""Positions of attention's cache beyond the window."""
_READING_ROWS = 512
"""Of a call of the network that reads the end of the block before."""
_OTHER_BYTES = 64 << 20
"""The interpreter, its libraries and whatever else is not counted here."""


def is_bounded(plain_length: int, payload_length: int) -> bool:
    """Whether a payload that models coded is long enough for its plain bytes."""
    return plain_length <= MOST_BYTES_AT_ONCE + MOST_BYTES_PER_BYTE * payload_length


def memory_needed(header: Header, model: Model | None, threads: int = 1, lanes: int = 1) -> int:
    """Bytes that reading a member takes at most.

    Args:
        model: the one that the header names; None where it names none.
        threads: blocks that are read side by side if they are independent.
        lanes: of all blocks that are read at a time.
    """
    block = 1 << header.block_bits
    each = 3 * block + most_stream_bytes(block)  # payload, plain bytes, what a transform works with, streams
    modes = (1 if header.fingerprint is None else 2) if header.table_bits else 0  # context mode, mixed mode
    each += ((_BUCKET_BYTES << header.table_bits) + _CONTEXT_BYTES) * (modes > 0)
    each += _mixed_bytes(header.table_bits) * (modes > 1)
    if header.wide and modes:
        modes += 1
        each += _wide_bytes(header.table_bits)
    needed = _OTHER_BYTES
    if model is not None and model.primer is not None and header.table_bits <= LARGEST_KEPT_TABLE:
        needed += _mixed_bytes(header.table_bits)  # models kept as they were after the primer
    if model is not None:
        needed += _weight_bytes(model) + lanes * _lane_bytes(model) + threads * _reading_bytes(model)
    history = 0 if header.single else MAX_DISTANCE
    if header.independent:
        return needed + history + threads * each + 2 * block
    return needed + (1 + modes) * history + each


def _wide_bytes(table_bits: int) -> int:
    """What models of the wide profile take: half as many buckets, with bit histories."""
    return (2 * _BUCKET_BYTES << wide_table_bits(table_bits)) + _WIDE_BYTES


def _mixed_bytes(table_bits: int) -> int:
    """What models of mixed mode take."""
    end_bits = min(max(table_bits - 4, _LEAST_END_BITS), _MOST_END_BITS)
    ends = 2 * max(shape.contexts for shape in SHAPES) << end_bits
    return (_BUCKET_BYTES << table_bits) + _MIXED_BYTES + ends


def check_memory(header: Header, model: Model | None, limit: int, lanes: int = 1) -> None:
    """Raises: MemoryLimitError: reading takes more than ``limit`` bytes; arguments as for :func:`memory_needed`."""
    if (needed := memory_needed(header, model, 1, lanes)) > limit:
        raise MemoryLimitError(needed, limit)


def share_threads(header: Header, model: Model | None, threads: int, limit: int) -> tuple[int, int]:
    """How many blocks ``threads`` may read side by side in ``limit`` bytes, one at least, and threads for each."""
    most = threads if header.independent and not header.single else 1
    wanted_lanes = {n: max(n * _USUAL_LANES, _MOST_USUAL_LANES) for n in range(2, most + 1)}
    fitting = (n for n, lanes in wanted_lanes.items() if memory_needed(header, model, n, lanes) <= limit)
    blocks = max(fitting, default=1)
    return blocks, max(1, threads // blocks)


class LaneBudget:
    """Sees to it that blocks which are read side by side do not have more lanes at a time than memory allows.

    Args:
        blocks: how many are read side by side.
        limit: bytes.
    """

    def __init__(self, header: Header, model: Model | None, blocks: int, limit: int) -> None:
        self._header = header
        self._model = model
        self._blocks = blocks
        self._limit = limit
        self._in_use = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, lanes: int) -> Iterator[None]:
        """Wait for so many lanes, which the caller then uses.

        Raises:
            MemoryLimitError: they are too many in any case.
        """
        if (needed := self._needed(lanes)) > self._limit:
            raise MemoryLimitError(needed, self._limit)
        with self._changed:
            self._changed.wait_for(lambda: self._needed(self._in_use + lanes) <= self._limit)
            self._in_use += lanes
        try:
            yield
        finally:
            with self._changed:
                self._in_use -= lanes
                self._changed.notify_all()

    def _needed(self, lanes: int) -> int:
        return memory_needed(self._header, self._model, self._blocks, lanes)


def _weight_bytes(model: Model) -> int:
    """Arrays as they are stored and inflated, and what the core makes of them."""
    return sum(2 * entry.plain_bytes + (entry.deflated or 0) for entry in model.file.entries.values())


def _lane_bytes(model: Model) -> int:
    """What the network keeps of a lane, keys and values of attention before all, and what a step of it takes."""
    config = model.config.decoder
    heads = config.layers.count("a") * config.heads
    values_width = -(-config.head_width // CHANNEL_TILE) * CHANNEL_TILE
    cache = heads * (config.window + _CACHE_SLACK) * (config.head_width + values_width)
    tails = 4 * len(config.layers) * config.kernel * config.width
    # Scores, frequencies, and those that are still to come.
    distributions = 5 * 4 * (model.config.vocabulary + CHANNEL_TILE)
    return cache + tails + _row_bytes(config) + distributions + (1 << 16)


def _reading_bytes(model: Model) -> int:
    """What it takes to read the end of the block before."""
    return _lane_bytes(model) + _READING_ROWS * (_row_bytes(model.config.decoder) + 4 * model.config.vocabulary)


def _row_bytes(config: StackConfig) -> int:
    """Between the layers of a step."""
    return 26 * config.width + 5 * config.hidden
