"""Runs of base64 and of hexadecimal digits, in lines or not, taken out of a text as the bytes that they stand for."""

from __future__ import annotations

from collections.abc import Iterator

from llmzip.core import _native
from llmzip.text.cuts import Cut, pack_cuts, pays, put_back_cuts
from llmzip.text.description import Source, pack_numbers, senseless
from llmzip.text.samples import SampleBits

_ALPHABETS = 4
"""Base64, base64 for addresses, hexadecimal digits in lower and in upper case."""
_FEWEST_DIGITS, _FEWEST_TEXT_DIGITS = (280, 280, 400, 400), 64
"""Fewer digits may stand for bytes that are text."""
_SAVED_SHARE = (0.02, 0.02, 0.0, 0.0)
"""Of random bytes: a coder's trouble with an alphabet of 64."""
_PADDED, _FIRST_DIFFERS, _IN_LINES = 4, 8, 16
"""Bits of a form's first byte above the alphabet: = signs fill the last digits up; every run notes down how long its
first line is; line length and separator follow."""
_LONGEST_SEPARATOR = 40
_MOST_DIGITS = 1 << 40


def take_out(plain: bytes, sample_bits: SampleBits | None) -> tuple[bytes, list[bytes]] | None:
    """Return a description and streams; None where there are no runs."""
    found = [(cut.begin, -cut.end, cut) for alphabet in range(_ALPHABETS) for cut in _find(plain, alphabet)]
    cuts: list[Cut] = []
    for _, _, cut in sorted(found):
        if not cuts or cut.begin >= cuts[-1].end:
            cuts.append(cut)
    taken = pack_cuts(plain, cuts)
    saved_share = _SAVED_SHARE[cuts[0].form[0] % _ALPHABETS] if cuts else 0.0
    return taken if taken and pays(plain, cuts, taken, saved_share) else None


def _find(plain: bytes, alphabet: int) -> Iterator[Cut]:
    at = 0
    while run := _native.find_run(plain, at, alphabet, _FEWEST_DIGITS[alphabet], _FEWEST_TEXT_DIGITS):
        begin, end, first, line, separator, padded, data = run
        # Where no digits are missing nothing shows whether they would be filled up: as most of its kind are.
        padded |= alphabet == 0 and len(data) % 3 == 0
        flags = alphabet | _PADDED * padded
        if not line:
            form, note = bytes([flags]), b""
        else:
            differs = first != line
            form = bytes([flags | _IN_LINES | _FIRST_DIFFERS * differs]) + pack_numbers([line, len(separator)])
            form += separator
            note = pack_numbers([first]) if differs else b""
        yield Cut(begin, end, form, note, data)
        at = end


def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes:
    """Undo :func:`take_out`.

    Raises:
        DamagedError: the description makes no sense, or does not give ``plain_length`` bytes.
    """
    return put_back_cuts(description, streams, plain_length, _read_form, _write)


def _read_form(source: Source) -> tuple[int, int, bytes]:
    flags = source.byte()
    if flags >= _IN_LINES << 1 or (flags & _FIRST_DIFFERS and not flags & _IN_LINES):
        raise senseless()
    if not flags & _IN_LINES:
        return flags, 0, b""
    line = source.number(_MOST_DIGITS)
    separator = source.take(source.number(_LONGEST_SEPARATOR))
    if not line:
        raise senseless()
    return flags, line, separator


def _write(form: tuple[int, int, bytes], source: Source, data: bytes, most: int) -> bytes | None:
    flags, line, separator = form
    first = source.number(_MOST_DIGITS) if flags & _FIRST_DIFFERS else line
    if line and not first:
        raise senseless()
    # Longer lines than there is room for are all alike, and the core takes no numbers that it could not multiply.
    first, line = min(first, most + 1), min(line, most + 1)
    run: bytes | None = _native.write_run(data, flags % _ALPHABETS, first, line, separator, bool(flags & _PADDED), most)
    return run
