"""Bits against decoding speed at equal training compute: ``python -m llmzip.benchmarks.frontier CORPUS OUT``.

OUT is a folder of ``llmzip.benchmarks.scaling``. The models with its largest budget are primed, compress pieces of
CORPUS/valid at the default level, and restore them with all instruction sets of this CPU and with AVX2 alone; sizes
are kept in OUT, times are taken anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np

from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import llmzip_peer
from llmzip.benchmarks.scaling import SHAPES, run_folder, validation_bits
from llmzip.models.domains import domain_files, read_domain
from llmzip.models.prime import prime_mixing, sample_pieces
from llmzip.network.model import load_model, with_tensors
from llmzip.settings import DEFAULT_LEVEL

SLICE_BYTES, SLICES_OF_A_DOMAIN = 10_000, 2
LONG_DOMAIN, LONG_BYTES = "enwikitext", 1_000_000
TIMED_BYTES = 40_000
INSTRUCTION_SETS = {
    "all": {},
    "AVX2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+fma,+popcnt,+sse4.2"},
}
"""What numba may compile for."""


def primed(run: Path, corpus: Path, kilobytes: int) -> Path:
    """The run's model with mixers of its own."""
    path = run / "primed.llmzmodel"
    if not path.exists():
        model = load_model(str(run / "model.llmzmodel"))
        learned = prime_mixing(model, sample_pieces(corpus / "train", 1000 * kilobytes), progress=False)
        path.write_bytes(with_tensors(model, "mixing", learned._asdict()))
    return path


def compressed_sizes(model: Path, corpus: Path) -> dict[str, float]:
    """Bits per byte in mixed mode: slices of 10 KB from every domain, and one long piece."""
    texts = {name: read_domain(path).replace(b"\0", b"\n") for name, path in domain_files(corpus / "valid").items()}
    slices = [
        text[start : start + SLICE_BYTES]
        for text in texts.values()
        for start in np.linspace(0, max(0, len(text) - SLICE_BYTES), SLICES_OF_A_DOMAIN, dtype=int)
    ]
    long = max(texts.get(LONG_DOMAIN, b""), slices[0], key=len)[:LONG_BYTES]
    compress = llmzip_peer(DEFAULT_LEVEL, str(model)).compress
    return {
        "slices": 8 * sum(len(compress(piece)) for piece in slices) / sum(map(len, slices)),
        "long": 8 * len(compress(long)) / len(long),
    }


def restore_seconds(model: Path | None, archive: Path, instructions: dict[str, str]) -> float:
    """Seconds of a whole ``llmzip decompress``; the first, untimed one compiles."""
    command = [sys.executable, "-m", "llmzip", "decompress", "-q", "-f", "-o", os.devnull, str(archive)]
    command += ["--model", str(model)] if model else []
    for _ in range(2):
        started = time.perf_counter()
        subprocess.run(command, check=True, env={**os.environ, **instructions})
        seconds = time.perf_counter() - started
    return seconds


def plot(rows: list[dict[str, float | str]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for name in INSTRUCTION_SETS:
        axes.plot([row[name] for row in rows], [row["long"] for row in rows], "o", label=f"instruction sets: {name}")
    for row in rows:
        axes.annotate(str(row["shape"]), (float(row["all"]), float(row["long"])))
    axes.set_xlabel("restoring, KB/s")
    axes.set_ylabel("bits per byte, mixed mode, 1 MB")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--shapes", default=",".join(SHAPES), show_default=True, help="As for the scaling law.")
@click.option("--budget", default=2e13, show_default=True, help="As for the scaling law.")
@click.option("--kilobytes", default=160, show_default=True, help="Text that primes the mixers.")
def main(corpus: Path, out: Path, shapes: str, budget: float, kilobytes: int) -> None:
    """Plot bits per byte against decoding speed for the models of OUT."""
    click.echo(machine_line())
    timed = read_domain(domain_files(corpus / "valid")["books"])[:TIMED_BYTES].replace(b"\0", b"\n")
    archive = out / "timed.llmz"
    rows: list[dict[str, float | str]] = []
    click.echo(
        "| shape | bits per byte, token mode | mixed mode, 10 KB slices | mixed mode, 1 MB | "
        + " | ".join(f"restored at, KB/s, instruction sets: {name}" for name in INSTRUCTION_SETS)
        + " |\n|---|---|---|---|"
        + "---|" * len(INSTRUCTION_SETS)
    )
    for shape in [*shapes.split(","), "shipped"]:
        row: dict[str, float | str] = {"shape": shape}
        model = None
        if shape != "shipped":
            run = run_folder(out, shape, budget)
            model = primed(run, corpus, kilobytes)
            sizes = run / "sizes.json"
            if not sizes.exists():
                sizes.write_text(json.dumps(compressed_sizes(model, corpus)))
            row |= {"token": validation_bits(run)} | json.loads(sizes.read_text())
        archive.write_bytes(llmzip_peer(DEFAULT_LEVEL, str(model) if model else None).compress(timed))
        for name, instructions in INSTRUCTION_SETS.items():
            row[name] = len(timed) / 1000 / restore_seconds(model, archive, instructions)
        figures = [f"{row[key]:.3f}" if key in row else "-" for key in ("token", "slices", "long")]
        figures += [f"{row[name]:.1f}" for name in INSTRUCTION_SETS]
        click.echo(f"| {shape} | {' | '.join(figures)} |")
        if model:
            rows.append(row)
    plot(rows, out / "frontier.png")


if __name__ == "__main__":
    main()
