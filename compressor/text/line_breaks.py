"""The layout of a text, taken out before it is coded: its charset, its kind of line ends, lines broken to a width.

A language model reads a broken paragraph worse than a whole one, and where its lines end is known without the model:
before the first word that does not fit. So such a line end becomes a space, and what does not follow the rule is
listed. The rule knows margins (indentation, quote and comment marks) and two spaces between sentences. What line ends
are left then, and those of a text with CR LF, are CR LF or LF alone as the model likes better.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmzip.mixing.bit_models import clip
from llmzip.text.charsets import CHARSETS, SampleBits, find_charset, from_utf8, sample
from llmzip.network.compilation import compiled
from llmzip.format.container import MAX_BLOCK_BYTES, Reader, pack_varint
from llmzip.errors import LlmzError

CRLF, REFLOWED, WIDE_SENTENCES, TEXT_CRLF, CHARSET = 1, 2, 4, 8, 16
"""Bits of a layout's first byte: line ends are CR LF; lines are broken to a width; sentences stand two spaces apart;
line ends of the text without its layout are CR LF; the text is not UTF-8."""
_NEWLINE, _RETURN, _SPACE = 10, 13, 32
_NARROWEST, _WIDEST = 20, 250
_BARE_LINE_ENDS_PER_CRLF = 1 / 16
"""Line ends without CR are listed; with more of them the text stays as it is."""
_KNOWN_LINE_END, _UNKNOWN_LINE_END, _EXCEPTION = 4, -5, -16
"""Bits, roughly, that a line end saves which the rule knows; that one costs more which it does not, as it stands in a
text with fewer of them; and that an exception takes. docs/experiments.md has the texts that they were read off."""
_WORTHWHILE_BITS = 120
_FEWEST_LINES = 16
LONGEST_TEXT = 4
"""A text without its layout has at most so many times the bytes that it has with it."""
_LINE_ENDS_PARTS, _LINE_ENDS_PART_BYTES = 4, 1200
_TEXT_PER_PART = 24
"""A text is at least so many times as long as a part: small files are not to wait long."""
_CRLF_TOLERANCE = 1.01
_ROOM = 8
_MARGINS_REMEMBERED = 64


@compiled
def _is_margin(byte):
    """Spaces, tabs, and the marks of quotes and comments: ``> # * /``."""
    return byte == 32 or byte == 9 or byte == 62 or byte == 35 or byte == 42 or byte == 47


@compiled
def _margin_length(page, start):
    length = 0
    while start + length < page.size and _is_margin(page[start + length]):
        length += 1
    return length


@compiled
def _word_length(text, start, most):
    """Characters of the word that begins at ``start``, counted to ``most``; UTF-8 continuation bytes are none."""
    length = 0
    while start < text.size and text[start] != _SPACE and text[start] != _NEWLINE and length < most:
        length += 1 if text[start] & 0xC0 != 0x80 else 0
        start += 1
    return length


@compiled
def _spaces_behind(page, end, between_sentences):
    """Spaces that belong behind ``page[:end]`` where a word follows in the same line."""
    last, before = page[end - 1], page[end - 2] if end > 1 else 0
    if last == 34 or last == 39 or last == 41 or last == 93:  # " ' ) ]
        last = before
    return between_sentences if last == 46 or last == 63 or last == 33 or last == 58 else 1  # . ? ! :


