"""Scale a trained network's hashed embeddings and its head to fit text that it has not read.

``python -m llmzip.models.calibrate MODEL VALID OUT``. A network that has read its text several times over trusts rows
of pairs and triples, and its own certainty, more than new text bears out. Three factors are fitted: a temperature, as
in C. Guo and others, "On calibration of modern neural networks" (arXiv 1706.04599), and one for each table. They
change the multipliers of rows alone, so the weights in the file stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import click
import torch
from torch import Tensor

from llmzip.models.data import Domain, load_corpus, validation_windows
from llmzip.models.export import export_model, restore_network
from llmzip.models.network import EncoderAugmentedDecoder
from llmzip.models.train import plain_bits_and_bytes
from llmzip.network.model import load_model

SCALED = ("trigram_embedding", "bigram_embedding", "head.weight")
STEP = 0.95
LENGTH = 512


def mean_log_bits(
    network: EncoderAugmentedDecoder, domains: list[Domain], token_lengths: Tensor, windows: int
) -> float:
    """Natural logarithm of bits per byte, the mean over domains, in ``windows`` of each from a cold start.

    Args:
        token_lengths: bytes of each token, float32 ``[V]``.
    """
    total = 0.0
    for domain in domains:
        batch = torch.from_numpy(validation_windows(domain, LENGTH, windows))
        bits, size = plain_bits_and_bytes(network, batch, token_lengths)
        total += math.log(bits / size)
    return total / len(domains)


def calibrate(
    network: EncoderAugmentedDecoder, loss: Callable[[], float], tell: Callable[[str, float, float], None]
) -> dict[str, float]:
    """Scale ``network`` in place, one factor after the other, by steps of ``STEP`` as long as ``loss`` falls.

    Args:
        tell: is called after each trial with the name, its factor and the loss.
    """
    parameters = dict(network.named_parameters())
    factors = dict.fromkeys(SCALED, 1.0)
    best = loss()
    tell("", 1.0, best)
    for name in SCALED:
        parameter = parameters[name]
        if not parameter.numel():
            continue
        while True:
            before = parameter.data.clone()
            parameter.data *= STEP
            now = loss()
            tell(name, factors[name] * STEP, now)
            if now >= best:
                parameter.data.copy_(before)
                break
            best = now
            factors[name] *= STEP
    return factors


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.argument("valid", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--windows", default=2, show_default=True, help="Of 512 tokens, of each domain.")
def main(model: str, valid: Path, out: Path, windows: int) -> None:
    """Calibrate MODEL on the text in VALID and write its network, without mixers, to OUT."""
    loaded = load_model(model)
    network = restore_network(loaded)
    domains = load_corpus(valid, loaded.tokenizer)
    lengths = torch.from_numpy(loaded.tokenizer.token_lengths).float()

    def tell(name: str, factor: float, now: float) -> None:
        click.echo(f"{name or 'as it is'} {factor:.3f}: {math.exp(now):.4f} bits per byte")

    factors = calibrate(network, lambda: mean_log_bits(network, domains, lengths, windows), tell)
    click.echo(", ".join(f"{name} {factor:.3f}" for name, factor in factors.items()))
    out.write_bytes(export_model(network, loaded.file.read("vocabulary").tobytes()))


if __name__ == "__main__":
    main()
