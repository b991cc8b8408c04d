"""Sections of an end record: where reading may begin, and where records do. docs/format.md describes them.

They help whoever reads from the middle, and decide no byte: what they say is checked where it is used.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from llmzip.errors import DamagedError, TruncatedError
from llmzip.format.reader import Reader
from llmzip.format.varint import pack_varint, unpack_varints

GROUPS, RECORDS, KEYS = 1, 2, 3
KEY_BITS = 6
"""Of a key, beside those that tell the keys of one mark apart: one mark in 2^6 seems to have a key that it has not."""
_MOST_KEY_BITS = 16
_MOST_KEY_RANGE = 1 << 32
_MOST_SUM = float(1 << 62)


def pack_sections(sections: dict[int, bytes]) -> bytes:
    """Sections by their ids, without those that are empty."""
    return b"".join(
        pack_varint(number) + pack_varint(len(content)) + content
        for number, content in sorted(sections.items())
        if content
    )


def parse_sections(data: bytes) -> dict[int, bytes]:
    """Undo :func:`pack_sections`.

    Raises:
        DamagedError: they are cut off, out of order, or one is there twice.
    """
    reader, sections, last = Reader(data), {}, -1
    try:
        while reader.position < len(data):
            number = reader.read_varint(1 << 62)
            content = reader.read(reader.read_varint(len(data)))
            if number <= last:
                raise DamagedError("the sections of an end record are out of order")
            sections[number] = content
            last = number
    except TruncatedError as error:
        raise DamagedError("a section of an end record is cut off") from error
    return sections


def pack_groups(firsts: Sequence[int]) -> bytes:
    """The section of groups that begin with these blocks, counted from 0; the first is 0."""
    return b"".join(pack_varint(after - before) for before, after in itertools.pairwise(firsts))


def parse_groups(data: bytes, blocks: int) -> NDArray[np.int64]:
    """Undo :func:`pack_groups` for a member of so many blocks.

    Raises:
        DamagedError: it makes no sense.
    """
    sizes = _sizes(unpack_varints(data))
    if sizes.size and (sizes.min() < 1 or sizes.sum() >= blocks):
        raise DamagedError("the index of groups makes no sense")
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


class RecordIndex(NamedTuple):
    """Where records of a member begin, as far as the file says: some places, the marks, of which the first is that of
    the first record.

    Attributes:
        kind: number of the rule that tells the others.
        places: int64 ``[marks]``, plain bytes of the member before each mark, ascending.
        firsts: int64 ``[marks + 1]``, the number of the record at each mark, and of all records.
    """

    kind: int
    places: NDArray[np.int64]
    firsts: NDArray[np.int64]


def pack_records(kind: int, places: Sequence[int], counts: Sequence[int]) -> bytes:
    """The section of records.

    Args:
        places: of the marks.
        counts: records from each mark to the next.
    """
    gaps = (place - before for before, place in zip((0, *places), places, strict=False))
    pairs = zip(gaps, counts, strict=True)
    return bytes([kind]) + b"".join(pack_varint(gap) + pack_varint(count) for gap, count in pairs)


def parse_records(data: bytes, plain_bytes: int) -> RecordIndex:
    """Undo :func:`pack_records` for a member of so many plain bytes.

    Raises:
        DamagedError: it makes no sense.
    """
    numbers = _sizes(unpack_varints(data[1:]))
    if not data or numbers.size % 2:
        raise DamagedError("the index of records is cut off")
    gaps, counts = numbers[::2], numbers[1::2]
    places = np.cumsum(gaps)
    spans = np.diff(np.append(places, plain_bytes))
    if (spans < 1).any() or (counts < 1).any() or (counts > spans).any():
        raise DamagedError("the index of records makes no sense")
    return RecordIndex(data[0], places, np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]))


class KeyIndex:
    """Which marks may have a record with a key. There are no misses; one in 2^bits is a false alarm.

    Attributes:
        field: what the key is called in a record.
    """

    def __init__(self, field: str, bits: int, values: list[NDArray[np.int64]]) -> None:
        self.field = field
        self._bits = bits
        self._values = values

    def marks_of(self, key: bytes) -> list[int]:
        """Numbers of the marks that may have it."""
        hashed = hash_key(key)
        found = []
        for mark, values in enumerate(self._values):
            value = hashed * (values.size << self._bits) >> 32
            at = int(np.searchsorted(values, value))
            if at < values.size and values[at] == value:
                found.append(mark)
        return found


def hash_key(key: bytes) -> int:
    """32 bits."""
    return xxhash.xxh3_64_intdigest(key) >> 32


def pack_keys(field: str, hashes: Iterable[NDArray[np.int64]]) -> bytes:
    """The section of keys.

    Args:
        hashes: of the keys of each mark's records.
    """
    name = field.encode()
    out = [pack_varint(len(name)), name, bytes([KEY_BITS])]
    for mark_hashes in hashes:
        count = len(mark_hashes)
        values = np.sort(mark_hashes.astype(np.uint64) * np.uint64(count << KEY_BITS) >> np.uint64(32)).astype(np.int64)
        high = np.zeros(2 * count, np.uint8)
        high[(values >> KEY_BITS) + np.arange(count)] = 1
        low = (values[:, None] >> np.arange(KEY_BITS) & 1).astype(np.uint8)
        out += [pack_varint(count), _packed(high), _packed(low.ravel())]
    return b"".join(out)


def parse_keys(data: bytes, records: RecordIndex) -> KeyIndex:
    """Undo :func:`pack_keys`.

    Raises:
        DamagedError: it makes no sense.
    """
    reader = Reader(data)
    try:
        field = reader.read(reader.read_varint(len(data))).decode(errors="replace")
        bits = reader.read(1)[0]
        if not 1 <= bits <= _MOST_KEY_BITS:
            raise DamagedError("the index of keys makes no sense")
        values = []
        for most in np.diff(records.firsts).tolist():
            count = reader.read_varint(most)
            if count << bits > _MOST_KEY_RANGE:
                raise DamagedError("the index of keys makes no sense")
            ones = np.flatnonzero(_unpacked(reader.read(-(-2 * count // 8)), 2 * count))
            low = _unpacked(reader.read(-(-bits * count // 8)), bits * count).reshape(count, bits)
            if ones.size != count:
                raise DamagedError("the index of keys makes no sense")
            values.append((ones - np.arange(count) << bits) + (low.astype(np.int64) << np.arange(bits)).sum(1))
        if reader.position < len(data):
            raise DamagedError("the index of keys makes no sense")
    except TruncatedError as error:
        raise DamagedError("the index of keys is cut off") from error
    return KeyIndex(field, bits, values)


def _sizes(numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Numbers whose sum is one of 63 bits.

    Raises:
        DamagedError: it is not.
    """
    if numbers.sum(dtype=np.float64) > _MOST_SUM:
        raise DamagedError("a number in the file is out of range")
    return numbers.astype(np.int64)


def _packed(bits: NDArray[np.uint8]) -> bytes:
    return np.packbits(bits, bitorder="little").tobytes()


def _unpacked(data: bytes, count: int) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count, bitorder="little")
