"""Integer against float model, in bits per byte on validation text: ``python -m llmzip.benchmarks.exactness VALID``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch

from llmzip.benchmarks.machine import machine_line
from llmzip.models.data import load_corpus, validation_windows
from llmzip.models.export import restore_network
from llmzip.models.train import LN2
from llmzip.network.model import code_lengths, load_model


@click.command()
@click.argument("valid", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--windows", default=4, show_default=True, help="Windows of 512 tokens from each domain.")
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="A model file in place of the shipped one.")
@click.option(
    "--float-weights", type=click.Path(exists=True, dir_okay=False),
    help="Checkpoint with the unrounded weights; without it, the float model has the shipped, rounded weights.",
)  # fmt: skip
@torch.no_grad()
def main(valid: Path, windows: int, model: str | None, float_weights: str | None) -> None:
    """Compare the integer model with the float model on VALID, a folder of text files."""
    integer = load_model(model)
    network = restore_network(integer)
    if float_weights:
        network.load_state_dict(torch.load(float_weights, weights_only=True)["model"])
    click.echo(machine_line())
    totals = np.zeros(2)
    weight = 0.0
    for domain in load_corpus(valid, integer.tokenizer):
        batch = validation_windows(domain, 512, windows)
        targets = batch[:, 1:]
        size = int(integer.tokenizer.token_lengths[targets].sum(dtype=np.int64))
        losses, _ = network(torch.from_numpy(batch[:, :-1]), torch.from_numpy(targets))
        predictor = integer.predictor(len(batch), targets.shape[1], None)
        cumulative = predictor(np.ascontiguousarray(batch[:, :-1], np.int32))
        bits = np.array([code_lengths(cumulative, targets.ravel()).sum(), float(losses.sum()) / LN2]) / size
        click.echo(f"{domain.name:14} integer {bits[0]:.4f}  float {bits[1]:.4f}")
        totals += bits * domain.text_bytes
        weight += domain.text_bytes
    totals /= weight
    click.echo(f"{'all':14} integer {totals[0]:.4f}  float {totals[1]:.4f}  ratio {totals[0] / totals[1]:.5f}")


if __name__ == "__main__":
    main()
