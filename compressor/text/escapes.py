"""Letters that are written as escapes of ASCII, as in JSON, addresses, quoted-printable mails and HTML: as letters.

Escapes of two digits become bytes, which may be of any charset; others become characters. A line that has such bytes
anyway stays as it is. Lines of quoted-printable that go on in the next one are joined.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from llmzip.core import _native
from llmzip.text import charsets
from llmzip.text.description import Source, pack_numbers, senseless
from llmzip.text.lines import line_starts
from llmzip.text.samples import SampleBits, sample

_BEGIN = (b"\\u", b"\\u", b"%", b"%", b"=", b"\\x", b"\\x", b"&#", b"&#x", b"&#x")
"""Of escapes by kind, in the order of core/escapes.c; of two that begin alike the first has digits in lower case."""
_QUOTED_PRINTABLE = 4
_FEWEST, _PER_RUN = 60, 10
"""Escapes that pay for a description, and for a run of lines in it."""
_QUOTED_SHARE = 0.9
"""Least share of equals signs that belong to quoted-printable, in what is taken for it."""
_NARROWEST, _WIDEST, _RARE_WIDTH, _FEWEST_BREAKS = 40, 1000, 20, 8
"""Of lines of quoted-printable that go on; a width is usual where one line in so many has it."""
_WORTHWHILE = 0.98


def take_out(plain: bytes, sample_bits: SampleBits | None) -> tuple[bytes, list[bytes]] | None:
    """Return a description and the text without escapes; None where there are few.

    A second stream says by how much lines of quoted-printable are broken earlier than they must, if any are.
    """
    counts = {begin: plain.count(begin) for begin in set(_BEGIN)}
    kinds = [kind for kind, begin in enumerate(_BEGIN) if counts[begin] >= _FEWEST]
    found = [(_native.unescape(plain, kind)[1], kind) for kind in kinds]
    escapes, kind = max(found, default=(0, 0))
    if escapes < _FEWEST or (kind == _QUOTED_PRINTABLE and not _is_quoted_printable(plain)):
        return None
    joined, description, streams = plain, bytes([kind]), list[bytes]()
    if kind == _QUOTED_PRINTABLE:
        joined, lines, streams = _join_quoted(plain)
        description += lines
    runs = _runs(joined)
    if escapes < _FEWEST + _PER_RUN * len(runs):
        return None
    bounds = [0, *runs, len(joined)]
    parts = [joined[start:end] for start, end in pairwise(bounds)]
    counted = [len(line_starts(part)) - 1 for part in parts[:-1]]
    parts[0::2] = [_native.unescape(part, kind)[0] for part in parts[0::2]]
    text = b"".join(parts)
    broken = _native.count_no_utf8(text)
    if kind != _QUOTED_PRINTABLE and 2 * broken > escapes and charsets.take_out(text, sample_bits) is None:
        return None  # bytes that are letters nowhere, as of %edx and %ebp in a listing
    if sample_bits and not broken and not _is_liked(text, kind, sample_bits):
        return None
    return description + pack_numbers(counted), [text, *streams]


def _join_quoted(plain: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """The text with lines of quoted-printable joined, what is noted down about it, and how much earlier lines end."""
    crlf = 2 * plain.count(b"\r\n") > plain.count(b"\n")
    line_end = b"\r\n" if crlf else b"\n"
    lengths = np.array([len(line) for line in plain.split(line_end) if line.endswith(b"=")], np.int64)
    known, counts = np.unique(lengths[(lengths >= _NARROWEST) & (lengths <= _WIDEST)], return_counts=True)
    usual = known[counts * _RARE_WIDTH >= counts.sum()]
    if usual.size:
        width = int(usual.max())
        joined, earlier, breaks = _native.join_quoted(plain, width, crlf)
        exceptions = len(earlier) - earlier.count(0)
        if 2 * breaks > exceptions and breaks >= _FEWEST_BREAKS:
            return joined, pack_numbers([2 * width + crlf]), [earlier] if exceptions else []
    return plain, pack_numbers([0]), []


def _runs(plain: bytes) -> list[int]:
    """Where runs of lines without and with bytes from 128 on end in turns, but for the last."""
    if plain.isascii():
        return []
    starts = line_starts(plain)
    high = np.flatnonzero(np.frombuffer(plain, np.uint8) >= 0x80)
    has_high = np.zeros(len(starts) - 1, bool)
    has_high[np.searchsorted(starts, high, "right") - 1] = True
    changes = np.flatnonzero(np.diff(has_high, prepend=False))
    return [int(place) for place in starts[changes]]


def _is_quoted_printable(plain: bytes) -> bool:
    signs = plain.count(b"=")
    quoted = sum(plain.count(b"=" + end) for end in (b"\n", b"\r\n", b"3D", b"20", b"09"))
    return _native.unescape(plain, _QUOTED_PRINTABLE)[1] + quoted >= _QUOTED_SHARE * signs


def _is_liked(text: bytes, kind: int, sample_bits: SampleBits) -> bool:
    parts = [part.decode("utf-8", "ignore").encode() for part in sample(text)]
    escaped = [_native.escape(part, kind, 16 * len(part)) for part in parts]
    return sample_bits(parts) < _WORTHWHILE * sample_bits(escaped)


def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes:
    """Undo :func:`take_out`.

    Raises:
        DamagedError: the description makes no sense, or does not give ``plain_length`` bytes.
    """
    source = Source(description)
    kind = source.byte()
    lines = source.number() if kind == _QUOTED_PRINTABLE else 0
    if kind >= len(_BEGIN) or not 1 <= len(streams) <= 1 + bool(lines):
        raise senseless()
    text = _put_back_escapes(kind, source.numbers(), streams[0], plain_length)
    if lines:
        width, crlf = divmod(lines, 2)
        if not _NARROWEST <= width <= _WIDEST:
            raise senseless()
        earlier = streams[1] if len(streams) > 1 else None
        text = _native.break_quoted(text, width, bool(crlf), earlier, plain_length)
    if text is None or len(text) != plain_length:
        raise senseless()
    return text


def _put_back_escapes(kind: int, runs: list[int], text: bytes, most: int) -> bytes:
    starts = line_starts(text)
    if sum(runs) >= len(starts):
        raise senseless()
    bounds = [0, *(int(starts[line]) for line in np.cumsum(runs, dtype=np.int64)), len(text)]
    parts, left = [], most
    for i, (start, end) in enumerate(pairwise(bounds)):
        part = text[start:end] if i % 2 else _native.escape(text[start:end], kind, max(left, 0))
        if part is None:
            raise senseless()
        parts.append(part)
        left -= len(part)
    if left < 0:
        raise senseless()
    return b"".join(parts)
