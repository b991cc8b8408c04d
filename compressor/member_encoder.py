"""One member of plain bytes that come piece by piece: cut into blocks, coded, written in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from llmzip.access.marks import RecordMarker
from llmzip.blocks import context, limits, lzma_block, repeats, stored
from llmzip.blocks.choice import BlockEncoder, is_repetitive
from llmzip.blocks.suited_model import SAMPLE_BYTES, suited_model
from llmzip.blocks.transformed import all_coded
from llmzip.format.member import (
    FINGERPRINT_BYTES,
    LEAST_BLOCK_BITS,
    LEAST_TABLE_BITS,
    Coded,
    Header,
    MemberWriter,
    Method,
    block_bits_for,
)
from llmzip.format.sections import GROUPS, pack_groups, pack_sections
from llmzip.mixing.profiles import Profile, choose_profile
from llmzip.network.model import load_model
from llmzip.progress import SILENT, Progress
from llmzip.settings import BLOCK_BYTES, FAST_WHOLE_BYTES, LONG_BYTES, RECORD_KINDS, Settings, table_bits_for

_NO_NETWORK_SHARE = 1.001
"""So many times the bytes, and one byte, are not too much for a member that is read without the network, at once."""
_MUCH_REPEATED = 1 / 16
"""Of a first block, what LZMA leaves at most where a long text begins without a short one."""
_MOST_UNLISTED_BLOCKS = 8
"""So many are found soon enough one after the other, without a list of them at the end."""


class MemberEncoder:
    """Takes plain bytes, gives a member's.

    Raises:
        LlmzError: the model file is none.
    """

    def __init__(self, settings: Settings, progress: Progress = SILENT) -> None:
        self._settings = settings
        self._progress = progress
        self._model = None if settings.method is Method.CONTEXT else load_model(settings.model)
        self._finder = repeats.RepeatFinder()
        self._waiting = bytearray()
        self._blocks: _BlockWriter | None = None
        self._block_bytes = self._first_block_bytes = self._most_block_bytes = 0
        self._coded_bytes = 0
        self._left_of_group = settings.most_group_bytes or 0
        self._group_is_full = False
        self._group_encoder: BlockEncoder | None = None
        self._marker = RecordMarker(RECORD_KINDS.get(settings.records), settings.key) if settings.records else None
        self._start = bytearray() if settings.cuts_freely else None
        """All that was fed, as long as one block of LZMA may be smaller than all blocks."""
        self._held = bytearray()
        """What is ready meanwhile."""

    def feed(self, plain: bytes) -> bytes:
        """Take more plain bytes; return what is ready, whole blocks only.

        Raises:
            MemoryLimitError: what would be made could not be read within the limit.
            NoKeyError: an index of keys was asked for, and records have none of this name.
        """
        self._waiting += plain
        if self._marker is not None:
            self._marker.feed(plain)
        if self._start is not None:
            self._start += plain
        if self._blocks is None and (self._may_be_short() or self._may_be_alone()):
            return b""
        self._code_ready()
        if self._start is not None and len(self._start) <= BLOCK_BYTES:
            return b""
        self._start = None
        return self._take_held()

    def _code_ready(self) -> None:
        """Code all blocks that can be cut off what is waiting, which is several."""
        if self._blocks is None:
            self._begin(is_repetitive(bytes(self._waiting[: self._whole_bytes()])))
        while len(self._waiting) >= self._bytes_to_cut():
            self._held += self._code_waiting(self._cut())

    def _may_be_alone(self) -> bool:
        """Whether what is waiting is one block, if it is all."""
        size = len(self._waiting)
        return size <= self._settings.whole_bytes or size <= self._whole_bytes()

    def _may_be_short(self) -> bool:
        """Whether only more text shows if it begins with a short block."""
        return bool(self._settings.opening_bytes) and len(self._waiting) <= LONG_BYTES

    def _whole_bytes(self) -> int:
        """What is at most so long is one block: more of what context mode codes, which is read fast."""
        whole = self._settings.whole_bytes
        if choose_profile(bytes(self._waiting[:whole])) is not Profile.SEQUENCES:
            return whole
        return max(whole, self._settings.within_group(self._settings.block_bytes or FAST_WHOLE_BYTES))

    def flush_block(self) -> bytes:
        """End a block, so that a reader gets all that was fed; return what is ready. Errors as for :meth:`feed`."""
        self._start = None
        self._held += self._code_waiting(len(self._waiting)) if self._waiting else b""
        self._held += self._blocks.flush() if self._blocks else b""
        return self._take_held()

    def finish(self) -> bytes:
        """Return the rest of the member. Errors as for :meth:`feed`."""
        if self._blocks is None and not self._may_be_alone():
            self._code_ready()
        if self._blocks is not None:
            if self._start is None:
                return self.flush_block() + self._blocks.finish(self._record_sections())
            start = bytes(self._start)
            start_by_lzma = self._lzma_of(start)
            member = self.flush_block() + self._blocks.finish(self._record_sections())
            return self._smallest(start, member, start_by_lzma)
        plain = bytes(self._waiting)
        if not plain:
            return MemberWriter(Header(LEAST_BLOCK_BITS)).finish(short=True)
        pieces = self._finder.split(plain)
        if self._marker is not None:
            self._marker.mark(len(plain))
        if len(pieces) == 1:
            return self._encode_alone(plain)
        blocks = self._begin(ends_at=len(plain))
        by_lzma = self._lzma_of(plain) if self._marker is None else None
        member = blocks.add(plain, pieces) + blocks.finish(self._record_sections())
        del blocks
        return member if by_lzma is None else self._smallest(plain, member, by_lzma)

    def _record_sections(self) -> dict[int, bytes]:
        return {} if self._marker is None else self._marker.sections()

    def _lzma_of(self, plain: bytes) -> lzma_block.Attempt:
        return lzma_block.Attempt(plain, ahead=self._model is None and self._settings.thread_count > 1)

    def _smallest(self, plain: bytes, member: bytes, by_lzma: lzma_block.Attempt) -> bytes:
        """A member of several blocks, or what sees more of the text at once and is read as fast."""
        candidates = [member]
        if (payload := by_lzma.if_below(min(len(plain), len(member)))) is not None:
            writer = MemberWriter(Header(block_bits_for(len(plain)), single=True))
            candidates.append(writer.add(Coded(Method.LZMA, 0, len(plain), payload), plain) + writer.finish())
        may_do_without_network = self._group_encoder is not None and self._group_encoder.may_do_without_network
        wide_is_close = self._group_encoder is not None and self._group_encoder.wide_is_close
        self._group_encoder = self._blocks = None  # others need as much memory again
        if wide_is_close:
            wide = MemberEncoder(replace(self._settings, wide=True))
            candidates.append(wide.feed(plain) + wide.finish())
        if may_do_without_network:
            candidates += self._without_model(plain)
        return min(candidates, key=len)

    def _without_model(self, plain: bytes) -> list[bytes]:
        """What level 1 makes of it, which may be smaller: its blocks are longer and its header names no model."""
        if self._model is None:
            return []
        level_1 = MemberEncoder(replace(self._settings, level=1))
        return [level_1.feed(plain) + level_1.finish()]

    def _take_held(self) -> bytes:
        held = bytes(self._held)
        self._held.clear()
        return held

    def _code_waiting(self, count: int) -> bytes:
        """Code the next block, and settle how long the one after it is to be."""
        blocks = self._blocks or self._begin()
        ready = self._begin_group(blocks) if self._group_is_full else b""
        plain = bytes(self._waiting[:count])
        del self._waiting[:count]
        self._coded_bytes += count
        if self._marker is not None:
            self._marker.mark(self._coded_bytes)
        pieces = self._finder.split(plain)
        ready += blocks.add(plain, pieces)
        if all(piece.distance for piece in pieces):
            self._block_bytes = self._most_block_bytes  # copies are read fast, and more of them may follow
        self._block_bytes = min(max(2 * self._block_bytes, self._first_block_bytes), self._most_block_bytes)
        if (most := self._settings.most_group_bytes) is not None:
            self._left_of_group -= count
            self._group_is_full = self._left_of_group < self._first_block_bytes / 2
            self._block_bytes = min(self._block_bytes, self._left_of_group)
            if self._group_is_full:
                self._left_of_group, self._block_bytes = most, self._first_block_bytes
        return ready

    def _begin_group(self, blocks: _BlockWriter) -> bytes:
        """Let what follows be readable without what came before."""
        assert self._group_encoder is not None
        self._group_encoder.start_afresh()
        self._finder = repeats.RepeatFinder()
        return blocks.begin_group()

    def _bytes_to_cut(self) -> int:
        """How much must be waiting for a block to be cut off: a rest that is shorter than the last block joins it."""
        joined = 2 * self._block_bytes
        return joined if self._settings.cuts_freely and joined <= self._most_block_bytes else self._block_bytes

    def _cut(self) -> int:
        """Where the next block ends, at a record's beginning if there is one."""
        begin, end = self._coded_bytes, self._coded_bytes + self._block_bytes
        return self._block_bytes if self._marker is None else self._marker.cut(begin, end) - begin

    def _encode_alone(self, plain: bytes) -> bytes:
        """A member of one block, whose header need not say more than the block wants."""
        header = self._header(len(plain), len(plain), single=self._marker is None)
        wide = header._replace(wide=True)
        fits = limits.memory_needed(wide, self._model, lanes=self._settings.most_lanes) <= self._settings.memory_bytes
        encoder = self._block_encoder(wide if fits else header, self._settings.thread_count)
        coded = encoder.encode(plain, alone=True)
        methods = {part.method for part in all_coded(coded)}
        if not methods & {Method.MIXED, Method.CONTEXT}:
            header = header._replace(table_bits=0)
        if not methods & {Method.MIXED, Method.TOKENS}:
            header = header._replace(fingerprint=None)
        header = header._replace(wide=any(context.is_wide(part) for part in all_coded(coded)))
        writer = MemberWriter(header)
        member = writer.add(coded, plain) + writer.finish(pack_sections(self._record_sections()))
        may_do_without_network = encoder.may_do_without_network
        del encoder
        others = self._without_model(plain) if self._start is not None and may_do_without_network else []
        return next((other for other in others if len(other) - 1 <= _NO_NETWORK_SHARE * len(member)), member)

    def _begin(self, repetitive: bool = False, ends_at: int | None = None) -> _BlockWriter:
        """Settle what the header says and how long blocks are to be, of a member of several."""
        settings = self._settings
        self._block_bytes = self._first_block_bytes = settings.first_block_bytes(repetitive)
        self._most_block_bytes = ends_at or settings.most_block_bytes(repetitive)
        if not repetitive and settings.opening_bytes and len(self._waiting) > LONG_BYTES:
            first = bytes(self._waiting[: self._first_block_bytes])
            # What repeats itself so much is mostly coded without the network, and more blocks would cost more bytes.
            if len(lzma_block.encode_quickly(first)) > _MUCH_REPEATED * len(first):
                self._block_bytes = settings.opening_bytes
        learned_from = self._most_block_bytes if settings.independent else settings.most_group_bytes or ends_at
        header = self._header(self._most_block_bytes, learned_from, independent=settings.independent)
        side_by_side, threads = limits.share_threads(header, self._model, settings.thread_count, settings.memory_bytes)
        if settings.independent:
            self._blocks = _BlockWriter(
                header, lambda plain: self._block_encoder(header, threads).encode(plain), side_by_side, self._progress
            )
        else:
            # Only then is the member one of several candidates in the end.
            compares = self._marker is None and (self._start is not None or ends_at is not None)
            self._group_encoder = self._block_encoder(header, threads, compares)
            self._blocks = _BlockWriter(header, self._group_encoder.encode, 1, self._progress)
        return self._blocks

    def _header(
        self, longest: int, learned_from: int | None, single: bool = False, independent: bool = False
    ) -> Header:  # fmt: skip
        """For blocks of at most ``longest`` bytes, with tables that leave reading within the memory limit; settles the
        model for what is waiting."""
        if self._model is not None:
            self._model = suited_model(self._model, bytes(self._waiting[:SAMPLE_BYTES]))
        fingerprint = self._model.fingerprint[:FINGERPRINT_BYTES] if self._model else None
        primer = self._model.primer if self._model else None
        table_bits = table_bits_for(learned_from, len(primer.text) if primer else 0)
        header = Header(block_bits_for(longest), table_bits, fingerprint, single, independent, self._settings.wide)
        lanes, limit = self._settings.most_lanes, self._settings.memory_bytes
        while header.table_bits > LEAST_TABLE_BITS and limits.memory_needed(header, self._model, lanes=lanes) > limit:
            header = header._replace(table_bits=header.table_bits - 1)
        limits.check_memory(header, self._model, limit, lanes)
        return header

    def _block_encoder(self, header: Header, threads: int, compares_with_wide: bool = False) -> BlockEncoder:
        return BlockEncoder(
            header.table_bits, self._model, self._settings, threads, self._progress, header.wide, compares_with_wide
        )


