"""A scaling law from small runs: ``python -m llmzip.benchmarks.scaling CORPUS OUT``.

Trains several shapes for the same training operations at several budgets, each run with its own cool-down; fits bits
per byte on CORPUS/valid against operations, with and without the shipped model as a point; predicts more compute. OUT
keeps the runs: the command goes on from there.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch

from llmzip.benchmarks.machine import machine_line
from llmzip.models.data import load_corpus
from llmzip.models.export import export_model
from llmzip.models.measures import POWER_LAW_POINTS, fit_power_law
from llmzip.models.train import TrainingOptions, train
from llmzip.network.architecture import CHANNEL_TILE, DEFAULT_CONFIG, ModelConfig
from llmzip.network.model import load_model

SEQUENCES, LENGTH = 8, 256
BUDGET_SHARES = (0.25, 0.5, 1.0)
SHAPES = ("128:ccca", "192:ccca", "256:ccca", "384:ccca")
"""Width and layers of the decoder."""


def shaped(shape: str) -> ModelConfig:
    """The shipped configuration with a decoder of another shape, a bigram embedding of 4,096 rows only, and hardly an
    encoder, as these runs use none."""
    width, layers = shape.split(":")
    channels = int(width)
    decoder = replace(
        DEFAULT_CONFIG.decoder, width=channels, hidden=4 * channels, heads=max(1, channels // 64), layers=layers
    )
    encoder = replace(DEFAULT_CONFIG.encoder, width=CHANNEL_TILE, layers="c", hidden=CHANNEL_TILE, heads=1)
    return replace(
        DEFAULT_CONFIG,
        decoder=decoder,
        encoder=encoder,
        bigram_bits=12,
        bigram_width=channels // 2,
        trigram_bits=0,
        trigram_width=0,
    )


def operations_per_token(config: ModelConfig) -> float:
    """Training operations: six for each weight of the decoder's layers and its head."""
    decoder = config.decoder
    weights = len(decoder.layers) * (4 * decoder.width**2 + 2 * decoder.width * decoder.hidden)
    return 6.0 * (weights + decoder.width * config.vocabulary)


def run_folder(out: Path, shape: str, budget: float) -> Path:
    return out / f"{shape.replace(':', '-')}-{budget:.3g}"


def validation_bits(run: Path) -> float:
    """Bits per byte at the end of a run."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return float(next(row["bits_per_byte"] for row in reversed(rows) if "bits_per_byte" in row))


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--shapes", default=",".join(SHAPES), show_default=True, help="Width and layers of each decoder.")
@click.option("--budget", default=2e13, show_default=True, help="Training operations of the longest runs.")
@click.option("--shipped-tokens", default=239_000_000, show_default=True, help="Training tokens of the shipped model.")
@click.option("--shipped-bits", type=float, help="Its bits per byte on CORPUS/valid: a point of the law.")
@click.option("--threads", type=int, help="Cores for torch (default: all).")
def main(
    corpus: Path, out: Path, shapes: str, budget: float, shipped_tokens: int, shipped_bits: float | None,
    threads: int | None,
) -> None:  # fmt: skip
    """Fit a scaling law to small runs on CORPUS and predict 10 and 1,000 times the compute."""
    if threads:
        torch.set_num_threads(threads)
    model = load_model()
    tokenizer, vocabulary = model.tokenizer, model.file.read("vocabulary").tobytes()
    training = load_corpus(corpus / "train", tokenizer, out / "tokens")
    validation = load_corpus(corpus / "valid", tokenizer, out / "tokens")
    click.echo(machine_line())
    click.echo("| shape | tokens | operations | bits per byte |\n|---|---|---|---|")
    compute, losses = [], []
    for shape in shapes.split(","):
        config = shaped(shape)
        for share in BUDGET_SHARES:
            steps = max(1, round(share * budget / operations_per_token(config) / (SEQUENCES * LENGTH)))
            options = TrainingOptions(
                steps, steps // 2, SEQUENCES, LENGTH, warmup_steps=min(20, steps), side_share=0, compile=False,
                evaluate_every=10**9, checkpoint_minutes=1e9,
            )  # fmt: skip
            run = run_folder(out, shape, share * budget)
            if not (run / "model.llmzmodel").exists():
                network = train(config, options, run, training, validation, tokenizer.token_lengths, progress=False)
                (run / "model.llmzmodel").write_bytes(export_model(network, vocabulary))
            tokens = steps * SEQUENCES * LENGTH
            compute.append(operations_per_token(config) * tokens)
            losses.append(validation_bits(run))
            click.echo(f"| {shape} | {tokens:,} | {compute[-1]:.3g} | {losses[-1]:.3f} |")
    shipped = operations_per_token(DEFAULT_CONFIG) * shipped_tokens
    by_budget = np.array(losses).reshape(-1, len(BUDGET_SHARES))
    laws = {}
    if len(losses) >= POWER_LAW_POINTS:
        laws[f"all {len(losses)} runs"] = fit_power_law(np.array(compute), np.array(losses))
    if shipped_bits:
        laws["the best shape at each budget, and the shipped model"] = fit_power_law(
            np.array([share * budget for share in BUDGET_SHARES] + [shipped]),
            np.append(by_budget.min(0), shipped_bits),
        )
    click.echo(f"the shipped model took {shipped:.3g} operations; bits per byte for 1, 10 and 1,000 times as many:")
    for title, (floor, scale, exponent) in laws.items():
        predictions = [floor + scale * (more * shipped) ** -exponent for more in (1, 10, 1000)]
        click.echo(
            f"{title}: {floor:.3f} + {scale:.4g} * operations^-{exponent:.3f}: "
            + ", ".join(f"{bits:.3f}" for bits in predictions)
        )


if __name__ == "__main__":
    main()
