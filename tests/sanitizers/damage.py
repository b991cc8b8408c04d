"""Archives of every method, whole and damaged: ``python -m tests.sanitizers.damage``.

Every damaged archive must give an ``LlmzError`` or, where what was changed makes no difference, the right bytes; in
two seconds of a processor's time and within the memory limit. Counts are written as JSON. ``run.sh`` runs this with
sanitizers in the core.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections import Counter
from collections.abc import Iterator

from llmzip.core import _native
from llmzip.errors import LlmzError
from llmzip.format.member import Block, Header, MemberReader, MemberWriter, read_header
from llmzip.format.reader import Reader
from llmzip.settings import ReadSettings, Settings
from llmzip.streams import compress, decompress
from tests.conftest import GOLDEN, TINY_PATH
from tests.text.test_hostile import EXAMPLES

MOST_SECONDS = 2.0
PROSE = (GOLDEN / "plain.txt").read_bytes()
TABLE = b"".join(b"%d,%d,%.2f\n" % (i, i * i % 997, i / 7) for i in range(40))
METHODS = {
    "context": (Settings(level=1), PROSE[:150]),
    "context, records": (Settings(level=1), TABLE[:200]),
    "context, binary": (Settings(level=1), bytes(i * i >> 3 & 63 for i in range(200))),
    "context, sequences": (Settings(level=1), b"ACGTTGCAACGATTGACCGGTACCA" * 8),
    "tokens": (Settings(level=2, lanes=1), PROSE[:120]),
    "tokens, lanes": (Settings(level=2, lanes=4), PROSE[:120]),
    "mixed": (Settings(level=9), PROSE[:120]),
    "mixed, lanes": (Settings(lanes=16), PROSE[:150]),
    "mixed, records": (Settings(lanes=2), TABLE[:150]),
    "mixed, blocks": (Settings(lanes=1, block_bytes=60), PROSE[:150]),
    "mixed, independent": (Settings(lanes=2, block_bytes=60, independent=True), PROSE[:150]),
    "lzma": (Settings(level=1), bytes(3000)),
    "stored": (Settings(level=1), random.Random(0).randbytes(80)),
    "copies": (Settings(level=1, block_bytes=9000), random.Random(1).randbytes(9000) * 2),
}


class Account:
    """What became of damaged archives."""

    def __init__(self, most_seconds: float) -> None:
        self.most_seconds = most_seconds
        self.outcomes: Counter[str] = Counter()
        self.slowest = 0.0

    def read(self, damaged: bytes, plain: bytes, settings: ReadSettings) -> None:
        started = time.process_time()
        try:
            if decompress(damaged, settings) != plain:
                raise AssertionError(f"wrong bytes from {damaged.hex()}")
            self.outcomes["the right bytes"] += 1
        except LlmzError as error:
            if not str(error).isprintable():
                raise AssertionError(f"no clear line: {error!r}") from error
            self.outcomes[type(error).__name__] += 1
        seconds = time.process_time() - started
        if seconds > self.most_seconds:
            raise AssertionError(f"{seconds:.1f} s for {damaged.hex()}")
        self.slowest = max(self.slowest, seconds)


def blocks_of(packed: bytes) -> tuple[Header, list[Block]]:
    reader = Reader(packed)
    header = read_header(reader)
    assert header is not None
    return header, list(iter(MemberReader(reader, header).next_block, None))


def plain_of(blocks: list[Block], plain: bytes) -> Iterator[bytes]:
    start = 0
    for block in blocks:
        yield plain[start : start + block.coded.plain_length]
        start += block.coded.plain_length


def edited(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, left out or put in."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(changed) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            del changed[at : at + chance.choice((1, 1, 2, 20))]
        elif kind == 1:
            changed[at:at] = chance.randbytes(chance.choice((1, 2, 8)))
        elif at < len(changed):
            changed[at] = chance.choice((0, 1, 127, 128, 255, changed[at] ^ 1 << chance.randrange(8)))
    return bytes(changed)


def sealed(packed: bytes, plain: bytes, chance: random.Random) -> bytes:
    """A block's payload or head changed, and all checks made to fit, as someone might who means harm."""
    header, blocks = blocks_of(packed)
    if chance.randrange(20) == 0:
        header = header._replace(
            table_bits=chance.choice((0, 11, 12, 18)),
            independent=not header.independent,
            single=header.single and len(blocks) == 1,
        )
    writer, out, harmed = MemberWriter(header), b"", chance.randrange(len(blocks))
    for number, (block, own) in enumerate(zip(blocks, plain_of(blocks, plain), strict=True)):
        coded = block.coded
        if number == harmed:
            kind = chance.randrange(8)
            if kind == 0:
                coded = coded._replace(parameter=chance.randrange(9) if coded.method.has_lanes else 0)
            elif kind == 1:
                coded = coded._replace(plain_length=max(1, coded.plain_length + chance.choice((-9, -1, 1, 7, 900))))
            else:
                coded = coded._replace(payload=edited(coded.payload, chance))
        out += writer.add(coded, own)
    return out + writer.finish()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shipped", action="store_true", help="with the shipped model in place of the tiny one")
    parser.add_argument("--mutations", type=int, default=600, help="archives damaged at random")
    parser.add_argument("--flips", action="store_true", help="flip every bit of an archive of 2 KB")
    parser.add_argument("--scale", type=float, default=1.0, help="how much more time sanitizers may take")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    path = None if arguments.shipped else TINY_PATH
    read = ReadSettings(path, threads=1)
    account, chance = Account(MOST_SECONDS * arguments.scale), random.Random(arguments.seed)
    archives = []
    for name, (settings, plain) in METHODS.items():
        used = Settings(**{**vars(settings), "model": path})
        archives.append((plain, compress(plain, used)))
        for threads in (1, 3):
            if decompress(archives[-1][1], ReadSettings(path, threads=threads)) != plain:
                raise AssertionError(f"{name} does not come back")
    for plain in EXAMPLES.values():
        archives.append((plain, compress(plain, Settings(level=1))))
    for number in range(arguments.mutations):
        plain, packed = archives[number % len(archives)]
        damaged = edited(packed, chance) if number % 4 == 0 else sealed(packed, plain, chance)
        account.read(damaged, plain, read)
    if arguments.flips:
        plain = PROSE + random.Random(2).randbytes(1400)
        packed = compress(plain, Settings(lanes=2, model=path))
        for bit in range(8 * len(packed)):
            flipped = bytearray(packed)
            flipped[bit // 8] ^= 1 << bit % 8
            account.read(bytes(flipped), plain, read)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    if arguments.scale == 1.0 and memory << 20 > read.memory_bytes:
        raise AssertionError(f"{memory} MiB")
    summary = {
        "model": "shipped" if arguments.shipped else "tiny",
        "kernel": _native.kernel_in_use(),
        "mutations": arguments.mutations,
        "flipped_bits": 8 * len(packed) if arguments.flips else 0,
        "archive_bytes": len(packed) if arguments.flips else None,
        "outcomes": dict(account.outcomes.most_common()),
        "slowest_seconds": round(account.slowest, 3),
        "MiB": memory,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
