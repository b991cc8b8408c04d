"""What a user may choose, and how blocks and lanes follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, SupportsIndex

from llmzip.core import available_cores
from llmzip.format.member import MAX_BLOCK_BYTES, MAX_LANES, Method
from llmzip.format.record_kinds import KINDS_WITH_KEYS, RecordKind

DEFAULT_LEVEL = 6
DEFAULT_MEMORY_LIMIT = 1 << 30
MAX_DEFAULT_THREADS = 4
"""Each may need up to 300 MB where blocks are independent: more only on request."""
BLOCK_BYTES = 4 << 20
"""Blocks double from a level's first until they are so long."""
REPETITIVE_BLOCK_BYTES = 16 << 20
"""The same where a text repeats itself so much that LZMA wins by far: larger blocks let it see further back."""
FAST_WHOLE_BYTES = 256 << 10
"""What is at most so long, and is coded without the network, is one block."""
LONG_BYTES = 256 << 10
"""A longer text begins with a short block, so that reading it as a stream gives its first text soon: in shorter ones
the bytes that this takes would count."""
_WHOLE_FACTOR = 2
"""What is at most so many times as long as a level's first block is one block."""
AUTO = "auto"
RECORD_KINDS = {kind.name.lower(): kind for kind in RecordKind}
RECORDS_WITHOUT_KEYS = tuple(name for name, kind in RECORD_KINDS.items() if kind not in KINDS_WITH_KEYS)
_GROUP_FACTOR = 4
"""First blocks' plain bytes that a group of records has."""
_LEAST_TABLE_BITS, _MOST_TABLE_BITS = 20, 22
_BUCKETS_PER_BYTE = 56


class LaneRule(NamedTuple):
    """Lanes of ``least_bytes`` or more, ``most`` of them at most."""

    least_bytes: int
    most: int


class Level(NamedTuple):
    """What a level stands for.

    Attributes:
        method: tried for text, beside those that need no model.
        first_block_bytes: of the first of several blocks, or of the second where an opening comes before it.
        opening_bytes: of the block that a long text begins with, which is read in a second or so; 0 for none, where all
            blocks are read fast.
        cold: lanes of a block that starts from fresh models; the rule that gives more lanes holds.
        warm: the same for a block after others.
    """

    method: Method
    first_block_bytes: int
    opening_bytes: int = 0
    cold: tuple[LaneRule, ...] = (LaneRule(1, 1),)
    warm: tuple[LaneRule, ...] = (LaneRule(1, 1),)


_LEVELS = {
    1: Level(Method.CONTEXT, 256 << 10),
    2: Level(Method.TOKENS, 64 << 10, 4 << 10, (LaneRule(4 << 10, 64),), (LaneRule(2 << 10, 64),)),
    3: Level(Method.MIXED, 48 << 10, 4 << 10, (LaneRule(12 << 10, 16),), (LaneRule(4 << 10, 16),)),
    6: Level(
        Method.MIXED,
        24 << 10,
        4 << 10,
        (LaneRule(24 << 10, 4), LaneRule(96 << 10, 8)),
        (LaneRule(48 << 10, 8),),
    ),
    9: Level(Method.MIXED, 24 << 10, 4 << 10),
}
"""Those that are missing mean the one before."""
_WIDE_LEVEL = Level(Method.CONTEXT, 48 << 10, 8 << 10)
"""Context mode's wide profile alone."""


