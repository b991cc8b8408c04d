"""Text whose words or lines are kept apart by a byte that is none of text: it changes roles with a space or line end.

So do lists of names that end in NUL, environments of processes, records with unit separators, lines that end in CR.
"""

from __future__ import annotations

from llmzip.text.cuts import looks_like_text
from llmzip.text.description import Source, senseless
from llmzip.text.samples import SampleBits, sample

_SEPARATORS = b"\0\x01\x1c\x1d\x1e\x1f\r\x0b\x0c"
_OF_LINES = b"\r\x0b\x0c"
_USUAL = b" \n\t"
_FEWEST, _MOST_BYTES_PER_SEPARATOR = 16, 400
_MOST_SHARE = 0.4
_RARE = 0.1
"""The usual separator has at most so many places for one of the other."""
_WORTHWHILE = 0.98


def take_out(plain: bytes, sample_bits: SampleBits | None) -> tuple[bytes, list[bytes]] | None:
    """Return a description, the two bytes, and the text in which they have changed places; None where that is no use.

    Args:
        sample_bits: chooses between a space, a line end and a tab; without it the first that is rare is taken.
    """
    counts = {byte: plain.count(bytes([byte])) for byte in _SEPARATORS}
    separator = max(counts, key=lambda byte: counts[byte])
    count = counts[separator]
    if count < max(_FEWEST, len(plain) / _MOST_BYTES_PER_SEPARATOR) or count > _MOST_SHARE * len(plain):
        return None
    if not looks_like_text(plain.translate(None, bytes([separator]))):
        return None
    usual_ones = b"\n" if separator in _OF_LINES else _USUAL
    rare = [usual for usual in usual_ones if plain.count(bytes([usual])) <= _RARE * count]
    if not rare:
        return None
    texts = {usual: plain.translate(_exchange(separator, usual)) for usual in rare}
    usual = rare[0]
    if sample_bits:
        bits = {usual: sample_bits(sample(text)) for usual, text in texts.items()}
        usual = min(bits, key=lambda byte: bits[byte])
        if bits[usual] > _WORTHWHILE * sample_bits(sample(plain)):
            return None
    return bytes([separator, usual]), [texts[usual]]


def _exchange(one: int, other: int) -> bytes:
    table = bytearray(range(256))
    table[one], table[other] = other, one
    return bytes(table)


def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes:
    """Undo :func:`take_out`.

    Raises:
        DamagedError: the description makes no sense, or does not give ``plain_length`` bytes.
    """
    source = Source(description)
    separator, usual = source.take(2)
    source.end()
    if len(streams) != 1 or len(streams[0]) != plain_length:
        raise senseless()
    return streams[0].translate(_exchange(separator, usual))
