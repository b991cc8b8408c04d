"""Line ends that a text need not have: CR LF throughout, and those of lines broken to a width.

A language model reads a broken paragraph worse than a whole one, and where its lines end is known without the model:
before the first word that does not fit. So such a line end becomes a space, and what does not follow the rule is
listed. The rule knows margins (indentation, quote and comment marks) and two spaces between sentences. What line ends
are left then, and those of a text with CR LF, are CR LF or LF alone as the model likes better.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmzip.core import _native
from llmzip.text.description import Source, pack_numbers, pack_places, senseless
from llmzip.text.samples import SampleBits, sample

CRLF, REFLOWED, WIDE_SENTENCES, TEXT_CRLF = 1, 2, 4, 8
"""Bits of a description's first byte: line ends are CR LF; lines are broken to a width; sentences stand two spaces
apart; line ends of the stream are CR LF."""
_NEWLINE, _RETURN = 10, 13
_NARROWEST, _WIDEST = 20, 250
_BARE_LINE_ENDS_PER_CRLF = 1 / 16
"""Line ends without CR are listed; with more of them the text stays as it is."""
_KNOWN_LINE_END, _UNKNOWN_LINE_END, _EXCEPTION = 4, -5, -16
"""Bits, roughly, that a line end saves which the rule knows; that one costs more which it does not, as it stands in a
text with fewer of them; and that an exception takes. docs/experiments.md has the texts that they were read off."""
_WORTHWHILE_BITS = 120
_WRITTEN_SHARE = 0.6
"""Least share of small letters, bytes beyond ASCII and spaces in a text whose lines are joined."""
_MORE_KNOWN = 1.25
"""So many times the line ends that a rule without margins knows are hoped for before lines are joined."""
_FEWEST_LINES = 16
_LINE_ENDS_PARTS, _LINE_ENDS_PART_BYTES = 4, 1200
_TEXT_PER_PART = 24
"""A text is at least so many times as long as a part: small files are not to wait long."""
_CRLF_TOLERANCE = 1.01


def _worth(known: Any, line_ends: int, exceptions: Any) -> Any:
    """Bits, roughly, that the rule saves where it knows so many of all line ends between words."""
    return known * _KNOWN_LINE_END + (line_ends - known) * _UNKNOWN_LINE_END + exceptions * _EXCEPTION


def _find_width(text: bytes) -> tuple[int, int, int]:
    """The width that lines were most likely broken to, how many line ends between words there are, and how many of them
    a rule knows that does not look at margins."""
    broken, lengths = (np.zeros(_WIDEST + 2, np.int64) for _ in range(2))
    line_ends = _native.count_lines(text, broken, lengths)
    known = np.cumsum(broken)
    worth = _worth(known, line_ends, lengths.sum() - np.cumsum(lengths))
    width = _NARROWEST + int(np.argmax(worth[_NARROWEST : _WIDEST + 1]))
    return width, line_ends, int(known[width])


def has_crlf(description: bytes) -> bool:
    """Whether the line ends that are left are CR LF, after :func:`take_out` gave this description."""
    return bool(description[0] & TEXT_CRLF)


def join_lines(text: bytes, width: int, between_sentences: int) -> tuple[bytes, NDArray[np.int64]]:
    """``text`` with the line ends that the rule knows as spaces, and the rule's exceptions."""
    joined, exceptions = _native.join_lines(text, width, between_sentences)
    return joined, np.frombuffer(exceptions, np.int64)


def break_lines(
    text: bytes, width: int, between_sentences: int, exceptions: NDArray[np.int64], most: int
) -> bytes | None:
    """Undo :func:`join_lines`; None where the result would be longer than ``most``."""
    broken: bytes | None = _native.break_lines(text, width, between_sentences, exceptions, most)
    return broken


def _spaces_between_sentences(text: bytes) -> int:
    """2 where most sentences that end within a line are followed by two spaces, else 1."""
    narrow, wide = _native.count_sentences(text)
    return 2 if wide > narrow else 1


def _with_returns(page: bytes, bare_line_ends: NDArray[np.int64]) -> bytes:
    if not bare_line_ends.size:
        return page.replace(b"\n", b"\r\n")
    values = np.frombuffer(page, np.uint8)
    line_ends = np.flatnonzero(values == _NEWLINE)
    if bare_line_ends[-1] >= line_ends.size:
        raise senseless()
    return np.insert(values, np.delete(line_ends, bare_line_ends), _RETURN).tobytes()


