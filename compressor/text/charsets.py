"""Text that is not UTF-8, turned into UTF-8 before it is coded: the model knows its letters only there.

A charset is that of a whole text or, except UTF-16, of some of its lines. Bytes that are no character of it stay.
"""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmzip.core import _native
from llmzip.text import plausibility
from llmzip.text.charset_tables import CHARSETS, UTF_16, tables_of
from llmzip.text.description import Source, pack_numbers, senseless
from llmzip.text.lines import line_starts
from llmzip.text.samples import SampleBits, sample

BY_LINES = 0xFF
"""In place of a charset's number: runs of lines follow."""
BYTE_BEFORE, BYTE_AFTER, BYTE_ORDER_MARK = 1, 2, 4
"""Bits that follow the number of UTF-16: a byte before the first code unit or
after the last, a byte order mark that was taken out."""
_LINE_CHARSETS = range(len(UTF_16), len(CHARSETS))
_WHOLE_ONLY = (CHARSETS.index("cp037"),)
"""Where a line ends, its lines do not."""
_FEWEST_BROKEN = 8
"""Bytes that are not UTF-8."""
_WORTHWHILE, _CLEAR = 0.98, 0.9
"""Share of the bits that UTF-8 is allowed to take, by the model; by plausibility where there is no model."""
_CHANGE = 160
"""Quarters of a bit that another charset has to save, by plausibility, where it begins."""
_MOST_CHARSETS, _LEAST_SHARE = 5, 0.03
_CLOSE = 1.08
"""The model is asked about charsets in which the lines cost less than so many times as much."""
_MOST_ASKED = 5
_TRIAL_PARTS, _TRIAL_PART_BYTES = 16, 1 << 14
_MOST_CONTROLS = 0.02
_INEXACT = (1 << 31) // 4
_BOM = b"\xef\xbb\xbf"
_READABLE_UNITS, _TRIED_UNITS = 0.98, 1 << 15
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))


def to_utf8(plain: bytes, charset: int) -> bytes:
    """``plain`` in UTF-8; what is no character stays."""
    text: bytes = _native.to_utf8(plain, *tables_of(CHARSETS[charset]))
    return text


def from_utf8(text: bytes, charset: int, most: int) -> bytes:
    """Undo :func:`to_utf8`.

    Raises:
        DamagedError: the result would be longer than ``most``.
    """
    plain: bytes | None = _native.from_utf8(text, *tables_of(CHARSETS[charset]), most)
    if plain is None:
        raise senseless()
    return plain


class Lines(NamedTuple):
    """A run of lines in one charset, after some in UTF-8."""

    before: int
    lines: int
    charset: int


def take_out(plain: bytes, sample_bits: SampleBits | None) -> tuple[bytes, list[bytes]] | None:
    """Return a description and the text in UTF-8; None for UTF-8, ASCII and what is no text.

    Args:
        sample_bits: tells charsets apart that are equally plausible, and has the last word.
    """
    taken = _take_out_utf_16(plain, sample_bits)
    if taken is None:
        if _native.count_no_utf8(plain) < _FEWEST_BROKEN:
            return None
        if len(plain) - len(plain.translate(None, _CONTROLS)) > _MOST_CONTROLS * len(plain):
            return None
        runs = _find_runs(plain, sample_bits)
        taken = _convert(plain, runs) if runs else None
    return taken


def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes:
    """Undo :func:`take_out`.

    Raises:
        DamagedError: the description makes no sense, or does not give ``plain_length`` bytes.
    """
    source = Source(description)
    if len(streams) != 1:
        raise senseless()
    charset, text = source.byte(), streams[0]
    if charset == BY_LINES:
        plain = _put_back_lines(source, text, plain_length)
    elif charset < len(UTF_16):
        plain = _put_back_utf_16(source, text, charset, plain_length)
    elif charset < len(CHARSETS):
        plain = from_utf8(text, charset, plain_length)
    else:
        raise senseless()
    source.end()
    if len(plain) != plain_length:
        raise senseless()
    return plain


def _convert(plain: bytes, runs: list[Lines]) -> tuple[bytes, list[bytes]] | None:
    starts = line_starts(plain)
    if len(runs) == 1 and runs[0].before == 0 and runs[0].lines == len(starts) - 1:
        return bytes([runs[0].charset]), [to_utf8(plain, runs[0].charset)]
    parts, at, description = [], 0, bytes([BY_LINES])
    for run in runs:
        if run.charset in _WHOLE_ONLY:
            return None
        first = at + run.before
        parts += [plain[starts[at] : starts[first]]]
        at = first + run.lines
        parts += [to_utf8(plain[starts[first] : starts[at]], run.charset)]
        description += pack_numbers((run.before, run.lines)) + bytes([run.charset])
    parts.append(plain[starts[at] :])
    return description, [b"".join(parts)]


