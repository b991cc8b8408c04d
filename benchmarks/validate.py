"""Bits per byte on validation text by domain: ``python -m llmzip.benchmarks.validate VALID``.

Token mode is the network's ideal code length over a file's start in one lane; mixed mode is the coded size.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from llmzip.benchmarks.machine import machine_line
from llmzip.mixing.mixed_coding import MixedCoder, bucket_bits_for
from llmzip.network.model import Model, code_lengths, load_model
from llmzip.models.domains import domain_files, read_domain
from llmzip.progress import SILENT
from llmzip.entropy import predictions


def network_bits(model: Model, plain: bytes) -> float:
    """Ideal code length of ``plain`` in bits under the network alone."""
    tokens = model.tokenizer.encode(plain)
    return sum(
        float(code_lengths(cumulative, tokens[part]).sum()) for part, _, cumulative in predictions(model, tokens)
    )


def mixed_bits(model: Model, plain: bytes) -> float:
    """Coded size of ``plain`` in bits in mixed mode, one lane, container left out."""
    result = MixedCoder(model, bucket_bits_for(len(plain))).encode(model.tokenizer.encode(plain), 1, None, None, SILENT)
    return 8.0 * len(result[1]) if result else 8.0 * len(plain)


@click.command()
@click.argument("valid", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--first", default=100_000, show_default=True, help="Bytes from the start of each domain.")
@click.option("--mixed", is_flag=True, help="Mixed mode too.")
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="A model file in place of the shipped one.")
def main(valid: Path, first: int, mixed: bool, model: str | None) -> None:
    """Measure the model on VALID; the sum weighs domains by their size in bytes."""
    loaded = load_model(model)
    click.echo(machine_line())
    totals, weights = np.zeros(2), 0
    for name, path in domain_files(valid).items():
        text = read_domain(path)
        plain = text[:first]
        bits = np.array([network_bits(loaded, plain), mixed_bits(loaded, plain) if mixed else np.nan]) / len(plain)
        click.echo(f"{name:14} {len(text):9} bytes  token mode {bits[0]:.4f}  mixed mode {bits[1]:.4f}")
        totals += bits * len(text)
        weights += len(text)
    click.echo(
        f"{'all':14} {weights:9} bytes  token mode {totals[0] / weights:.4f}  mixed mode {totals[1] / weights:.4f}"
    )


if __name__ == "__main__":
    main()
