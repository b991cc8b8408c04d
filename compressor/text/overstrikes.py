"""Bold and underlined text of printing terminals (old manuals): strikes become marks where they begin and end."""

from __future__ import annotations

from llmzip.core import _native
from llmzip.text.description import Source, senseless
from llmzip.text.samples import SampleBits

_FEWEST_BACKSPACES = 24
_MOST_TIMES = 4
"""Some terminals struck bold letters so many times more."""
_UNDERLINE_AFTER = 16
_MARKS = tuple(set(range(1, 32)) - set(b"\b\t\n\f\r\x1b"))
_LEFT_OVER = 0.1
"""Share of backspaces that may be something else."""


def take_out(plain: bytes, sample_bits: SampleBits | None) -> tuple[bytes, list[bytes]] | None:
    """Return a description and the text with marks; None where nothing, or much else, is struck over."""
    backspaces = plain.count(b"\b")
    if backspaces < _FEWEST_BACKSPACES:
        return None
    free = [mark for mark in _MARKS if mark not in plain]
    if len(free) < 2:
        return None
    ways = ((times, after) for times in range(1, _MOST_TIMES + 1) for after in (False, True))
    texts = ((_native.take_strikes(plain, *free[:2], times, after), times, after) for times, after in ways)
    text, times, after = min(texts, key=lambda found: len(found[0]))
    if text.count(b"\b") > _LEFT_OVER * backspaces:
        return None
    description = bytes([times | _UNDERLINE_AFTER * after, *free[:2]])
    return description, [text]


def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes:
    """Undo :func:`take_out`.

    Raises:
        DamagedError: the description makes no sense, or does not give ``plain_length`` bytes.
    """
    source = Source(description)
    flags, bold, underline = source.take(3)
    source.end()
    times, after = flags % _UNDERLINE_AFTER, bool(flags & _UNDERLINE_AFTER)
    if (
        len(streams) != 1
        or flags >= 2 * _UNDERLINE_AFTER
        or not times
        or max(bold, underline) > 127
        or bold == underline
    ):
        raise senseless()
    plain: bytes | None = _native.put_strikes(streams[0], bold, underline, times, after, plain_length)
    if plain is None or len(plain) != plain_length:
        raise senseless()
    return plain