def _put_back_lines(source: Source, text: bytes, plain_length: int) -> bytes:
    starts = line_starts(text)
    parts, at, left = [], 0, plain_length
    while not source.is_empty:
        first = at + source.number(len(starts))
        end = first + source.number(len(starts))
        charset = source.byte()
        if end >= len(starts) or charset not in _LINE_CHARSETS or charset in _WHOLE_ONLY:
            raise senseless()
        parts += [text[starts[at] : starts[first]]]
        parts += [from_utf8(text[starts[first] : starts[end]], charset, left)]
        left -= len(parts[-1])
        at = end
    parts.append(text[starts[at] :])
    return b"".join(parts)


def _costs(text: bytes, charset: int | None) -> NDArray[np.int32]:
    """What each line costs in a charset by plausibility, in quarters of a bit; from ``_INEXACT`` on it is not exact."""
    name = None if charset is None else CHARSETS[charset]
    unreadable = plausibility.UNREADABLE if name is None else plausibility.UNREADABLE_IN_CHARSET
    tables = None if name is None else tables_of(name)
    args = plausibility.kinds(), plausibility.costs(name), plausibility.after(), unreadable, tables
    return np.frombuffer(_native.line_costs(text, *args), np.int32)


def _find_runs(plain: bytes, sample_bits: SampleBits | None) -> list[Lines]:
    """Runs of lines that are better read in some charset; empty where there are none."""
    trial = _trial_text(plain)
    in_utf8 = _costs(trial, None)
    of_trial = {charset: _costs(trial, charset) for charset in _LINE_CHARSETS}
    chosen = _choose_few(in_utf8, of_trial)
    if not chosen:
        return []
    costs = np.stack([_costs(plain, None), *(_costs(plain, charset) for charset in chosen)])
    choice = np.frombuffer(_native.choose_by_line(costs.copy(), len(costs), _CHANGE), np.uint8)
    choice = _without_gaps(choice, costs)
    numbers: dict[int, int | None] = {0: None}
    starts = line_starts(plain)
    for i, charset in enumerate(chosen, 1):
        lines = np.flatnonzero(choice == i)
        if not lines.size:
            continue
        text = b"".join(plain[starts[run[0]] : starts[run[-1] + 1]] for run in _consecutive(lines))
        numbers[i] = _ask(text, charset, of_trial, sample_bits) if sample_bits else charset
        if not sample_bits and costs[i, lines].sum() > _CLEAR * costs[0, lines].sum():
            numbers[i] = None
    return _runs([numbers[i] for i in choice.tolist()])


