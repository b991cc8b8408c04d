"""Plain bytes to a coded block: the methods that may win are tried, and the fewest bytes win.

Nothing here decides how a block is read; a method is ruled out by an estimate only where docs/experiments.md shows that
this costs nothing to speak of.
"""

from __future__ import annotations

import functools

import numpy as np

from llmzip import text
from llmzip.blocks import context, limits, lzma_block, mixed, stored, tokens, transformed
from llmzip.blocks.adaptive import AdaptiveModels
from llmzip.blocks.lanes import cut_into_lanes
from llmzip.blocks.side_information import choose_side
from llmzip.blocks.transformed import Transformed
from llmzip.format.member import BLOCK_OVERHEAD, Coded, Method
from llmzip.mixing.context import ContextCoder
from llmzip.mixing.profiles import MIXED_PROFILES, Profile, choose_profile
from llmzip.network.model import Model, begins_after_line, network_code_lengths
from llmzip.progress import SILENT, Progress
from llmzip.settings import Settings, table_bits_for
from llmzip.text import line_breaks

LEAST_GAIN = 2 * BLOCK_OVERHEAD
"""Bytes that coding one of several blocks has to save: for its own overhead, and since it keeps its neighbours, where
they are stored, from being one block."""
_REPETITIVE_RATIO = 0.004
"""LZMA at or below this share of the plain length is left alone: the rest to be won is not worth the time."""
_CONTEXT_TO_LZMA = 0.39
"""Context mode is not smaller than this share of what LZMA's quick setting gives."""
_CONTEXT_SAMPLE_PARTS, _CONTEXT_SAMPLE_BYTES = 2, 16 << 10
_SAMPLE_TABLE_BITS = 19
"""Of context mode's models for a sample: they stand beside those of mixed mode, in memory that has a limit."""
_CONTEXT_TO_FORETOLD, _WARM_CONTEXT_TO_FORETOLD = 0.7, 0.6
"""Context mode does not need less than this share of what a sample foretells (docs/experiments.md); the same if it
knows blocks before."""
_WIDE_TO_LZMA, _WIDE_TO_FORETOLD = 0.26, 0.68
"""The same of its wide profile where it is smaller than mixed mode."""
_CLOSE_WIDE = 1.04
"""Where the wide profile needs less than so many times what mixed mode does of a block, it may win if it knows all."""
_PROFILE_SAMPLE_BYTES = 12 << 10
_RECORDS_TO_PROSE, _KEPT_RECORDS_TO_PROSE = 1.0, 1.025
"""Where context mode codes a sample as records in fewer bytes than this share of what it needs as prose, mixed mode
takes text for records: in general, and after a block of records, whose many contexts know the text by then."""
_TOKENS_SAMPLE_PARTS, _TOKENS_SAMPLE_BYTES = 4, 600
_TOKENS_TO_LZMA = 1.5
"""Where the network alone, on a sample from a cold start, needs more than so many times what LZMA's quick setting does,
tokens do not win."""
_NOISE_RATIO = 0.99
"""Where LZMA's quick setting leaves more than this, and context mode does of a sample, nothing is to be won."""
_TRIAL_BYTES = 16 << 10
"""Of a block, for a transform to show that it pays."""
_CLOSE_TRIAL, _CLOSE_TRIAL_BYTES = 1.04, 48 << 10
"""A trial that comes out closer than this is not believed: a block up to so long is coded both ways."""


def is_repetitive(plain: bytes) -> bool:
    """Whether LZMA leaves so little that models are not worth their time."""
    by_lzma = lzma_block.Attempt(plain)
    return by_lzma.may_be_repetitive and len(by_lzma.best()) <= _REPETITIVE_RATIO * len(plain)