class _BlockWriter:
    """Codes blocks, ``side_by_side`` of them at a time, and writes them in order; joins neighbours that are stored."""

    def __init__(
        self, header: Header, encode: Callable[[bytes], Coded], side_by_side: int, progress: Progress
    ) -> None:  # fmt: skip
        self._longest = 1 << header.block_bits
        self._writer = MemberWriter(header)
        self._encode = encode
        self._pool = ThreadPoolExecutor(side_by_side) if side_by_side > 1 else None
        self._most_in_work = side_by_side if side_by_side > 1 else 0
        self._progress = progress
        self._in_work: deque[tuple[bytes, Callable[[], Coded]]] = deque()
        self._stored = bytearray()
        self._firsts = [0]
        """First blocks of groups."""

    def add(self, plain: bytes, pieces: list[repeats.Piece]) -> bytes:
        """Take a block that consists of ``pieces``; return what is ready."""
        ready, start = bytearray(), 0
        for length, distance in pieces:
            part = plain[start : start + length]
            self._in_work.append((part, self._begin_coding(part, distance)))
            ready += self._collect(self._most_in_work)
            start += length
        return bytes(ready)

    def flush(self) -> bytes:
        """Return whatever was added and not returned yet."""
        return self._collect(0) + self._write_stored()

    def begin_group(self) -> bytes:
        """Return the same; the next block begins a group."""
        ready = self.flush()
        self._firsts.append(self._writer.blocks)
        return ready

    def finish(self, sections: dict[int, bytes]) -> bytes:
        """The same, and the end record with these sections."""
        ready = self.flush()
        if self._pool is not None:
            self._pool.shutdown()
        packed = pack_sections({GROUPS: pack_groups(self._firsts)} | sections)
        return ready + self._writer.finish(packed, short=not packed and self._writer.blocks <= _MOST_UNLISTED_BLOCKS)

    def _begin_coding(self, plain: bytes, distance: int) -> Callable[[], Coded]:
        if not distance and self._pool is not None:
            return self._pool.submit(self._encode, plain).result
        if not distance:
            coded = self._encode(plain)
        else:
            coded = Coded(Method.COPY, 0, len(plain), repeats.encode(distance))
            self._progress.advance(len(plain))
        return lambda: coded

    def _collect(self, most_in_work: int) -> bytes:
        ready = bytearray()
        while len(self._in_work) > most_in_work:
            plain, result = self._in_work.popleft()
            coded = result()
            if coded.method is not Method.STORED or len(self._stored) + len(plain) > self._longest:
                ready += self._write_stored()
            if coded.method is Method.STORED:
                self._stored += plain
            else:
                ready += self._writer.add(coded, plain)
        return bytes(ready)

    def _write_stored(self) -> bytes:
        plain = bytes(self._stored)
        self._stored.clear()
        return self._writer.add(Coded(Method.STORED, 0, len(plain), stored.encode(plain)), plain) if plain else b""
