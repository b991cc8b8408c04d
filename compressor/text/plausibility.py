"""What characters cost to the eye of somebody who knows which go together: tells charsets apart without a model.

Nothing here decides how an archive is read, only which charset is tried.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from llmzip.text.charset_tables import tables_of

KINDS = 32
UNREADABLE, UNREADABLE_IN_CHARSET = 48, 56
"""Quarters of a bit that a byte costs which is no character, in UTF-8 and elsewhere."""
(
    OTHER, _PLAIN, _SMALL, _LARGE, _SMALL_ACCENTED, _LARGE_ACCENTED, _SMALL_CYRILLIC, _LARGE_CYRILLIC, _SMALL_GREEK,
    _LARGE_GREEK, _HEBREW, _ARABIC, _THAI, _SIGN, _BOX, _KANA, _HALF_KANA, _HAN, _HANGUL, _CJK_SIGN, CONTROL,
) = range(21)  # fmt: skip
_COSTS = (72, 20, 18, 26, 30, 40, 20, 32, 20, 32, 24, 24, 24, 40, 20, 24, 38, 42, 36, 26, 80)
"""Quarters of a bit that a character of each kind costs."""
_RARE_HAN, _RAREST_HAN, _FOREIGN = 58, 68, 60
_LATIN = (_SMALL, _LARGE, _SMALL_ACCENTED, _LARGE_ACCENTED)
_SCRIPTS = (_LATIN, (_SMALL_CYRILLIC, _LARGE_CYRILLIC), (_SMALL_GREEK, _LARGE_GREEK), (_HEBREW,), (_ARABIC,), (_THAI,))


@cache
def kinds() -> NDArray[np.uint8]:
    """The kind of every character below 65536."""
    out = np.full(1 << 16, OTHER, np.uint8)
    for first, last, kind in (
        (0x00, 0x1F, CONTROL), (0x20, 0x7E, _PLAIN), (0x7F, 0x9F, CONTROL), (0xA0, 0xBF, _SIGN), (0xD7, 0xD7, _SIGN),
        (0xF7, 0xF7, _SIGN), (0x2010, 0x203A, _SIGN), (0x20AC, 0x20AC, _SIGN), (0x2122, 0x2122, _SIGN),
        (0x2500, 0x25A0, _BOX), (0x3000, 0x303F, _CJK_SIGN), (0x3040, 0x30FF, _KANA), (0xFF00, 0xFF60, _CJK_SIGN),
        (0xFF61, 0xFF9F, _HALF_KANA), (0x4E00, 0x9FFF, _HAN), (0xAC00, 0xD7A3, _HANGUL), (0x5D0, 0x5EA, _HEBREW),
        (0x60C, 0x6FF, _ARABIC), (0xE01, 0xE5B, _THAI),
    ):  # fmt: skip
        out[first : last + 1] = kind
    out[[9, 10, 12, 13, 27]] = _PLAIN
    for first, last, small in ((0x41, 0x7A, _SMALL), (0xC0, 0x24F, _SMALL_ACCENTED), (0x386, 0x3CE, _SMALL_GREEK),
                               (0x400, 0x491, _SMALL_CYRILLIC)):  # fmt: skip
        for point in range(first, last + 1):
            if chr(point).isalpha():
                out[point] = small + chr(point).isupper()
    return out


@cache
def after() -> NDArray[np.uint8]:
    """Quarters of a bit that it costs more when a character of one kind follows one of another ``[before, after]``."""
    out = np.zeros((KINDS, KINDS), np.uint8)
    letters = [kind for script in _SCRIPTS for kind in script]
    for one, other in product(_SCRIPTS, _SCRIPTS):
        for before, then in product(one, other):
            if one != other:
                out[before, then] = 32
            elif before in (_SMALL, _SMALL_ACCENTED, _SMALL_CYRILLIC, _SMALL_GREEK) and then in (
                _LARGE, _LARGE_ACCENTED, _LARGE_CYRILLIC, _LARGE_GREEK,
            ):  # fmt: skip
                out[before, then] = 20
    for letter in letters:
        out[letter, _SIGN] = out[_SIGN, letter] = 8
        out[letter, _BOX] = out[_BOX, letter] = 24
        out[letter, _HALF_KANA] = out[_HALF_KANA, letter] = 16
        out[letter, CONTROL] = out[CONTROL, letter] = 16
    for latin, wide in product(_LATIN, (_KANA, _HAN, _HANGUL)):
        out[latin, wide] = out[wide, latin] = 8
    out[_SIGN, _SIGN] = 12
    out[_PLAIN, _BOX] = 12
    out[_KANA, _HANGUL] = out[_HANGUL, _KANA] = 40
    return out


@cache
def costs(charset: str | None) -> NDArray[np.uint8]:
    """What every character below 65536 costs by itself in text of a charset, None for UTF-8."""
    out = np.array([*_COSTS, *[255] * (KINDS - len(_COSTS))], np.uint8)[kinds()]
    codes = None if charset is None else tables_of(charset)[4]
    if codes is None:
        return out
    lead, trail = (codes >> 8) & 0xFF, codes & 0xFF
    two, kind = (codes >= 0x8000) & (codes < 0x10000), kinds()
    han, foreign = kind == _HAN, (kind == _HANGUL) | (kind == _KANA)
    if charset in ("cp932", "euc_jp"):
        level_1 = (lead < 0x98) if charset == "cp932" else (lead <= 0xCF)
        out[han] = _RARE_HAN
        out[han & two & level_1] = _COSTS[_HAN]
    if charset in ("gb18030", "cp950"):
        level_1 = (lead >= 0xB0) & (lead <= 0xD7) & (trail >= 0xA1) if charset == "gb18030" else lead <= 0xC6
        level_2 = (lead >= 0xD8) & (lead <= 0xF7) & (trail >= 0xA1) if charset == "gb18030" else lead > 0xC6
        out[han] = _RAREST_HAN
        out[han & two & level_2] = _RARE_HAN
        out[han & two & level_1] = _COSTS[_HAN]
        out[foreign] = _FOREIGN
    if charset == "cp949":
        common = (lead >= 0xB0) & (lead <= 0xC8) & (trail >= 0xA1)
        out[han | (foreign & ~(two & common))] = _FOREIGN
    return out