def _consecutive(lines: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.split(lines, np.flatnonzero(np.diff(lines) != 1) + 1)


def _trial_text(plain: bytes) -> bytes:
    """Some lines from all over a text, or all of a short one."""
    if len(plain) <= _TRIAL_PARTS * _TRIAL_PART_BYTES:
        return plain
    parts = sample(plain, _TRIAL_PARTS, _TRIAL_PART_BYTES)
    return b"".join(part[part.find(b"\n") + 1 :] for part in parts)


def _choose_few(in_utf8: NDArray[np.int32], costs: dict[int, NDArray[np.int32]]) -> list[int]:
    """The charsets that between them save most, each clearly more than those before it."""
    best, chosen, saved = in_utf8.astype(np.int64), list[int](), 0
    while len(chosen) < _MOST_CHARSETS and costs:
        gains = {charset: int(np.maximum(best - line_costs, 0).sum()) for charset, line_costs in costs.items()}
        charset = max(gains, key=lambda c: gains[c])
        if gains[charset] < max(_CHANGE, _LEAST_SHARE * saved):
            break
        chosen.append(charset)
        saved += gains[charset]
        best = np.minimum(best, costs[charset])
    return chosen


def _without_gaps(choice: NDArray[np.uint8], costs: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Lines in UTF-8 beside lines in a charset that are the same there, taken into it."""
    out = choice.copy()
    ends = np.flatnonzero(np.diff(choice)) + 1
    bounds = [0, *ends.tolist(), len(choice)]
    for start, end in pairwise(bounds):
        for neighbour in (start - 1, end):
            if out[start] == 0 and 0 <= neighbour < len(choice) and out[neighbour]:
                there = costs[out[neighbour], start:end]
                if there.max() < _INEXACT and there.sum(dtype=np.int64) <= costs[0, start:end].sum(dtype=np.int64):
                    out[start:end] = out[neighbour]
    return out


def _ask(text: bytes, charset: int, of_trial: dict[int, NDArray[np.int32]], sample_bits: SampleBits) -> int | None:
    """Which of the charsets that are as plausible as ``charset`` the model likes for ``text``; None for UTF-8."""
    parts = [from_utf8(part, charset, len(text)) for part in _pieces(to_utf8(text, charset))]
    joined = b"\n".join(part.replace(b"\n", b" ") for part in parts)
    own = int(_costs(joined, charset).sum(dtype=np.int64))
    close = []
    for other in of_trial:
        line_costs = _costs(joined, other)
        if other != charset and line_costs.max() < _INEXACT and line_costs.sum(dtype=np.int64) <= _CLOSE * own:
            close.append((int(line_costs.sum(dtype=np.int64)), other))
    asked = [charset, *(other for _, other in sorted(close)[: _MOST_ASKED - 1])]
    bits, best = min((sample_bits([to_utf8(part, other) for part in parts]), other) for other in asked)
    if bits > _WORTHWHILE * sample_bits(parts):
        return None
    whole = to_utf8(text, best)
    return best if from_utf8(whole, best, 3 * len(text)) == text else charset


def _pieces(text: bytes) -> list[bytes]:
    """Pieces of UTF-8 that begin and end between characters."""
    return [part for part in map(_whole_characters, sample(text)) if part]


def _whole_characters(part: bytes) -> bytes:
    start = next((i for i in range(min(4, len(part))) if part[i] & 0xC0 != 0x80), 0)
    end = next((i for i in range(len(part) - 1, max(len(part) - 5, 0), -1) if part[i] & 0xC0 != 0x80), len(part))
    return part[start:end]


def _runs(charsets: list[int | None]) -> list[Lines]:
    runs, before = [], 0
    for charset, lines in groupby(charsets):
        count = len(list(lines))
        if charset is None:
            before = count
        else:
            runs.append(Lines(before, count, charset))
            before = 0
    return runs


def _take_out_utf_16(plain: bytes, sample_bits: SampleBits | None) -> tuple[bytes, list[bytes]] | None:
    for big_endian, before in ((False, 0), (True, 0), (False, 1), (True, 1)):
        after = (len(plain) - before) % 2
        units = plain[before : len(plain) - after]
        if not _is_utf_16(units, big_endian):
            continue
        text = _native.utf16_to_utf8(units, big_endian)
        flags = BYTE_BEFORE * bool(before) | BYTE_AFTER * bool(after)
        if text.startswith(_BOM):
            flags |= BYTE_ORDER_MARK
            text = text[len(_BOM) :]
        description = bytes([big_endian, flags]) + plain[:before] + plain[len(plain) - after :]
        if len(text) > 2 * len(plain) or (sample_bits and not _is_liked(units, big_endian, sample_bits)):
            return None
        return description, [text]
    return None


def _is_liked(units: bytes, big_endian: bool, sample_bits: SampleBits) -> bool:
    length = min(600, len(units) // 8 * 2)
    starts = np.linspace(0, (len(units) - length) // 2, 4).astype(int) * 2
    parts = [units[start : start + length] for start in starts]
    return sample_bits([_native.utf16_to_utf8(part, big_endian) for part in parts]) < sample_bits(parts)


def _put_back_utf_16(source: Source, text: bytes, big_endian: int, plain_length: int) -> bytes:
    flags = source.byte()
    if flags & ~(BYTE_BEFORE | BYTE_AFTER | BYTE_ORDER_MARK):
        raise senseless()
    before = source.take(bool(flags & BYTE_BEFORE))
    after = source.take(bool(flags & BYTE_AFTER))
    if flags & BYTE_ORDER_MARK:
        text = _BOM + text
    units: bytes | None = _native.utf8_to_utf16(text, bool(big_endian), plain_length)
    if units is None:
        raise senseless()
    return before + units + after


def _is_utf_16(plain: bytes, big_endian: bool) -> bool:
    """Whether code units are letters, signs and white space nearly all, most of them of few kinds."""
    if len(plain) < 2 * _FEWEST_BROKEN:
        return False
    starts = np.linspace(0, max(0, len(plain) // 2 - _TRIED_UNITS // 4), 4).astype(int) * 2
    some = b"".join(plain[start : start + _TRIED_UNITS // 2] for start in starts)
    units = np.frombuffer(some, ">u2" if big_endian else "<u2")
    kinds = plausibility.kinds()[units]
    unreadable = (kinds == plausibility.OTHER) | (kinds == plausibility.CONTROL)
    surrogates = (units >= 0xD800) & (units < 0xE000)
    if (unreadable & ~surrogates).mean() > 1 - _READABLE_UNITS:
        return False
    ascii_units = units < 0x80
    if ascii_units.mean() >= 0.2:
        return True
    # Two ASCII letters look like a rare Chinese one; real ones have signs between them, and bytes that are not ASCII.
    signs = ascii_units | ((units >= 0x3000) & (units < 0x3040)) | ((units >= 0xFF00) & (units < 0xFF60))
    return bool(signs.mean() >= 0.02 and _native.count_no_utf8(some) + some.count(b"\0") > units.size // 100)
