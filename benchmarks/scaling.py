"""A scaling law from small runs: ``python -m llmzip.benchmarks.scaling CORPUS OUT``.

Trains the shipped shape at several widths and lengths of training, each with its cool-down; fits bits per byte on
CORPUS/valid against training operations; predicts more compute, for the small runs' best and for the shipped model.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch

from llmzip.architecture import DEFAULT_CONFIG, ModelConfig
from llmzip.benchmarks.machine import machine_line
from llmzip.model import load_model
from llmzip.models.data import load_corpus
from llmzip.models.measures import fit_power_law
from llmzip.models.train import TrainingOptions, train

SEQUENCES, LENGTH = 8, 256
LENGTHENED = (1, 2, 4)
"""Training steps of each width, as multiples of the smallest."""


def shape(width: int) -> ModelConfig:
    """The shipped shape at another width, with a hashed bigram embedding only."""
    decoder = replace(DEFAULT_CONFIG.decoder, width=width, hidden=4 * width, heads=max(1, width // 64), layers="ccca")
    return replace(DEFAULT_CONFIG, decoder=decoder, bigram_bits=12, bigram_width=width // 2, trigram_bits=0)


def training_flops(config: ModelConfig, tokens: int) -> float:
    """Six operations for each weight of the decoder's layers and its head, for every token."""
    decoder = config.decoder
    weights = len(decoder.layers) * (4 * decoder.width**2 + 2 * decoder.width * decoder.hidden)
    return 6.0 * tokens * (weights + decoder.width * config.vocabulary)


def best_at(compute: np.ndarray, losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The runs that no cheaper run beats, by compute."""
    order = np.argsort(compute)
    kept = [i for n, i in enumerate(order) if losses[i] <= losses[order[: n + 1]].min()]
    return compute[kept], losses[kept]


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--widths", default="64,128,192", show_default=True)
@click.option("--smallest-steps", default=100, show_default=True, help="Steps of the shortest runs.")
@click.option(
    "--tokens-of-shipped", default=174_000_000, show_default=True, help="Training tokens of the shipped model."
)
@click.option("--shipped-bits", type=float, help="Its bits per byte on CORPUS/valid, for a prediction from there.")
@click.option("--threads", type=int, help="Cores for torch (default: all).")
def main(
    corpus: Path, out: Path, widths: str, smallest_steps: int, tokens_of_shipped: int, shipped_bits: float | None,
    threads: int | None,
) -> None:  # fmt: skip
    """Fit a scaling law to small runs on CORPUS and predict 10 and 1,000 times the compute."""
    if threads:
        torch.set_num_threads(threads)
    model = load_model()
    lengths = model.tokenizer.token_lengths
    training = load_corpus(corpus / "train", model.tokenizer, out / "tokens")
    validation = load_corpus(corpus / "valid", model.tokenizer, out / "tokens")
    click.echo(machine_line())
    click.echo("| width | steps | tokens | operations | bits per byte |\n|---|---|---|---|---|")
    compute, losses = [], []
    for width in map(int, widths.split(",")):
        config = shape(width)
        for factor in LENGTHENED:
            steps = factor * smallest_steps
            options = TrainingOptions(
                steps, steps // 2, SEQUENCES, LENGTH, warmup_steps=20, side_share=0, compile=False,
                evaluate_every=10**9, checkpoint_minutes=1e9,
            )  # fmt: skip
            run = out / f"{width}-{steps}"
            if not (run / "checkpoint.pt").exists():
                train(config, options, run, training, validation, lengths, progress=False)
            rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
            bits = next(row["bits_per_byte"] for row in reversed(rows) if "bits_per_byte" in row)
            tokens = steps * SEQUENCES * LENGTH
            compute.append(training_flops(config, tokens))
            losses.append(bits)
            click.echo(f"| {width} | {steps} | {tokens:,} | {compute[-1]:.3g} | {bits:.3f} |")
    floor, scale, exponent = fit_power_law(np.array(compute), np.array(losses))
    click.echo(f"all runs: bits per byte = {floor:.3f} + {scale:.4g} * operations^-{exponent:.3f}")
    frontier_compute, frontier_losses = best_at(np.array(compute), np.array(losses))
    line = np.polyfit(np.log(frontier_compute), np.log(frontier_losses), 1)
    click.echo(
        f"frontier of {len(frontier_compute)} runs: bits per byte = {np.exp(line[1]):.4g} * operations^{line[0]:.4f}"
    )
    shipped = training_flops(DEFAULT_CONFIG, tokens_of_shipped)
    for more in (1, 10, 1000):
        saturating = floor + scale * (more * shipped) ** -exponent
        straight = float(np.exp(np.polyval(line, np.log(more * shipped))))
        from_there = (
            f", from the shipped model's own figure {shipped_bits * more ** line[0]:.3f}" if shipped_bits else ""
        )
        click.echo(
            f"{more}x the shipped model's compute ({more * shipped:.3g}): {saturating:.3f} with a floor, "
            f"{straight:.3f} without{from_there}"
        )


if __name__ == "__main__":
    main()
