"""What fewer bits a weight would cost: ``python -m llmzip.benchmarks.weight_bits VALID``.

Rounds the shipped model's weights to fewer bits, without training it for them, and evaluates the float model.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import click
import torch
from torch import Tensor

from llmzip.benchmarks.machine import machine_line
from llmzip.models.data import load_corpus
from llmzip.models.export import import_model
from llmzip.models.network import EncoderAugmentedDecoder
from llmzip.models.train import evaluate
from llmzip.network.architecture import largest_weight
from llmzip.network.model import load_model

HASHED = ("bigram_embedding", "trigram_embedding")


def huffman_coded_bytes(weight: Tensor, bits: int) -> int:
    """Size of a matrix rounded to ``bits`` with a scale for each row, Huffman-coded. A model file has two of a hashed
    embedding's four-bit values in a byte, which takes hardly more."""
    largest = largest_weight(bits)
    scale = weight.abs().amax(1, keepdim=True).clamp_min(1e-12) / largest
    coder = zlib.compressobj(9, strategy=zlib.Z_HUFFMAN_ONLY)
    return len(coder.compress((weight / scale).round().to(torch.int8).numpy().tobytes()) + coder.flush())


@click.command()
@click.argument("valid", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="A model file in place of the shipped one.")
@click.option("--windows", default=2, show_default=True, help="Windows of 512 tokens a domain.")
def main(valid: Path, model: str | None, windows: int) -> None:
    """Show bits per byte on VALID and the file's size by bits of the weights and of the hashed embeddings'."""
    loaded = load_model(model)
    domains = load_corpus(valid, loaded.tokenizer)
    lengths = torch.from_numpy(loaded.tokenizer.token_lengths).float()
    weights = import_model(loaded)
    click.echo(machine_line())
    own = loaded.config.weight_bits, loaded.config.bigram_weight_bits
    for weight_bits, hashed_bits in (own, (5, own[1]), (4, own[1]), (own[0], 3), (own[0], 2)):
        network = EncoderAugmentedDecoder(
            replace(loaded.config, weight_bits=weight_bits, bigram_weight_bits=hashed_bits)
        )
        network.load_state_dict(weights)
        result = evaluate(network, domains, lengths, windows)
        size = sum(
            huffman_coded_bytes(weight, hashed_bits if name in HASHED else weight_bits)
            for name, weight in weights.items()
            if weight.ndim == 2 and not name.endswith("taps")
        )
        click.echo(
            f"{weight_bits} bits, hashed embeddings {hashed_bits}: {result['bits_per_byte']:.4f} bits per byte, "
            f"{size / 1e6:.2f} MB of weights"
        )


if __name__ == "__main__":
    main()
