"""Plain bytes of a file from any place on."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, cast

from llmzip.blocks.repeats import MAX_DISTANCE
from llmzip.format.layout import MemberLayout, find_layout
from llmzip.format.reader import Reader
from llmzip.format.sections import GROUPS, parse_groups, parse_sections
from llmzip.member_decoder import Entry, MemberDecoder
from llmzip.progress import SILENT, Progress
from llmzip.settings import ReadSettings
from llmzip.transfer import WholeReader

_MOST_DEPTH = 8
"""Copies of copies of copies."""
_LOOK_BYTES = 128
"""What each look at a block counts beside its plain bytes: neither many looks nor many small blocks are free."""


class Place(NamedTuple):
    """Where decoding may begin.

    Attributes:
        plain_place: plain bytes of the file before it.
    """

    member: int
    block: int
    plain_place: int


class BlockMap:
    """Where reading may begin in a file that can seek.

    Attributes:
        members: those that are not empty.
        plain_starts: plain bytes of the file before each member, and all of them.

    Args:
        start: the file's first byte in ``source``, whose position is moved.

    Raises:
        LlmzError: as for :func:`llmzip.format.layout.find_layout`.
    """

    def __init__(self, source: BinaryIO, start: int, settings: ReadSettings) -> None:
        self._source = source
        self._settings = settings
        self.members = find_layout(source, start, settings.memory_bytes)
        self.plain_starts = array("Q", [0])
        for member in self.members:
            self.plain_starts.append(self.plain_starts[-1] + member.plain_bytes)
        self._groups = [_groups(member) for member in self.members]

    @property
    def plain_bytes(self) -> int:
        return self.plain_starts[-1]

    def place_before(self, position: int) -> Place:
        """The last place that is not behind a plain byte, which there must be."""
        member = bisect_right(self.plain_starts, position) - 1
        start, places = self.plain_starts[member], self.members[member].plain_places
        block = bisect_right(places, position - start) - 1
        first = self._first_of_group(member, block)
        return Place(member, first, start + places[first])

    def blocks_from(self, place: Place, progress: Progress) -> Generator[bytes]:
        """Yield the plain bytes from a place on, block by block, each once its checksum has been verified.

        Raises:
            LlmzError: as for :func:`llmzip.streams.iterate_plain`.
        """
        member, block, _ = place
        while member < len(self.members):
            yield from self._member_from(member, block, progress)
            member, block = member + 1, 0

    def _member_from(self, member: int, block: int, progress: Progress) -> Generator[bytes]:
        layout = self.members[member]
        decoder = self._decoder(member, block, progress, _Before(self, member, _Found()))
        for number in range(block, layout.blocks):
            try:
                yield decoder.next_plain() or b""
            except _TooFar:  # all of the text before, at hand, costs less
                decoder = self._decoder(member, 0, progress, None)
                for _ in range(number):
                    decoder.next_plain()
                yield decoder.next_plain() or b""

    def _decoder(self, member: int, block: int, progress: Progress, before: _Before | None) -> MemberDecoder:
        layout = self.members[member]
        reader = Reader(cast(BinaryIO, _Window(self._source, layout.places[block])))
        entry = Entry(layout, block, before if layout.header.independent else None)
        return MemberDecoder(reader, layout.header, self._settings, progress, self.plain_starts[member], entry)

    def _first_of_group(self, member: int, block: int) -> int:
        if self.members[member].header.independent:
            return block
        groups = self._groups[member]
        return groups[bisect_right(groups, block) - 1]


def _groups(member: MemberLayout) -> array[int]:
    """First blocks of groups; of independent members, that of the first."""
    return array("Q", parse_groups(parse_sections(member.sections).get(GROUPS, b""), member.blocks).tolist())


class _Window:
    """A stream from a place of another one on, which others may use too."""

    def __init__(self, source: BinaryIO, place: int) -> None:
        self._source = source
        self._place = place

    def read(self, size: int) -> bytes:
        self._source.seek(self._place)
        data = WholeReader(self._source).read(size)
        self._place += len(data)
        return data


class _TooFar(Exception):
    """Looking up what was copied costs more than reading from the member's start."""


@dataclass
class _Found:
    """What was decoded for copies since reading began at a place: no block twice, which bounds the time by that of
    reading from the member's start, whatever the blocks are.

    Attributes:
        left: bytes that may be added.
        blocks: plain bytes by the blocks' numbers.
    """

    left: int = MAX_DISTANCE
    blocks: dict[int, bytes] = field(default_factory=dict)


class _Before:
    """Plain bytes of an independent member before the block that is decoded: those that it copies.

    Args:
        found: shared with what looks up copies of copies.
    """

    def __init__(self, blocks: BlockMap, member: int, found: _Found, depth: int = 0) -> None:
        self._blocks = blocks
        self._member = member
        self._found = found
        self._depth = depth

    def __call__(self, place: int, length: int) -> bytes:
        """Plain bytes from a place of the member on.

        Raises:
            _TooFar: they are copies of copies, or too much has to be decoded.
            LlmzError: they are damaged.
        """
        places, end = self._blocks.members[self._member].plain_places, place + length
        parts = bytearray()
        for number in range(bisect_right(places, place) - 1, bisect_left(places, end)):
            begin = places[number]
            parts += self._block(number, places[number + 1] - begin)[max(place - begin, 0) : end - begin]
        return bytes(parts)

    def _block(self, number: int, plain_bytes: int) -> bytes:
        found = self._found
        plain = found.blocks.get(number)
        found.left -= _LOOK_BYTES + (plain_bytes if plain is None else 0)
        if found.left < 0 or (plain is None and self._depth == _MOST_DEPTH):
            raise _TooFar
        if plain is None:
            deeper = _Before(self._blocks, self._member, found, self._depth + 1)
            plain = self._blocks._decoder(self._member, number, SILENT, deeper).next_plain() or b""
            found.blocks[number] = plain
        return plain
