"""Repetitive files under llmzip and xz: ``python -m llmzip.benchmarks.repetition alice29.txt``."""

from __future__ import annotations

import lzma
import random
from pathlib import Path

import click

import llmzip
from llmzip.benchmarks.machine import machine_line

LOG_BYTES = 1_000_000
PARAGRAPH = slice(2000, 2700)
PARAGRAPH_COPIES_BYTES = 10_000_000


def repetitive_log(size: int = LOG_BYTES, repeated_share: float = 0.99, seed: int = 7) -> bytes:
    """Log lines of which ``repeated_share`` are drawn from 40 and the others are new."""
    draw = random.Random(seed)
    common = [
        f"2026-11-24 10:{i % 60:02d}:00 INFO worker-{i % 9} finished job {4711 + i % 50} in {i % 37} ms queue=default\n"
        for i in range(40)
    ]
    lines: list[str] = []
    length = 0
    while length < size:
        if draw.random() < repeated_share:
            line = draw.choice(common)
        else:
            line = (
                f"2026-11-24 11:{draw.randrange(60):02d}:{draw.randrange(60):02d} ERROR worker-{draw.randrange(99)} "
                f"lost connection {draw.randrange(10**6)} to 10.0.{draw.randrange(256)}.{draw.randrange(256)}\n"
            )
        lines.append(line)
        length += len(line)
    return "".join(lines).encode()[:size]


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(file: Path) -> None:
    """Compress 10 MB of one paragraph of FILE and 1 MB of log; exit with an error if xz -9e is smaller."""
    click.echo(machine_line())
    paragraph = file.read_bytes()[PARAGRAPH]
    copies = (paragraph * (PARAGRAPH_COPIES_BYTES // len(paragraph) + 1))[:PARAGRAPH_COPIES_BYTES]
    lost = False
    for name, data in (("one paragraph repeated", copies), ("log, 99 % repeated lines", repetitive_log())):
        packed, rival = llmzip.compress(data), lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)
        if llmzip.decompress(packed) != data:
            raise click.ClickException(f"{name}: not restored")
        click.echo(f"{name:26} {len(data):9} bytes: llmzip {len(packed)}, xz -9e {len(rival)}")
        lost |= len(packed) > len(rival)
    if lost:
        raise click.ClickException("xz was smaller")


if __name__ == "__main__":
    main()