@dataclass(frozen=True)
class Settings:
    """Compression settings.

    Attributes:
        level: 1 context mode, 2 tokens, 3 to 9 mixed mode with ever fewer lanes; 4 and 5 mean 3, 7 and 8 mean 6.
        lanes: a power of two up to 256, or None to choose by size and level.
        threads: how many work, on blocks side by side where they are independent, else on lanes; None for all cores,
            four at most.
        independent: every block starts from fresh models, so that blocks can be coded and read side by side.
        block_bytes: plain bytes per block; None lets them grow, so that reading a stream gives its first text soon.
        group_bytes: plain bytes after which the models start afresh, so that going to any place means restoring so many
            at most; None for never, or with ``records`` for what is restored in some seconds.
        records: keep an index of records: ``"auto"`` or a kind of records, as in
            :class:`llmzip.format.record_kinds.RecordKind` but in lower case; None for none.
        key: keep an index of the records' keys of this name too.
        wide: code all text in context mode's wide profile, whatever the level; higher levels try that by themselves.
        model: path of a model file, or None for the one that ships.
        memory_limit: bytes that reading the result may take; None for 1 GiB.
    """

    level: int = DEFAULT_LEVEL
    lanes: int | None = None
    threads: int | None = None
    independent: bool = False
    block_bytes: int | None = None
    model: str | None = None
    memory_limit: int | None = None
    group_bytes: int | None = None
    records: str | None = None
    key: str | None = None
    wide: bool = False

    def __post_init__(self) -> None:
        _check_integers(self.level, self.lanes, self.threads, self.block_bytes, self.memory_limit, self.group_bytes)
        if self.key is not None and not isinstance(self.key, str):
            raise TypeError(f"key must be a str, not {type(self.key).__name__}")
        if self.key is not None and not _is_unicode(self.key):
            raise ValueError(f"key must be Unicode text, not {self.key!r}")
        if not 1 <= self.level <= 9:
            raise ValueError(f"level must be 1 to 9, not {self.level}")
        if self.lanes is not None and (self.lanes.bit_count() != 1 or not 1 <= self.lanes <= MAX_LANES):
            raise ValueError(f"lanes must be a power of two up to {MAX_LANES}, not {self.lanes}")
        if self.block_bytes is not None and not 1 <= self.block_bytes <= MAX_BLOCK_BYTES:
            raise ValueError(f"block size must be 1 byte to 64 MiB, not {self.block_bytes}")
        if self.group_bytes is not None and self.group_bytes < 1:
            raise ValueError(f"group size must be at least 1 byte, not {self.group_bytes}")
        if self.group_bytes is not None and self.independent:
            raise ValueError("independent blocks are a group each: a size of groups has no meaning")
        if self.records not in (None, AUTO, *RECORD_KINDS):
            raise ValueError(f"records must be {AUTO} or one of {', '.join(RECORD_KINDS)}, not {self.records!r}")
        if self.key is not None and (self.records is None or self.records in RECORDS_WITHOUT_KEYS):
            raise ValueError("a key belongs to records which have fields")
        _check_limits(self.threads, self.memory_limit)

    @property
    def thread_count(self) -> int:
        return _threads_or_default(self.threads)

    @property
    def memory_bytes(self) -> int:
        return self.memory_limit or DEFAULT_MEMORY_LIMIT

    @property
    def method(self) -> Method:
        """What text is coded by: context mode, tokens or mixed mode."""
        return self._level.method

    @property
    def whole_bytes(self) -> int:
        """What is at most so long is one block."""
        return self.within_group(self.block_bytes or _WHOLE_FACTOR * self._level.first_block_bytes)

    def first_block_bytes(self, repetitive: bool) -> int:
        """Plain bytes of the first of several blocks, or of a group's."""
        return self.within_group(self.block_bytes or (BLOCK_BYTES if repetitive else self._level.first_block_bytes))

    @property
    def opening_bytes(self) -> int:
        """Plain bytes of a short block that a text of more than ``LONG_BYTES`` begins with; 0 for none."""
        return self._level.opening_bytes if self.cuts_freely else 0

    @property
    def cuts_freely(self) -> bool:
        """Whether neither lengths of blocks nor groups, independent blocks or records say where blocks end."""
        return self.block_bytes is None and self.most_group_bytes is None and not self.independent

    def most_block_bytes(self, repetitive: bool) -> int:
        """Plain bytes of a block at most, to which they double."""
        return self.within_group(self.block_bytes or (REPETITIVE_BLOCK_BYTES if repetitive else BLOCK_BYTES))

    def within_group(self, plain_bytes: int) -> int:
        """So many, or as many as a group has, if these are fewer."""
        most = self.most_group_bytes
        return plain_bytes if most is None else min(plain_bytes, most)

    @property
    def most_group_bytes(self) -> int | None:
        """Plain bytes after which the models start afresh."""
        if self.group_bytes is None and self.records is not None and not self.independent:
            return _GROUP_FACTOR * (self.block_bytes or self._level.first_block_bytes)
        return self.group_bytes

    def lanes_for(self, plain_length: int, known_bytes: int = 0) -> int:
        """Lanes of a block after so many bytes, a power of two: more of them are faster, fewer lose less context."""
        rules = self._level.warm if known_bytes > self._level.opening_bytes else self._level.cold
        wanted = self.lanes or max(_power_of_two_below(plain_length // rule.least_bytes, rule.most) for rule in rules)
        return _power_of_two_below(plain_length, wanted)

    @property
    def most_lanes(self) -> int:
        """Of any block."""
        return self.lanes or max(rule.most for rule in (*self._level.cold, *self._level.warm))

    @property
    def _level(self) -> Level:
        return _WIDE_LEVEL if self.wide else _LEVELS[max(level for level in _LEVELS if level <= self.level)]


@dataclass(frozen=True)
class ReadSettings:
    """How to restore.

    Attributes:
        model: path of a model file that may be wanted, beside the one that ships.
        threads: as for :class:`Settings`; fewer work where the memory is not enough.
        memory_limit: bytes that restoring may take; None for 1 GiB.
        max_output: plain bytes that there may be; None for any number.
    """

    model: str | None = None
    threads: int | None = None
    memory_limit: int | None = None
    max_output: int | None = None

    def __post_init__(self) -> None:
        _check_integers(self.threads, self.memory_limit, self.max_output)
        _check_limits(self.threads, self.memory_limit)
        if self.max_output is not None and self.max_output < 0:
            raise ValueError(f"output limit must not be negative, not {self.max_output}")

    @property
    def thread_count(self) -> int:
        return _threads_or_default(self.threads)

    @property
    def memory_bytes(self) -> int:
        return self.memory_limit or DEFAULT_MEMORY_LIMIT


def table_bits_for(plain_length: int | None, primer_length: int = 0) -> int:
    """Logarithm of the buckets that models should have for so many bytes, behind a primer of so many; None for a text
    of unknown length."""
    if plain_length is None:
        return _MOST_TABLE_BITS
    wanted = ((plain_length + primer_length) * _BUCKETS_PER_BYTE).bit_length()
    return min(max(wanted, _LEAST_TABLE_BITS), _MOST_TABLE_BITS)


def _check_integers(*values: object) -> None:
    for value in values:
        if value is not None and not isinstance(value, SupportsIndex):
            raise TypeError(f"an integer is wanted, not {value!r}")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates, as those of a command line that is no UTF-8
        return False
    return True


def _check_limits(threads: int | None, memory_limit: int | None) -> None:
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    if memory_limit is not None and memory_limit < 1:
        raise ValueError(f"memory limit must be at least 1 byte, not {memory_limit}")


def _threads_or_default(threads: int | None) -> int:
    return threads or min(available_cores(), MAX_DEFAULT_THREADS)


def _power_of_two_below(value: int, limit: int) -> int:
    return 1 << min(max(1, value).bit_length() - 1, limit.bit_length() - 1)