class BlockEncoder:
    """Codes the new text of a member block by block; of one whose blocks are independent, one block.

    Args:
        table_bits: as the member's header says.
        model: None codes without a model.
        threads: of the network.
        may_be_wide: as the member's header says.
        compares_with_wide: find out whether the wide profile, which no block may have here, is close.
        is_trial: take transforms at their word.

    Attributes:
        may_do_without_network: some block may be as small without the network: context mode was tried, or it is noise.
        wide_is_close: context mode's wide profile needs few more bytes than mixed mode for the first block that it may
            win, or fewer; False where that is not found out.
    """

    def __init__(
        self, table_bits: int, model: Model | None, settings: Settings, threads: int, progress: Progress = SILENT,
        may_be_wide: bool = False, compares_with_wide: bool = False, is_trial: bool = False,
    ) -> None:  # fmt: skip
        self._model = model
        self._settings = settings
        self._threads = threads
        self._progress = progress
        self._is_trial = is_trial
        self._may_be_wide = may_be_wide
        self._compares_with_wide = compares_with_wide
        self._proven: set[int] = set()
        """Transforms that have shown in a trial that they pay."""
        self._keeps_crlf: bool | None = None
        """Whether line ends of blocks before, where some were taken out, were left as CR LF."""
        self._models = AdaptiveModels(table_bits, model, threads)
        self._known_bytes = 0
        """Of blocks before, in this group."""
        self._last_profile = Profile.PROSE
        """Mixed mode's, of the block before."""
        self._stream_bytes_left = transformed.most_stream_bytes(_TRIAL_BYTES)
        self.may_do_without_network = False
        self.wide_is_close = False
        self._table_bits = table_bits

    def start_afresh(self) -> None:
        """Begin a group: what follows can be read without what was coded before."""
        self._models.start_afresh()
        self._known_bytes = 0
        self._keeps_crlf = None

    def encode(self, plain: bytes, alone: bool = False) -> Coded:
        """Code 1 byte to 64 MiB; ``alone`` says that the member has no other block."""
        self._stream_bytes_left = transformed.most_stream_bytes(len(plain))
        coded = self._encode(plain, self._progress, (), 0 if alone else LEAST_GAIN)
        self._known_bytes += len(plain)
        return coded

    def _encode(self, plain: bytes, progress: Progress, before: tuple[int, ...], least_gain: int = 0) -> Coded:
        unchanged = Coded(Method.STORED, 0, len(plain), stored.encode(plain))
        if len(plain) <= least_gain:  # nothing can save so much
            progress.advance(len(plain))
            return unchanged
        told, uses_before = _Told(progress, len(plain)), self._models.uses
        by_lzma = lzma_block.Attempt(plain, ahead=self._model is None and self._threads > 1)
        candidates = [unchanged, Coded(Method.LZMA, 0, len(plain), by_lzma.quick)]
        if by_lzma.may_be_repetitive:
            candidates.append(Coded(Method.LZMA, 0, len(plain), by_lzma.best()))
        if _size(candidates) > _REPETITIVE_RATIO * len(plain):
            candidates += self._code_with_models(plain, len(by_lzma.quick), told, before)
            if not by_lzma.may_be_repetitive and by_lzma.best_may_be_below(_size(candidates)):
                candidates.append(Coded(Method.LZMA, 0, len(plain), by_lzma.best()))
        gained = len(plain) - _size(candidates)
        best = min(candidates, key=lambda coded: len(coded.payload)) if gained > least_gain else unchanged
        self._models.spoil_since(uses_before, best.method)
        told.tell_rest()
        return best

    def _code_with_models(
        self, plain: bytes, quick_size: int, progress: Progress, before: tuple[int, ...]
    ) -> list[Coded]:
        """What models make of a block or stream, after the transforms ``before``: none where it would grow."""
        if len(before) < transformed.MOST_NESTED and (coded := self._code_transformed(plain, progress, before)):
            return [coded]
        return self._code_as_it_is(plain, quick_size, progress)

    def _code_as_it_is(self, plain: bytes, quick_size: int, progress: Progress) -> list[Coded]:
        profile = choose_profile(plain)
        if quick_size >= _NOISE_RATIO * len(plain) and _context_share(_sample(plain), profile) >= _NOISE_RATIO:
            self.may_do_without_network = True
            return []
        found: list[Coded] = []
        if self._model is not None and self._network_may_win(plain, quick_size):
            if self._settings.method is Method.MIXED:
                profile = self._closer_profile(profile, plain)
            found += self._code_with_network(self._model, plain, profile, progress)
        if found and profile is Profile.RECORDS and self._settings.method is Method.MIXED:
            if self._may_be_wide:
                profile = Profile.WIDE
            elif self._compares_with_wide and len(plain) > self._settings.opening_bytes:
                self._compare_with_wide(plain, quick_size, _size(found))
        elif self._settings.wide and profile < MIXED_PROFILES:
            profile = Profile.WIDE
        if not found or self._context_may_win(plain, profile, quick_size, _size(found)):
            self.may_do_without_network = True
            payload = context.encode(self._models, plain, profile, progress)
            found += _bounded(Method.CONTEXT, 0, plain, payload)
        return found

    def _compare_with_wide(self, plain: bytes, quick_size: int, least: int) -> None:
        """Find out once whether the wide profile, which does best if it knows all blocks, might win."""
        most = round(_CLOSE_WIDE * least)
        if self._context_may_win(plain, Profile.WIDE, quick_size, most):
            self._compares_with_wide = False
            coded = ContextCoder(self._table_bits).encode(plain, Profile.WIDE, SILENT)
            self.wide_is_close = coded is not None and len(coded) < most

    def _closer_profile(self, profile: Profile, plain: bytes) -> Profile:
        """Mixed mode's for a block whose bytes speak for ``profile``.

        Code, markup and lists look like prose by their bytes; where context mode codes a sample in few bytes as
        records, the block gets that profile.
        """
        if profile is not Profile.PROSE:
            return profile
        last = self._last_profile if self._models.is_warm(Method.MIXED) else Profile.PROSE
        if 4 * len(plain) < _PROFILE_SAMPLE_BYTES:
            return last
        sample = _lines_within(plain, _PROFILE_SAMPLE_BYTES)
        as_prose, as_records = (_context_share(sample, sample_profile) for sample_profile in (profile, Profile.RECORDS))
        most = _KEPT_RECORDS_TO_PROSE if last is Profile.RECORDS else _RECORDS_TO_PROSE
        return Profile.RECORDS if as_records < most * as_prose else profile

    def _code_with_network(self, model: Model, plain: bytes, profile: Profile, progress: Progress) -> list[Coded]:
        method = self._settings.method
        is_warm = self._models.is_warm(method)
        lanes = self._settings.lanes_for(len(plain), self._known_bytes if is_warm else 0)
        lane_bytes = cut_into_lanes(plain, lanes)
        reads_tail = is_warm or (method is Method.MIXED and model.primer is not None)
        after_line = not reads_tail and begins_after_line(model, plain)
        if method is Method.TOKENS:
            side = choose_side(model, plain)
            payload: bytes | None = tokens.encode(self._models, plain, lane_bytes, side, after_line, progress)
        else:  # without side information: the text itself soon says what the numbers would
            self._last_profile = profile if profile < MIXED_PROFILES else Profile.RECORDS
            payload = mixed.encode(self._models, plain, lane_bytes, self._last_profile, None, after_line, progress)
        return _bounded(method, lanes.bit_length() - 1, plain, payload)

    def _code_transformed(self, plain: bytes, progress: Progress, before: tuple[int, ...]) -> Coded | None:
        """With what the text is wrapped in taken out; None where that is of no use."""
        taken = text.take_out(plain, self.sample_bits if self._model else None, before, self._keeps_crlf)
        if taken is None or len(taken.streams) > transformed.MOST_STREAMS:
            return None
        stream_bytes = sum(map(len, taken.streams))
        if stream_bytes > self._stream_bytes_left or text.put_back(taken, len(plain)) != plain:
            return None
        is_its_own_trial = False
        if not self._is_trial and taken.number not in self._proven:
            is_its_own_trial = len(plain) <= _TRIAL_BYTES and not self._knows_more_than_a_trial()
            if not is_its_own_trial:
                trial_share = self._trial_share(taken.number, plain)
                is_its_own_trial = self._is_open(trial_share, plain)
                if trial_share >= 1 and not is_its_own_trial:
                    return None
        # First, as its models are gone when those of the block come.
        size_as_it_is = self._size_as_it_is(plain) if is_its_own_trial else None
        uses_before = self._models.uses
        self._stream_bytes_left -= stream_bytes
        share = transformed.share_of(progress, len(plain), stream_bytes)
        coded = [self._encode(stream, share, (*before, taken.number)) for stream in taken.streams]
        payload = transformed.encode(Transformed(taken.number, taken.description, coded))
        if size_as_it_is is not None and len(payload) >= size_as_it_is:
            self._models.spoil_since(uses_before, Method.STORED)
            self._stream_bytes_left += stream_bytes
            return None
        self._proven.add(taken.number)
        if taken.number == text.LINE_BREAKS:
            self._keeps_crlf = line_breaks.has_crlf(taken.description)
        return Coded(Method.TRANSFORMED, 0, len(plain), payload)

    def _knows_more_than_a_trial(self) -> bool:
        return any(self._models.uses.values()) or (self._model is not None and self._model.primer is not None)

    def _trial(self, sample: bytes) -> BlockEncoder:
        model = self._model if self._model is None else self._model.base or self._model  # no primer has to be read
        return BlockEncoder(table_bits_for(len(sample)), model, self._settings, self._threads, is_trial=True)

    def _size_as_it_is(self, sample: bytes) -> int:
        """What a sample takes without a transform, where nothing is known before it."""
        quick = lzma_block.encode_quickly(sample)
        others = [len(other.payload) for other in self._trial(sample)._code_as_it_is(sample, len(quick), SILENT)]
        return min([len(sample), len(quick), *others])

    def _trial_share(self, number: int, plain: bytes) -> float:
        """What a transform leaves of a sample, divided by what is left without it.

        Where the sample has nothing for it: 0, as passages may be elsewhere, but 1, which settles nothing, for joined
        lines, which would be everywhere.
        """
        sample = _lines_within(plain, _TRIAL_BYTES)
        coded = self._trial(sample)._code_transformed(sample, SILENT, ())
        if coded is None or transformed.number_of(coded) != number:
            return 1.0 if number == text.LINE_BREAKS else 0.0
        return len(coded.payload) / self._size_as_it_is(sample)

    def _is_open(self, share: float, plain: bytes) -> bool:
        """Whether a trial with this result leaves it open if a transform pays, and the block can be coded both ways."""
        is_close = 1 / _CLOSE_TRIAL < share < _CLOSE_TRIAL
        return is_close and len(plain) <= _CLOSE_TRIAL_BYTES and not self._knows_more_than_a_trial()

    def _network_may_win(self, plain: bytes, quick_size: int) -> bool:
        """Whether the network need be asked: always in mixed mode, whose contexts know what it does not."""
        if self._settings.method is Method.MIXED:
            return True
        parts = _parts(plain, _TOKENS_SAMPLE_PARTS, _TOKENS_SAMPLE_BYTES)
        needed = self.sample_bits(parts) / 8 / sum(map(len, parts))
        return needed * len(plain) < _TOKENS_TO_LZMA * quick_size

    def _context_may_win(self, plain: bytes, profile: Profile, quick_size: int, least: int) -> bool:
        """Whether context mode may need fewer bytes than ``least``: by its profile, by LZMA, then by a sample."""
        is_wide = profile is Profile.WIDE
        if profile >= MIXED_PROFILES and not is_wide:
            return True
        if (_WIDE_TO_LZMA if is_wide else _CONTEXT_TO_LZMA) * quick_size > least:
            return False
        sample, of_sample = _sample(plain), Profile.RECORDS if is_wide else profile
        # What LZMA leaves of both says how much easier the block is than its sample.
        foretold = _context_share(sample, of_sample) * quick_size * len(sample) / len(lzma_block.encode_quickly(sample))
        is_warm = self._models.is_warm(Method.CONTEXT)
        usual = _WIDE_TO_FORETOLD if is_wide else _CONTEXT_TO_FORETOLD
        return (_WARM_CONTEXT_TO_FORETOLD if is_warm else usual) * foretold < least

    def sample_bits(self, parts: list[bytes]) -> float:
        """Bits of pieces of text by the network alone, each from a cold start."""
        assert self._model is not None
        pieces = [self._model.tokenizer.encode(part) for part in parts]
        longest = max(map(len, pieces))
        targets = np.stack([np.pad(piece, (0, longest - len(piece))) for piece in pieces])
        lengths = network_code_lengths(self._model, targets)
        return float(sum(row[: len(piece)].sum() for row, piece in zip(lengths, pieces, strict=True)))


