"""Repetitive files under llmzip and its rivals: ``python -m llmzip.benchmarks.repetition alice29.txt``."""

from __future__ import annotations

import random
from pathlib import Path

import click

from llmzip.benchmarks import results
from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import llmzip_peer, peer_named

LOG_BYTES = 1_000_000
PARAGRAPH = slice(2000, 2700)
PARAGRAPH_COPIES_BYTES = 10_000_000
RIVALS = ("xz -9e", "brotli -11", "zstd -22")


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
@click.option("--levels", default="1,6", show_default=True)
@results.json_option("repetition")
def main(file: Path, levels: str, target: Path) -> None:
    """Compress 10 MB of one paragraph of FILE and 1 MB of log; exit with an error if xz -9e is smaller."""
    click.echo(machine_line())
    paragraph = file.read_bytes()[PARAGRAPH]
    copies = (paragraph * (PARAGRAPH_COPIES_BYTES // len(paragraph) + 1))[:PARAGRAPH_COPIES_BYTES]
    ours = [llmzip_peer(int(level)) for level in levels.split(",")]
    rivals = [peer_named(name) for name in RIVALS]
    result = results.new_result([*ours, *rivals])
    result["head"] = ["file", "bytes", *(peer.name for peer in [*ours, *rivals])]
    result["rows"] = []
    lost = False
    for name, data in (("one paragraph repeated", copies), ("log, 99 % repeated lines", repetitive_log())):
        sizes = []
        for peer in [*ours, *rivals]:
            packed = peer.compress(data)
            if peer in ours and peer.decompress(packed) != data:
                raise click.ClickException(f"{name}: not restored")
            sizes.append(len(packed))
            click.echo(f"{name:26}{len(data):>11,} bytes: {peer.name:12}{len(packed):>9,}")
        result["rows"].append([name, f"{len(data):,}", *(f"{size:,}" for size in sizes)])
        lost |= max(sizes[: len(ours)]) > sizes[len(ours)]
    results.save(result, target)
    if lost:
        raise click.ClickException("xz was smaller")


if __name__ == "__main__":
    main()
