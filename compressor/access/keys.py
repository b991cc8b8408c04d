"""The key of a record: what it has under a name."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable

from llmzip.errors import NoKeyError
from llmzip.format.record_kinds import DELIMITERS, KINDS_WITH_HEADERS, RecordKind

Extract = Callable[[bytes], "bytes | None"]
"""Gives a record's key; None where it has none."""
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_CELLS = {
    delimiter: re.compile(rf'(?:"((?:[^"]++|"")*+)"?)?([^{re.escape(delimiter)}]*)')
    for delimiter in map(bytes.decode, DELIMITERS)
}
"""A cell by delimiter: its quoted part, and what comes after that or is not quoted."""
_FOLD = re.compile(rb"\r?\n(?=[ \t])\s+")


def extractor(kind: RecordKind, name: str, head: bytes) -> Extract:
    """What gives the keys of this name.

    Args:
        head: what comes before the first record.

    Raises:
        NoKeyError: records of this kind have no keys, or not this one.
    """
    if kind is RecordKind.JSONL:
        return lambda record: _member(record, name)
    if kind is RecordKind.CSV:
        delimiter = max(DELIMITERS, key=head.count).decode()
        columns = _row(head, delimiter)
        if name not in columns:
            raise NoKeyError(f"there is no column {name!r}; there are {', '.join(map(repr, columns))}")
        place = columns.index(name)
        return lambda record: _field(record, delimiter, place)
    if kind in KINDS_WITH_HEADERS:
        line = re.compile(rb"^%s:(.*(?:\r?\n[ \t].*)*)" % re.escape(name.encode()), re.IGNORECASE | re.MULTILINE)
        return lambda record: _header_field(record, line)
    raise NoKeyError(f"records of the kind {kind.name.lower()} have no keys")


def same_field(kind: RecordKind, name: str, other: str) -> bool:
    """Whether two names mean one field: those of header fields do whatever the case of their ASCII letters."""
    if kind in KINDS_WITH_HEADERS:
        return name.encode().lower() == other.encode().lower()
    return name == other


def _member(record: bytes, name: str) -> bytes | None:
    try:
        value = json.loads(record, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    value = value.get(name) if isinstance(value, dict) else None
    if value is True or value is False:
        value = str(value).lower()
    return value.encode(errors="surrogatepass").strip() if isinstance(value, str) else None


def _row(record: bytes, delimiter: str) -> list[str]:
    """Cells of a row, as the module ``csv`` has them, but of any length, and with CR inside them."""
    text = record.decode(errors="replace").removeprefix("\ufeff")
    if not text.strip("\r\n"):
        return []
    cells, end = [], -1
    while end < len(text):
        found = _CELLS[delimiter].match(text, end + 1)
        assert found is not None  # every text begins with a cell, which may be empty
        quoted, rest = found[1] or "", found[2]
        cells.append((quoted.replace('""', '"') + rest).strip(string.whitespace))
        end = found.end()
    return cells


def _field(record: bytes, delimiter: str, place: int) -> bytes | None:
    row = _row(record, delimiter)
    return row[place].encode() if place < len(row) else None


def _header_field(record: bytes, line: re.Pattern[bytes]) -> bytes | None:
    end = _EMPTY_LINE.search(record)
    found = line.search(record, 0, end.start() + 1 if end else len(record))
    return _FOLD.sub(b" ", found[1]).strip() if found else None
