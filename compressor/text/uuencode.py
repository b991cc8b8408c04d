"""Lines of uuencode, with their begin and end or without, taken out of a text as the bytes that they stand for."""

from __future__ import annotations

from collections.abc import Iterator

from llmzip.core import _native
from llmzip.text.cuts import Cut, pack_cuts, pays, put_back_cuts
from llmzip.text.description import Source, senseless
from llmzip.text.samples import SampleBits

_FEWEST_LINES = 4
_SAVED_SHARE = 0.02
_MODES = 3
"""Zero is a space; a back quote; a space, and spaces at the ends of lines are left out."""
_FULL, _CRLF = 63, 4


def take_out(plain: bytes, sample_bits: SampleBits | None) -> tuple[bytes, list[bytes]] | None:
    """Return a description and streams; None where there are no runs."""
    cuts = list(_find(plain))
    taken = pack_cuts(plain, cuts)
    return taken if taken and pays(plain, cuts, taken, _SAVED_SHARE) else None


def _find(plain: bytes) -> Iterator[Cut]:
    at = 0
    while run := _native.find_uu_run(plain, at, _FEWEST_LINES):
        begin, at, full, mode, crlf, data = run
        yield Cut(begin, at, bytes([mode | _CRLF * crlf, full]), b"", data)


def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes:
    """Undo :func:`take_out`.

    Raises:
        DamagedError: the description makes no sense, or does not give ``plain_length`` bytes.
    """
    return put_back_cuts(description, streams, plain_length, _read_form, _write)


def _read_form(source: Source) -> tuple[int, int]:
    flags, full = source.take(2)
    if flags >= 2 * _CRLF or flags % _CRLF >= _MODES or not 1 <= full <= _FULL:
        raise senseless()
    return flags, full


def _write(form: tuple[int, int], source: Source, data: bytes, most: int) -> bytes | None:
    flags, full = form
    run: bytes | None = _native.write_uu_run(data, full, flags % _CRLF, bool(flags & _CRLF), most)
    return run
