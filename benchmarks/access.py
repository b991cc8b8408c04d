"""What going to a random place costs, by size of groups: ``python -m llmzip.benchmarks.access FILE``.

The first 200,000 bytes of FILE at level 6, and 5 MB of log lines at level 1, are compressed in groups of several sizes
and without. Then one byte is read at random places, each time from a file that was opened anew. Times are those of the
processor, all cores together, so that other work on the machine does not count. Results go to ``results/access.json``;
a run of one part takes the other part's rows from there.
"""

from __future__ import annotations

import io
import random
import statistics
import time
from pathlib import Path
from typing import Any

import click

import llmzip
from llmzip.benchmarks import results
from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import llmzip_peer
from llmzip.benchmarks.stream import log_lines

LOG_BYTES, FILE_BYTES = 5_000_000, 200_000
TRIES = 5
GROUPS = {1: (64 << 10, 256 << 10, 1 << 20, 4 << 20, None), 6: (48 << 10, 96 << 10, None)}
HEAD = ["text", "level", "group", "bytes", "of size without", "median, CPU s", "longest, CPU s"]


def seconds_to_first_byte(plain: bytes, archive: bytes, tries: int) -> list[float]:
    """Of the processor, for random places, sorted.

    Raises:
        click.ClickException: a byte was wrong.
    """
    draw, seconds = random.Random(11), []
    for _ in range(tries):
        place = draw.randrange(len(plain))
        started = time.process_time()
        with llmzip.open(io.BytesIO(archive)) as file:
            file.seek(place)
            found = file.read(1)
        seconds.append(time.process_time() - started)
        if found != plain[place : place + 1]:
            raise click.ClickException(f"byte {place} is wrong")
    return sorted(seconds)


def rows_of(name: str, plain: bytes, level: int, groups: tuple[int | None, ...], tries: int) -> list[list[Any]]:
    """Rows of the table for one text."""
    archives = {group: llmzip.compress(plain, level, group_bytes=group) for group in groups}
    rows = []
    for group, archive in archives.items():
        seconds = seconds_to_first_byte(plain, archive, tries)
        size = "none" if group is None else f"{group >> 10} KiB" if group < 1 << 20 else f"{group >> 20} MiB"
        ratio = len(archive) / len(archives[None])
        row = [name, f"-{level}", size, f"{len(archive):,}", f"{ratio:.3f}"]
        rows.append([*row, f"{statistics.median(seconds):.2f}", f"{seconds[-1]:.2f}"])
        click.echo(" ".join(map(str, rows[-1])))
    return rows


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--level", type=int, multiple=True, default=(1, 6), help="Only this part.")
@click.option("--tries", default=TRIES, show_default=True, help="Random places of each archive.")
@click.option("--target", type=click.Path(path_type=Path), default=results.RESULTS / "access.json", show_default=True)
def main(file: Path, level: tuple[int, ...], tries: int, target: Path) -> None:
    """Measure sizes and times to the first byte, with groups of several sizes."""
    click.echo(machine_line())
    result = results.new_result([llmzip_peer(each) for each in level])
    result["head"], result["rows"] = HEAD, []
    if len(level) == 1 and (before := results.load(target.stem, target.parent)):
        result["rows"] = [row for row in before["rows"] if row[1] != f"-{level[0]}"]
    texts = {1: ("log lines", b"".join(log_lines(LOG_BYTES))), 6: (file.name, file.read_bytes()[:FILE_BYTES])}
    for each in level:
        name, plain = texts[each]
        result["rows"] += rows_of(name, plain, each, GROUPS[each], tries)
    results.save(result, target)


if __name__ == "__main__":
    main()