def take_out(
    plain: bytes, sample_bits: SampleBits | None, keeps_crlf: bool | None = None
) -> tuple[bytes, list[bytes]] | None:
    """Return a description and the text without those line ends; None where there is nothing worth taking out.

    Args:
        sample_bits: finds the line ends that the model likes better; without it they stay what they are, or are LF
            where lines were joined.
        keeps_crlf: settles that, as models that have read one of them do worse with the other.
    """
    flags = 0
    description = b""
    text = plain
    line_ends = plain.count(b"\n")
    if line_ends < _FEWEST_LINES:
        return None
    crlf_count = plain.count(b"\r\n")
    if line_ends - crlf_count <= crlf_count * _BARE_LINE_ENDS_PER_CRLF:
        flags |= CRLF
        text = plain.replace(b"\r\n", b"\n")
        bare = _bare_line_ends(plain) if line_ends > crlf_count else np.zeros(0, np.int64)
        description += pack_numbers([bare.size]) + pack_places(bare.tolist())
    width, between_words, at_most = _find_width(text)
    if _is_written(text) and _worth(at_most * _MORE_KNOWN, between_words, 0) >= _WORTHWHILE_BITS:
        between_sentences = _spaces_between_sentences(text)
        joined, exceptions = join_lines(text, width, between_sentences)
        known = line_ends - joined.count(b"\n")
        if _worth(known, between_words, len(exceptions)) >= _WORTHWHILE_BITS:
            flags |= REFLOWED | WIDE_SENTENCES * (between_sentences == 2)
            description += pack_numbers([width, exceptions.size]) + pack_places(exceptions.tolist())
            text = joined
    if not flags:
        return None
    if _keeps_crlf(text, flags, sample_bits) if keeps_crlf is None else keeps_crlf:
        if flags == CRLF:
            return None
        flags |= TEXT_CRLF
        text = text.replace(b"\n", b"\r\n")
    return bytes([flags]) + description, [text]


def _is_written(text: bytes) -> bool:
    """Whether a text is words of small letters: tables and genomes are broken to a width too, but contexts that know
    lines do better with them as they are."""
    values = np.bincount(np.frombuffer(text, np.uint8), minlength=256)
    small_letters = values[ord("a") : ord("z") + 1].sum() + values[128:].sum()
    return bool(small_letters + values[ord(" ")] >= _WRITTEN_SHARE * len(text))


def _bare_line_ends(plain: bytes) -> NDArray[np.int64]:
    values = np.frombuffer(plain, np.uint8)
    line_ends = np.flatnonzero(values == _NEWLINE)
    return np.flatnonzero((line_ends == 0) | (values[line_ends - 1] != _RETURN))


def _keeps_crlf(text: bytes, flags: int, sample_bits: SampleBits | None) -> bool:
    """Whether a sample of a text with LF line ends takes hardly more bits with CR LF.

    Hardly more, because after the mixer they cost less than that.
    """
    if not sample_bits:
        return not flags & REFLOWED
    parts = sample(text, _LINE_ENDS_PARTS, min(_LINE_ENDS_PART_BYTES, len(text) // _TEXT_PER_PART + 1))
    return sample_bits([part.replace(b"\n", b"\r\n") for part in parts]) < _CRLF_TOLERANCE * sample_bits(parts)


def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes:
    """Undo :func:`take_out`.

    Raises:
        DamagedError: the description makes no sense, or does not give ``plain_length`` bytes.
    """
    source = Source(description)
    flags = source.byte()
    if not flags & (CRLF | REFLOWED) or flags >= TEXT_CRLF << 1 or len(streams) != 1:
        raise senseless()
    bare_line_ends = _read_places(source, plain_length) if flags & CRLF else np.zeros(0, np.int64)
    page: bytes | None = streams[0]
    if flags & TEXT_CRLF:
        page = streams[0].replace(b"\r\n", b"\n")
    if flags & REFLOWED:
        width = source.number(_WIDEST)
        exceptions = _read_places(source, plain_length)
        between_sentences = 2 if flags & WIDE_SENTENCES else 1
        page = break_lines(page or b"", max(width, 1), between_sentences, exceptions, plain_length)
    source.end()
    if page is None or len(page) > plain_length:
        raise senseless()
    if flags & CRLF:
        page = _with_returns(page, bare_line_ends)
    if len(page) != plain_length:
        raise senseless()
    return page


def _read_places(source: Source, most: int) -> NDArray[np.int64]:
    count = source.number(most)
    gaps = np.array([source.number(most) for _ in range(count)], np.int64)
    return np.cumsum(gaps + 1) - 1