@functools.lru_cache(maxsize=4)
def _context_share(sample: bytes, profile: Profile) -> float:
    """What context mode leaves of a sample: at most 1. A short block is the sample of every question about it."""
    coded = ContextCoder(_SAMPLE_TABLE_BITS).encode(sample, profile, SILENT)
    return 1.0 if coded is None else len(coded) / len(sample)


def _lines_within(plain: bytes, most: int) -> bytes:
    """A run of whole lines from the middle of a block, as far as there are some; a short block whole."""
    if len(plain) <= most:
        return plain
    start = plain.find(b"\n", (len(plain) - most) // 2, len(plain) // 2) + 1 or (len(plain) - most) // 2
    end = plain.rfind(b"\n", start, start + most) + 1 or start + most
    return plain[start:end]


def _sample(plain: bytes) -> bytes:
    return b"".join(_parts(plain, _CONTEXT_SAMPLE_PARTS, _CONTEXT_SAMPLE_BYTES // _CONTEXT_SAMPLE_PARTS))


def _parts(plain: bytes, count: int, part_bytes: int) -> list[bytes]:
    """Parts from all over a block; a short one whole."""
    if len(plain) <= count * part_bytes:
        return [plain]
    starts = np.linspace(0, len(plain) - part_bytes, count).astype(int)
    return [plain[start : start + part_bytes] for start in starts]


class _Told(Progress):
    """Progress on a block that several methods may tell of: not more than its length in all, and in the end all."""

    def __init__(self, progress: Progress, plain_length: int) -> None:
        super().__init__(progress.advance)
        self._left = float(plain_length)

    def advance(self, plain_bytes: float) -> None:
        done = min(plain_bytes, self._left)
        self._left -= done
        super().advance(done)

    def tell_rest(self) -> None:
        self.advance(self._left)


def _size(candidates: list[Coded]) -> int:
    return min(len(coded.payload) for coded in candidates)


def _bounded(method: Method, parameter: int, plain: bytes, payload: bytes | None) -> list[Coded]:
    """A candidate, if there is one that a reader accepts."""
    if payload is None or not limits.is_bounded(len(plain), len(payload)):
        return []
    return [Coded(method, parameter, len(plain), payload)]
