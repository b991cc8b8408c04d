"""Letters that are written as escapes of ASCII, as in JSON, addresses, quoted-printable mails and HTML: as letters.

Escapes of two digits become bytes, which may be of any charset; others become characters. A line that has such bytes
anyway stays as it is.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from llmzip.core import _native
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
_WORTHWHILE = 0.98


def take_out(plain: bytes, sample_bits: SampleBits | None) -> tuple[bytes, list[bytes]] | None:
    """Return a description and the text without escapes; None where there are few."""
    counts = {begin: plain.count(begin) for begin in set(_BEGIN)}
    kinds = [kind for kind, begin in enumerate(_BEGIN) if counts[begin] >= _FEWEST]
    found = [(_native.unescape(plain, kind)[1], kind) for kind in kinds]
    escapes, kind = max(found, default=(0, 0))
    if escapes < _FEWEST or (kind == _QUOTED_PRINTABLE and not _is_quoted_printable(plain)):
        return None
    runs = _runs(plain)
    if escapes < _FEWEST + _PER_RUN * len(runs):
        return None
    bounds = [0, *runs, len(plain)]
    parts = [plain[start:end] for start, end in pairwise(bounds)]
    parts[0::2] = [_native.unescape(part, kind)[0] for part in parts[0::2]]
    text = b"".join(parts)
    lines = [len(line_starts(plain[start:end])) - 1 for start, end in pairwise(bounds)][:-1]
    if sample_bits and not _is_liked(text, kind, sample_bits):
        return None
    return bytes([kind]) + pack_numbers(lines), [text]


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
    if _native.count_no_utf8(text):
        return True  # another transform finds the charset
    parts = [part.decode("utf-8", "ignore").encode() for part in sample(text)]
    escaped = [_native.escape(part, kind, 16 * len(part)) for part in parts]
    return sample_bits(parts) < _WORTHWHILE * sample_bits(escaped)


def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes:
    """Undo :func:`take_out`.

    Raises:
        LlmzError: the description makes no sense, or does not give ``plain_length`` bytes.
    """
    source = Source(description)
    kind, runs = source.byte(), source.numbers()
    if kind >= len(_BEGIN) or len(streams) != 1:
        raise senseless()
    text = streams[0]
    starts = line_starts(text)
    if sum(runs) >= len(starts):
        raise senseless()
    bounds = [0, *(int(starts[line]) for line in np.cumsum(runs, dtype=np.int64)), len(text)]
    parts, left = [], plain_length
    for i, (start, end) in enumerate(pairwise(bounds)):
        part = text[start:end] if i % 2 else _native.escape(text[start:end], kind, max(left, 0))
        if part is None:
            raise senseless()
        parts.append(part)
        left -= len(part)
    if left:
        raise senseless()
    return b"".join(parts)
