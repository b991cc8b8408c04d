"""Bits per byte on validation text by domain: ``python -m llmzip.benchmarks.validate VALID``.

The network's figure is its ideal code length over a file's start in one lane; mixed mode's and context mode's are coded
sizes, container left out.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from llmzip.benchmarks import results
from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import llmzip_peer
from llmzip.mixing.context import ContextCoder
from llmzip.mixing.mixed import MixedCoder
from llmzip.models.domains import domain_files, read_domain
from llmzip.network.model import Model, code_lengths, inputs_of, load_model
from llmzip.progress import SILENT

TABLE_BITS = 16
CALL_TOKENS = 256


def network_bits(model: Model, plain: bytes) -> float:
    """Ideal code length of ``plain`` in bits under the network alone."""
    tokens = model.tokenizer.encode(plain)[None]
    inputs = inputs_of(model, tokens)
    predictor = model.predictor(1, CALL_TOKENS, None)
    bits = 0.0
    for start in range(0, tokens.size, CALL_TOKENS):
        part = slice(start, start + CALL_TOKENS)
        bits += float(code_lengths(predictor(np.ascontiguousarray(inputs[:, part])), tokens[0, part]).sum())
    return bits


def mixed_bits(model: Model, plain: bytes) -> float:
    """Coded size of ``plain`` in bits in mixed mode, one lane."""
    coded = MixedCoder(model, TABLE_BITS).encode(plain, [len(plain)], 0, None, SILENT)
    return 8.0 * (len(plain) if coded is None else len(coded))


def context_bits(plain: bytes) -> float:
    """Coded size of ``plain`` in bits in context mode."""
    coded = ContextCoder(TABLE_BITS).encode(plain, 0, SILENT)
    return 8.0 * (len(plain) if coded is None else len(coded))


@click.command()
@click.argument("valid", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--first", default=100_000, show_default=True, help="Bytes from the start of each domain.")
@click.option("--mixed", is_flag=True, help="Mixed mode and context mode too.")
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="A model file in place of the shipped one.")
@results.json_option("validation")
def main(valid: Path, first: int, mixed: bool, model: str | None, target: Path) -> None:
    """Measure the model on VALID; the last row weighs domains by their size in bytes."""
    loaded = load_model(model)
    click.echo(machine_line())
    ways = ["network", "mixed mode", "context mode"][: 3 if mixed else 1]
    totals, weights = np.zeros(len(ways)), 0
    result = results.new_result([llmzip_peer(6)])
    result["head"] = [f"domain, first {first:,} bytes", "bytes in all", *(f"{way}, bits per byte" for way in ways)]
    result["rows"] = []

    def add(name: str, size: int, bits: np.ndarray) -> None:
        result["rows"].append([name, f"{size:,}", *(f"{value:.4f}" for value in bits)])
        click.echo(
            f"{name:16}{size:>12,} bytes" + "".join(f"  {way} {v:.4f}" for way, v in zip(ways, bits, strict=True))
        )

    for name, path in domain_files(valid).items():
        text = read_domain(path)
        plain = text[:first]
        found = [network_bits(loaded, plain)]
        if mixed:
            found += [mixed_bits(loaded, plain), context_bits(plain)]
        bits = np.array(found) / len(plain)
        add(name, len(text), bits)
        totals += bits * len(text)
        weights += len(text)
    add("all", weights, totals / weights)
    results.save(result, target)


if __name__ == "__main__":
    main()
