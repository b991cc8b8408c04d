"""Firmware as Intel HEX or Motorola S-records, taken out as the bytes; addresses, lengths and checksums follow."""

from __future__ import annotations

from llmzip.core import _native
from llmzip.text.cuts import STREAM_COST, deflated_bytes
from llmzip.text.description import Source, senseless
from llmzip.text.samples import SampleBits

_FEWEST_RECORDS = 8
_UPPER, _CRLF = 8, 16
"""Bits of a form's flags above the kind of records."""


def take_out(plain: bytes, sample_bits: SampleBits | None) -> tuple[bytes, list[bytes]] | None:
    """Return a description and streams (lines that stay, runs of records, their bytes); None where records are few."""
    records, (kind, upper, crlf, full) = _native.find_hex_records(plain)
    if records < _FEWEST_RECORDS:
        return None
    streams = list(_native.take_hex_records(plain, kind, upper, crlf, full))
    if not _are_smaller_deflated(streams, plain):
        return None
    return bytes([kind | _UPPER * upper | _CRLF * crlf, full]), streams


def _are_smaller_deflated(streams: list[bytes], plain: bytes) -> bool:
    """Whether the streams are likely to take fewer bytes, by what zlib makes of them."""
    return sum(map(deflated_bytes, streams)) + STREAM_COST * len(streams) < deflated_bytes(plain)


def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes:
    """Undo :func:`take_out`.

    Raises:
        DamagedError: the description makes no sense, or does not give ``plain_length`` bytes.
    """
    source = Source(description)
    flags, full = source.take(2)
    source.end()
    if len(streams) != 3 or flags >= _CRLF << 1:
        raise senseless()
    kind, upper, crlf = flags % _UPPER, bool(flags & _UPPER), bool(flags & _CRLF)
    plain: bytes | None = _native.put_hex_records(*streams, kind, upper, crlf, full, plain_length)
    if plain is None or len(plain) != plain_length:
        raise senseless()
    return plain
