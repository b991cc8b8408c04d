"""Passages that are no text (NULs, pictures, programs) taken out of a text, so that text and others are coded apart."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from llmzip.core import _native
from llmzip.text.description import Source, pack_numbers, senseless
from llmzip.text.samples import SampleBits

_NO_UTF8_WEIGHT, _MOST_NO_UTF8, _CONTROLS_PER_NO_UTF8 = 3, 0.3, 0.05
"""What a byte that is no UTF-8 says; in a text with more of them, and fewer control characters beside them, nothing:
they are letters of another charset."""
_FEWEST_BETWEEN, _LEAST_SUM = 128, 60
_MOST_PASSAGES = 1 << 16
_LEAST_TEXT, _LEAST_TEXT_BYTES = 0.1, 512
_LEAST_PASSAGES_BYTES = 64
_RARE_CONTROLS = bytes(set(range(32)) - set(b"\b\t\n\x0b\f\r\x1b\x1c\x1d\x1e\x1f"))


def take_out(plain: bytes, sample_bits: SampleBits | None) -> tuple[bytes, list[bytes]] | None:
    """Return a description (lengths of text and passages in turns), the text and the passages; None for text
    throughout, and for what has hardly any."""
    controls = len(plain) - len(plain.translate(None, _RARE_CONTROLS))
    no_utf8 = _native.count_no_utf8(plain)
    if controls + no_utf8 < _LEAST_PASSAGES_BYTES // 2:
        return None
    letters = no_utf8 > _MOST_NO_UTF8 * len(plain) and controls < _CONTROLS_PER_NO_UTF8 * no_utf8
    weight = 0 if letters else _NO_UTF8_WEIGHT
    most = min(_MOST_PASSAGES, len(plain) // _FEWEST_BETWEEN + 1)
    found = _native.find_passages(plain, weight, _FEWEST_BETWEEN, _LEAST_SUM, most)
    bounds = np.frombuffer(found, np.int64).tolist()
    if not bounds:
        return None
    cuts = [0, *bounds, len(plain)]
    parts = [plain[start:end] for start, end in pairwise(cuts)]
    text, passages = b"".join(parts[0::2]), b"".join(parts[1::2])
    if len(text) < max(_LEAST_TEXT * len(plain), _LEAST_TEXT_BYTES) or len(passages) < _LEAST_PASSAGES_BYTES:
        return None
    return pack_numbers(map(len, parts[:-1])), [text, passages]


def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes:
    """Undo :func:`take_out`.

    Raises:
        DamagedError: the description makes no sense, or does not give ``plain_length`` bytes.
    """
    source = Source(description)
    if len(streams) != 2 or sum(map(len, streams)) != plain_length:
        raise senseless()
    parts, places = [], [0, 0]
    while not source.is_empty:
        for stream in (0, 1):
            start = places[stream]
            end = start + source.number(len(streams[stream]) - start)
            parts.append(streams[stream][start:end])
            places[stream] = end
    if places[1] != len(streams[1]):
        raise senseless()
    parts.append(streams[0][places[0] :])
    return b"".join(parts)
