"""Dumps of bytes in lines, as xxd, od, hexdump, objdump and tables of C have them, taken out as the bytes."""

from __future__ import annotations

from collections.abc import Iterator

from llmzip.core import _native
from llmzip.text.cuts import Cut, pack_cuts, pays, put_back_cuts
from llmzip.text.description import Source, pack_numbers, senseless
from llmzip.text.samples import SampleBits

_FEWEST_LINES = 4
_SAVED_SHARE = 0.1
_LONGEST_FORM = 160
_REPEATED = (b"\n*\n", b"\r\n*\r\n")
"""What stands in place of lines that repeat the one before."""
_OFFSETS = 1 << 64


def take_out(plain: bytes, sample_bits: SampleBits | None) -> tuple[bytes, list[bytes]] | None:
    """Return a description and streams; None where there are no dumps."""
    cuts = list(_find(plain))
    taken = pack_cuts(plain, cuts)
    return taken if taken and pays(plain, cuts, taken, _SAVED_SHARE) else None


def _find(plain: bytes) -> Iterator[Cut]:
    """Runs of lines; each notes down by how much its offset differs from where the run before ended."""
    at = expected = 0
    while run := _native.find_dump(plain, at, _FEWEST_LINES):
        while run:
            form, begin, at, offset, data = run
            yield Cut(begin, at, form, _pack_difference(offset - expected), data)
            expected = (offset + len(data)) % _OFFSETS
            repeated = next((mark for mark in _REPEATED if plain.startswith(mark, at)), None)
            run = repeated and _native.continue_dump(plain, at + len(repeated), form)


def _pack_difference(difference: int) -> bytes:
    """Of numbers of 64 bits, small ones of both signs in few bytes."""
    difference = (difference + _OFFSETS // 2) % _OFFSETS - _OFFSETS // 2
    return pack_numbers([2 * difference if difference >= 0 else -2 * difference - 1])


def _read_difference(source: Source) -> int:
    number = source.number()
    return -(number + 1) // 2 if number % 2 else number // 2


def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes:
    """Undo :func:`take_out`.

    Raises:
        DamagedError: the description makes no sense, or does not give ``plain_length`` bytes.
    """
    expected = 0

    def write(form: bytes, source: Source, data: bytes, most: int) -> bytes | None:
        nonlocal expected
        offset = (expected + _read_difference(source)) % _OFFSETS
        expected = (offset + len(data)) % _OFFSETS
        run: bytes | None = _native.write_dump(form, offset, data, most)
        return run

    return put_back_cuts(description, streams, plain_length, _read_form, write)


def _read_form(source: Source) -> bytes:
    length = _native.form_length(source.peek(_LONGEST_FORM))
    if length is None:
        raise senseless()
    return source.take(length)
