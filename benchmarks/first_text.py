"""How soon a restored stream gives its first text: ``python -m llmzip.benchmarks.first_text FILE...``.

From the start of ``llmzip decompress`` to the first plain byte in its pipe, which is when the first block has been
restored and verified. The best of three runs. Results go to ``results/first_text.json``.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

import click

from llmzip.benchmarks import results
from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import llmzip_peer
from llmzip.benchmarks.stream import LLMZIP, log_lines

RUNS = 3
LEVELS = (1, 2, 3, 6, 9)


def first_text_seconds(archive: Path, plain: bytes) -> float:
    """Seconds from the start of ``llmzip decompress`` to its first plain bytes.

    Raises:
        click.ClickException: they are not those of ``plain``.
    """
    started = time.perf_counter()
    with subprocess.Popen([*LLMZIP, "decompress", "-c", str(archive)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        seconds = time.perf_counter() - started
        process.kill()
    if first != plain[:1]:
        raise click.ClickException("the first text did not come back")
    return seconds


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--bytes", "size", default=300_000, show_default=True, help="Of each, from its start.")
@results.json_option("first_text")
def main(files: tuple[Path, ...], size: int, target: Path) -> None:
    """Time the first text of FILES and of a log at every level."""
    click.echo(machine_line())
    result = results.new_result([llmzip_peer(6)])
    result["head"] = ["file", "bytes", *(f"`-{level}`, s" for level in LEVELS)]
    result["rows"] = []
    texts = [(file.name, file.read_bytes()[:size]) for file in files]
    texts.append(("lines of a log", b"".join(log_lines(size))))
    for name, plain in texts:
        seconds = []
        for level in LEVELS:
            with tempfile.TemporaryDirectory() as folder:
                archive = Path(folder) / "text.llmz"
                archive.write_bytes(llmzip_peer(level).compress(plain))
                seconds.append(min(first_text_seconds(archive, plain) for _ in range(RUNS)))
            click.echo(f"{name}, -{level}: first text after {seconds[-1]:.2f} s")
        result["rows"].append([name, f"{len(plain):,}", *(f"{each:.2f}" for each in seconds)])
    results.save(result, target)


if __name__ == "__main__":
    main()