@compiled
def _kind_of_line(margin, byte):
    """Lines of one kind are likely to go on at the same margin: by their own, and whether a digit or a dash begins."""
    mark = 1 if 48 <= byte <= 57 else 2 if byte == 45 or byte == 43 else 3 if byte >= 0xC0 else 0
    return min(margin, _MARGINS_REMEMBERED // 4 - 1) * 4 + mark


@compiled
def _reflow(text, width, between_sentences, restoring, exceptions, margins, out):
    """Join broken lines of ``text`` into ``out`` or, ``restoring``, break them again.

    Both ways follow the page, the text with its line ends, from the start, and know the same of it at every place.

    Args:
        exceptions: int64, places where the rule breaks a line and the text does not, as the number of breaks of the
            rule before each: written, or read when restoring.
        margins: int64 ``[_MARGINS_REMEMBERED, 2]``, scratch: where on the page the margin stands at which the last line
            of each kind went on, and its length.

    Returns:
        The length of ``out`` (-1 when it is too small) and the number of exceptions.
    """
    page = out if restoring else text
    margins[:, 0] = -1
    read = written = column = breaks = excepted = 0
    margin_start = margin_length = 0  # of a line behind a line end of the text
    next_start = next_length = 0  # where the rule goes on
    kind, kind_waiting = 0, -1
    in_margin, first, too_long = True, True, False
    while read < text.size:
        if written + 2 >= out.size:
            return -1, excepted
        byte = np.int64(text[read])
        at = written if restoring else read
        if byte == _NEWLINE:
            if not restoring and not in_margin and not too_long and page[at - 1] != _SPACE:
                found = _margin_length(text, read + 1)
                same = found == next_length
                for i in range(found if same else 0):
                    same = same and text[read + 1 + i] == page[next_start + i]
                spaces = _spaces_behind(page, at, between_sentences)
                word = _word_length(text, read + 1 + found, width + 1)
                if same and word > 0 and column + spaces + word > width:
                    for _ in range(spaces):
                        out[written] = _SPACE
                        written += 1
                    next_start, next_length = read + 1, found
                    read += 1 + found
                    column = found
                    breaks += 1
                    first = False
                    continue
            out[written] = byte
            written += 1
            read += 1
            kind_waiting = kind if first and not in_margin else -1
            margin_start, margin_length, column = at + 1, 0, 0
            in_margin, first, too_long = True, True, False
            continue
        if in_margin:
            if _is_margin(byte):
                out[written] = byte
                written += 1
                read += 1
                margin_length += 1
                column += 1
                continue
            in_margin = False
            if kind_waiting >= 0:
                margins[kind_waiting, 0], margins[kind_waiting, 1] = margin_start, margin_length
            kind = _kind_of_line(margin_length, byte)
            next_start, next_length = margin_start, margin_length
            if margins[kind, 0] >= 0:
                next_start, next_length = margins[kind, 0], margins[kind, 1]
        if byte == _SPACE:
            spaces = 1
            while read + spaces < text.size and text[read + spaces] == _SPACE:
                spaces += 1
            word = _word_length(text, read + spaces, width + 1)
            expected = _spaces_behind(page, at, between_sentences)
            if not too_long and spaces == expected and word > 0 and column + spaces + word > width:
                exception = not restoring
                if restoring and excepted < exceptions.size:
                    exception = exceptions[excepted] == breaks
                if exception:
                    if not restoring:
                        exceptions[excepted] = breaks
                    excepted += 1
                    too_long = True
                breaks += 1
                if not exception:
                    if written + 1 + next_length >= out.size:
                        return -1, excepted
                    out[written] = _NEWLINE
                    for i in range(next_length):
                        out[written + 1 + i] = page[next_start + i]
                    next_start = written + 1
                    written += 1 + next_length
                    read += spaces
                    column = next_length
                    first = False
                    continue
            if written + spaces >= out.size:
                return -1, excepted
            for _ in range(spaces):
                out[written] = _SPACE
                written += 1
            read += spaces
            column += spaces
            continue
        out[written] = byte
        written += 1
        read += 1
        column += 1 if byte & 0xC0 != 0x80 else 0
    return written, excepted


@compiled
def _count_lines(text, broken, lengths):
    """Count lines by length in ``lengths``; add to ``broken`` how many more line ends a rule of each width knows than
    one of the width before. Returns the number of line ends between words: a rule knows those that leave a line short
    of its width, where the next line's first word would make it too long."""
    column = between_words = 0
    widest = lengths.size - 1
    for at in range(text.size + 1):
        if at < text.size and text[at] != _NEWLINE:
            column += 1 if text[at] & 0xC0 != 0x80 else 0
            continue
        if column > 0:
            lengths[clip(column, 0, widest)] += 1
            margin = _margin_length(text, at + 1)
            word = _word_length(text, at + 1 + margin, widest)
            between_words += word > 0
            if word > 0 and column < widest:
                broken[column] += 1
                broken[clip(column + 1 + word, 0, widest)] -= 1
        column = 0
    return between_words


def _worth(known: Any, line_ends: int, exceptions: Any) -> Any:
    """Bits, roughly, that the rule saves where it knows so many of all line ends between words."""
    return known * _KNOWN_LINE_END + (line_ends - known) * _UNKNOWN_LINE_END + exceptions * _EXCEPTION


def _find_width(text: NDArray[np.uint8]) -> tuple[int, int]:
    """The width that lines were most likely broken to, and how many line ends between words there are."""
    broken, lengths = (np.zeros(_WIDEST + 2, np.int64) for _ in range(2))
    line_ends = int(_count_lines(text, broken, lengths))
    worth = _worth(np.cumsum(broken), line_ends, lengths.sum() - np.cumsum(lengths))
    return _NARROWEST + int(np.argmax(worth[_NARROWEST : _WIDEST + 1])), line_ends


def _join_lines(text: NDArray[np.uint8], width: int, between_sentences: int) -> tuple[NDArray[np.uint8], NDArray]:
    """``text`` with the line ends that the rule knows as spaces, and the rule's exceptions."""
    line_ends = int((text == _NEWLINE).sum())
    joined = np.empty(text.size + line_ends + _ROOM, np.uint8)
    exceptions = np.empty(line_ends + 1, np.int64)
    margins = np.empty((_MARGINS_REMEMBERED, 2), np.int64)
    length, excepted = _reflow(text, width, between_sentences, False, exceptions, margins, joined)
    return joined[:length], exceptions[:excepted]


def _break_lines(
    text: NDArray[np.uint8], width: int, between_sentences: int, exceptions: NDArray[np.int64], length: int
) -> NDArray[np.uint8]:
    """Undo :func:`_join_lines`; no bytes where the result would be longer than ``length``."""
    broken = np.empty(length + _ROOM, np.uint8)
    margins = np.empty((_MARGINS_REMEMBERED, 2), np.int64)
    return broken[: max(0, _reflow(text, width, between_sentences, True, exceptions, margins, broken)[0])]


def _pack_places(places: NDArray[np.int64]) -> bytes:
    """Ascending numbers as their count and the gaps between them."""
    gaps = np.diff(places, prepend=-1) - 1
    return pack_varint(len(places)) + b"".join(pack_varint(int(gap)) for gap in gaps)


def _read_places(reader: Reader) -> NDArray[np.int64]:
    gaps = [reader.read_varint(MAX_BLOCK_BYTES) for _ in range(reader.read_varint(MAX_BLOCK_BYTES))]
    return np.cumsum(np.array(gaps, np.int64) + 1) - 1


def _spaces_between_sentences(text: bytes) -> int:
    """2 where most sentences that end within a line are followed by two spaces, else 1."""
    wide, narrow = (len(re.findall(rb"[.?!]" + spaces + rb"[A-Z]", text)) for spaces in (rb"  ", rb" "))
    return 2 if wide > narrow else 1


class Layout(NamedTuple):
    """What is stored of a layout."""

    flags: int
    bare_line_ends: NDArray[np.int64]
    """Which line ends, counted from 0, are no CR LF where the others are."""
    width: int
    exceptions: NDArray[np.int64]
    """Places where the rule breaks a line and the text does not, as the number of its breaks before."""
    charset: int
    """Place in :data:`llmzip.text.charsets.CHARSETS`."""

    def to_bytes(self) -> bytes:
        out = bytes([self.flags])
        if self.flags & CRLF:
            out += _pack_places(self.bare_line_ends)
        if self.flags & REFLOWED:
            out += pack_varint(self.width) + _pack_places(self.exceptions)
        return out + bytes([self.charset]) if self.flags & CHARSET else out

    def put_back(self, text: bytes, plain_length: int) -> bytes:
        """Undo :func:`take_out_layout`.

        Raises:
            LlmzError: the result would not be ``plain_length`` bytes long.
        """
        page = np.frombuffer(bytearray(text), np.uint8)
        if self.flags & TEXT_CRLF:
            page = np.delete(page, np.flatnonzero(page == _NEWLINE) - 1)
        if self.flags & REFLOWED:
            between_sentences = 2 if self.flags & WIDE_SENTENCES else 1
            longest = LONGEST_TEXT * plain_length
            page = _break_lines(page, self.width, between_sentences, self.exceptions, longest)
        if self.flags & CRLF:
            page = _with_returns(page, self.bare_line_ends)
        try:
            plain = from_utf8(page.tobytes(), self.charset) if self.flags & CHARSET else page.tobytes()
        except ValueError:
            plain = b""
        if len(plain) != plain_length:
            raise LlmzError("a block's layout does not fit its text")
        return plain


def _with_returns(page: NDArray[np.uint8], bare_line_ends: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.insert(page, np.delete(np.flatnonzero(page == _NEWLINE), bare_line_ends), _RETURN)


def read_layout(reader: Reader) -> Layout:
    """Read what :meth:`Layout.to_bytes` gave.

    Raises:
        LlmzError: it makes no sense.
    """
    flags = reader.read(1)[0]
    if not flags or flags & ~(CRLF | REFLOWED | WIDE_SENTENCES | TEXT_CRLF | CHARSET):
        raise LlmzError("a block's layout makes no sense")
    none = np.zeros(0, np.int64)
    bare_line_ends = _read_places(reader) if flags & CRLF else none
    width = reader.read_varint(_WIDEST) if flags & REFLOWED else 0
    exceptions = _read_places(reader) if flags & REFLOWED else none
    charset = reader.read_varint(len(CHARSETS) - 1) if flags & CHARSET else 0
    return Layout(flags, bare_line_ends, width, exceptions, charset)


def take_out_layout(plain: bytes, sample_bits: SampleBits | None = None) -> tuple[Layout, bytes] | None:
    """Return a layout and the text without it, or None where there is no layout worth taking out.

    Args:
        sample_bits: finds charsets other than UTF-16, and the line ends that the model likes better; without it line
            ends stay what they are, or are LF where lines were joined.
    """
    flags = width = 0
    bare_line_ends = exceptions = np.zeros(0, np.int64)
    charset, in_utf8 = find_charset(plain, sample_bits) or (None, plain)
    if charset is not None:
        flags |= CHARSET
    text = np.frombuffer(bytearray(in_utf8), np.uint8)
    line_ends = np.flatnonzero(text == _NEWLINE)
    if line_ends.size >= _FEWEST_LINES:
        behind_return = (line_ends > 0) & (text[line_ends - 1] == _RETURN)
        crlf_count = int(behind_return.sum())
        if line_ends.size - crlf_count <= crlf_count * _BARE_LINE_ENDS_PER_CRLF:
            flags |= CRLF
            bare_line_ends = np.flatnonzero(~behind_return)
            text = np.delete(text, line_ends[behind_return] - 1)
        found_width, between_words = _find_width(text)
        between_sentences = _spaces_between_sentences(text.tobytes())
        joined, breaks = _join_lines(text, found_width, between_sentences)
        known = line_ends.size - int((joined == _NEWLINE).sum())
        if _worth(known, between_words, len(breaks)) >= _WORTHWHILE_BITS:
            flags |= REFLOWED | WIDE_SENTENCES * (between_sentences == 2)
            width, exceptions, text = found_width, breaks, joined
        if flags & (CRLF | REFLOWED) and _keeps_crlf(text.tobytes(), flags, sample_bits):
            if flags == CRLF:
                return None
            flags |= TEXT_CRLF
            text = _with_returns(text, np.zeros(0, np.int64))
    if not flags or text.size > LONGEST_TEXT * len(plain):
        return None
    return Layout(flags, bare_line_ends, width, exceptions, charset or 0), text.tobytes()


def _keeps_crlf(text: bytes, flags: int, sample_bits: SampleBits | None) -> bool:
    """Whether a sample of a text with LF line ends takes hardly more bits with CR LF.

    Hardly more, because behind the mixer they cost less than that.
    """
    if not sample_bits:
        return not flags & REFLOWED
    parts = sample(text, _LINE_ENDS_PARTS, min(_LINE_ENDS_PART_BYTES, len(text) // _TEXT_PER_PART + 1))
    return sample_bits([part.replace(b"\n", b"\r\n") for part in parts]) < _CRLF_TOLERANCE * sample_bits(parts)
