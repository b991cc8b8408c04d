"""What going to a random place costs, by size of groups: ``python -m llmzip.benchmarks.access FILE``.

FILE at level 1, its first 1 MB at level 6, and 10,000 JSON lines at level 1 with an index of records are compressed
in groups of several sizes. Then one byte, or one record, is read at random places, each time from a file that was
opened anew. Times are those of the processor, with one thread, so that other work on the machine hardly counts. Results
go to ``results/access.json``; a run of one level takes the other's rows from there.
"""

from __future__ import annotations

import io
import itertools
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

import llmzip
from llmzip.benchmarks import results
from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import llmzip_peer
from llmzip.format.layout import find_layout

MOST_BYTES = {1: 1 << 30, 6: 1_000_000}
GROUPS = (64 << 10, 256 << 10, 1 << 20, 4 << 20)
RECORD_GROUPS = (1 << 20, 64 << 10)
JSON_LINES = 10_000
TRIES = 3
HEAD = ["text", "level", "group", "bytes", "relative size", "index, bytes", "median, s", "longest, s"]
_MOST_INDEX_BYTES = 1 << 30

Read = Callable[[bytes, int], bytes]
"""What is read of an archive for a number."""


def json_lines(count: int) -> list[bytes]:
    """Events, each a JSON object on a line."""
    draw = random.Random(12)
    kinds, words = ("view", "cart", "order", "return"), [str(draw.random())[2:9] for _ in range(400)]
    rows = (
        {"id": f"e{7919 * number % 1_000_003}", "time": 1_790_000_000 + 3 * number, "kind": draw.choice(kinds),
         "user": draw.randrange(1_000_000), "tag": draw.choice(words)}
        for number in range(count)
    )  # fmt: skip
    return [json.dumps(row).encode() + b"\n" for row in rows]


def first_byte(archive: bytes, place: int) -> bytes:
    with llmzip.open(io.BytesIO(archive), threads=1) as file:
        file.seek(place)
        return file.read(1)


def record(archive: bytes, number: int) -> bytes:
    with llmzip.records(io.BytesIO(archive), threads=1) as records:
        return records[number]


def seconds_to_reach(archive: bytes, read: Read, expected: Sequence[bytes], tries: int) -> list[float]:
    """Of the processor, for random numbers, sorted.

    Raises:
        click.ClickException: what was read is wrong.
    """
    draw, seconds = random.Random(11), []
    for _ in range(tries):
        number = draw.randrange(len(expected))
        started = time.process_time()
        found = read(archive, number)
        seconds.append(time.process_time() - started)
        if found != expected[number]:
            raise click.ClickException(f"number {number} is wrong")
    return sorted(seconds)


def index_bytes(archive: bytes) -> int:
    """What an archive has for groups and records."""
    return sum(len(member.sections) for member in find_layout(io.BytesIO(archive), 0, _MOST_INDEX_BYTES))


def rows_of(name: str, plain: bytes, level: int, tries: int) -> Iterator[list[Any]]:
    """Rows for one text, by the sizes of groups, from one that has all of it down."""
    expected = [plain[i : i + 1] for i in range(len(plain))]
    largest = 0
    for group in (None, *(group for group in reversed(GROUPS) if group < len(plain))):
        archive = llmzip.compress(plain, level, group_bytes=group)
        largest = largest or len(archive)
        yield _row(name, level, group, archive, largest, seconds_to_reach(archive, first_byte, expected, tries))


def rows_of_records(tries: int) -> Iterator[list[Any]]:
    """The same for records, by their numbers."""
    lines = json_lines(JSON_LINES)
    name, largest = f"{JSON_LINES:,} JSON lines, a record", 0
    for group in RECORD_GROUPS:
        archive = llmzip.compress(b"".join(lines), 1, group_bytes=group, records="jsonl")
        largest = largest or len(archive)
        yield _row(name, 1, group, archive, largest, seconds_to_reach(archive, record, lines, tries))


def _row(name: str, level: int, group: int | None, archive: bytes, largest: int, seconds: list[float]) -> list[Any]:
    size = "one" if group is None else f"{group >> 10} KiB" if group < 1 << 20 else f"{group >> 20} MiB"
    row = [name, f"-{level}", size, f"{len(archive):,}", f"{len(archive) / largest:.3f}", f"{index_bytes(archive):,}"]
    row += [f"{statistics.median(seconds):.2f}", f"{seconds[-1]:.2f}"]
    click.echo(" ".join(map(str, row)))
    return row


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--level", type=int, multiple=True, default=(1, 6), help="Only this part.")
@click.option("--tries", default=TRIES, show_default=True, help="Random places of each archive.")
@results.json_option("access")
def main(file: Path, level: tuple[int, ...], tries: int, target: Path) -> None:
    """Measure sizes, and processor seconds to a random byte or record, with groups of several sizes."""
    click.echo(machine_line())
    result = results.new_result([llmzip_peer(each) for each in level])
    before = (results.load(target.stem, target.parent) or {"rows": []})["rows"] if len(level) == 1 else []
    result["head"], result["rows"] = HEAD, [row for row in before if row[1] != f"-{level[0]}"]
    for each in level:
        plain = file.read_bytes()[: MOST_BYTES[each]]
        name = f"{file.name}, {len(plain):,} bytes"
        for row in itertools.chain(rows_of(name, plain, each, tries), rows_of_records(tries) if each == 1 else ()):
            result["rows"] = sorted([*result["rows"], row], key=lambda row: row[1])
            results.save(result, target)


if __name__ == "__main__":
    main()
