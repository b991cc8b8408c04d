"""The characters of charsets, pinned for ever in data/charsets.bin: codecs of other Pythons may know more."""

from __future__ import annotations

import lzma
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

UTF_16 = ("utf-16-le", "utf-16-be")
ONE_BYTE = (
    "cp1252", "cp1250", "cp1251", "koi8-r", "koi8-u", "cp437", "cp850", "cp852", "cp866", "cp1253", "cp1254", "cp1255",
    "cp1256", "cp1257", "cp874", "iso8859-2", "iso8859-5", "mac-roman", "cp037",
)  # fmt: skip
TWO_BYTES = ("cp932", "euc_jp", "cp949", "gb18030", "cp950")
CHARSETS = (*UTF_16, *ONE_BYTE, *TWO_BYTES, "cesu-8")
"""Names; a description has the place in this list."""
NOTHING = 0xFFFF
GRID_LEADS, GRID_TRAILS = range(0x81, 0xFF), range(0x40, 0xFF)
GB_FOUR = 50400
"""Codes of four bytes before those of supplementary characters."""
_NO_CODE = 0xFFFFFFFF
_GRID = (len(GRID_LEADS), len(GRID_TRAILS))
TABLES = (
    *((charset, "one") for charset in (*ONE_BYTE, *TWO_BYTES)),
    *((charset, "two") for charset in TWO_BYTES),
    ("euc_jp", "three"),
    ("gb18030", "four"),
)
"""What stands in data/charsets.bin, one after the other."""
_SIZES = {"one": 256, "two": _GRID[0] * _GRID[1], "three": _GRID[0] * _GRID[1], "four": GB_FOUR}
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]

Tables = tuple[
    NDArray[np.uint16] | None, NDArray[np.uint16] | None, NDArray[np.uint16] | None, NDArray[np.uint16] | None,
    NDArray[np.uint32] | None, bool,
]  # fmt: skip
"""What the core takes: characters of codes of one byte uint16 ``[256]``, of two and, after 0x8F, three ``[65536]``, of
four ``[GB_FOUR]``; codes of characters uint32 ``[65536]``; whether it is CESU-8, which needs none of them."""


def pack_tables(tables: list[NDArray[np.uint16]]) -> bytes:
    """Differences between neighbours, low bytes and high bytes apart, as XZ."""
    differences = np.diff(np.concatenate(tables), prepend=np.uint16(0)).astype("<u2").view(np.uint8).reshape(-1, 2)
    return lzma.compress(differences.T.tobytes(), lzma.FORMAT_XZ, filters=_FILTERS)


def unpack_tables(packed: bytes) -> list[NDArray[np.uint16]]:
    """Undo :func:`pack_tables`."""
    low_high = np.frombuffer(lzma.decompress(packed), np.uint8).reshape(2, -1)
    values = np.cumsum(low_high[0] + (low_high[1].astype(np.uint16) << 8), dtype=np.uint16)
    ends = np.cumsum([_SIZES[kind] for _, kind in TABLES])
    return np.split(values, ends[:-1])


@cache
def _all_tables() -> dict[tuple[str, str], NDArray[np.uint16]]:
    packed = (files("llmzip") / "data" / "charsets.bin").read_bytes()
    return dict(zip(TABLES, unpack_tables(packed), strict=True))


def _spread(grid: NDArray[np.uint16] | None) -> NDArray[np.uint16] | None:
    if grid is None:
        return None
    spread = np.zeros((256, 256), np.uint16)
    spread[GRID_LEADS.start : GRID_LEADS.stop, GRID_TRAILS.start : GRID_TRAILS.stop] = grid.reshape(_GRID)
    return spread.reshape(-1)


def _four_byte_codes() -> NDArray[np.uint32]:
    place = np.arange(GB_FOUR, dtype=np.uint32)
    first, second, third, fourth = place // 12600, place // 1260 % 10, place // 10 % 126, place % 10
    return 0x81308130 + (first << 24) + (second << 16) + (third << 8) + fourth


@cache
def tables_of(charset: str) -> Tables:
    """The tables of one of :data:`CHARSETS` but UTF-16."""
    if charset == "cesu-8":
        return None, None, None, None, None, True
    known = _all_tables()
    one, four = known[charset, "one"].copy(), known.get((charset, "four"))
    two, three = _spread(known.get((charset, "two"))), _spread(known.get((charset, "three")))
    codes = np.full(1 << 16, _NO_CODE, np.uint32)
    if four is not None:
        codes[four[four > 0]] = _four_byte_codes()[four > 0]
    if three is not None:
        found = np.flatnonzero(three)
        codes[three[found]] = (0x8F << 16 | found).astype(np.uint32)
    if two is not None:
        found = np.flatnonzero(two)
        codes[two[found]] = found.astype(np.uint32)
    bytes_there = np.flatnonzero(one != NOTHING)
    codes[one[bytes_there]] = bytes_there.astype(np.uint32)
    return one, two, three, None if four is None else four.copy(), codes, False
