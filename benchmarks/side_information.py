"""Whether side information pays: ``python -m llmzip.benchmarks.side_information CORPUS``.

Codes pieces of CORPUS/valid by the network alone with and without stored numbers, and says what these cost: those that
the encoder reads, those refined for the piece by gradient, one of a few kept ones (a hyper-prior), and a low-rank
update of a matrix. With ``--mixed`` the best of them in mixed mode too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from llmzip.benchmarks.machine import machine_line
from llmzip.blocks.side_information import pack_side
from llmzip.mixing.mixed import MixedCoder
from llmzip.models.domains import domain_files, read_domain
from llmzip.models.export import restore_network
from llmzip.models.network import EncoderAugmentedDecoder, SquaredReluMlp
from llmzip.models.train import LN2
from llmzip.network.architecture import INT8_MAX, SIDE_STEPS_PER_UNIT
from llmzip.network.model import Model, load_model
from llmzip.progress import SILENT
from llmzip.settings import table_bits_for

DOMAINS = ("books", "enwikitext", "wiki", "python", "man", "logs")
WINDOW = 512
KEPT_READINGS = 24
UPDATE_BITS = 4
SEQUENCES = 4
"""Sequences of a step of refinement."""
IGNORED = -100
"""A target that costs nothing."""
RATE = 0.06


def sequences(model: Model, plain: bytes) -> tuple[Tensor, Tensor]:
    """Inputs and targets of ``plain`` in rows of at most ``WINDOW`` tokens, each from a cold start, and padding."""
    tokens = torch.from_numpy(model.tokenizer.encode(plain).astype(np.int64))
    length = min(WINDOW, len(tokens))
    rows = -(-len(tokens) // length)
    targets = F.pad(tokens, (0, rows * length - len(tokens)), value=IGNORED).view(rows, length)
    inputs = F.pad(targets.clamp_min(0), (1, 0), value=model.start_token)[:, :-1]
    return inputs, targets


def coded_bits(network: EncoderAugmentedDecoder, inputs: Tensor, targets: Tensor, side: Tensor | None) -> Tensor:
    """Ideal code length of all ``targets`` ``[rows, T]`` with side information ``[1, numbers]``, or without."""
    total = torch.zeros(())
    with torch.autocast("cpu", torch.bfloat16):
        for row, target in zip(inputs.split(SEQUENCES), targets.split(SEQUENCES), strict=True):
            numbers = None if side is None else side.expand(len(row), -1)
            logits = network.logits(network.hidden_states(row, numbers))
            losses = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="sum", ignore_index=IGNORED)
            total = total + losses / LN2
    return total


def descend(
    parameters: list[Tensor], bits: Callable[[Tensor, Tensor], Tensor], inputs: Tensor, targets: Tensor,
    rate: float, steps: int,
) -> None:  # fmt: skip
    """Lower ``bits`` of random sequences of a piece, scaled to the whole piece, by Adam."""
    optimizer = torch.optim.Adam(parameters, lr=rate)
    random = np.random.default_rng(0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - step / steps)
        rows = torch.from_numpy(random.permutation(len(inputs))[:SEQUENCES])
        optimizer.zero_grad()
        (bits(inputs[rows], targets[rows]) * len(inputs) / len(rows)).backward()
        optimizer.step()


def as_stored(side: Tensor) -> NDArray[np.int8]:
    numbers: NDArray[np.int8] = (
        (side * SIDE_STEPS_PER_UNIT).round().clamp(-INT8_MAX, INT8_MAX).to(torch.int8).numpy()[0]
    )
    return numbers


def refined(network: EncoderAugmentedDecoder, inputs: Tensor, targets: Tensor, start: Tensor, steps: int) -> Tensor:
    """Numbers ``[1, n]`` refined for a piece from ``start``: its bits and their own, noise in place of rounding."""
    side = start.clone().requires_grad_()

    def bits(rows: Tensor, wanted: Tensor) -> Tensor:
        noisy = side + (torch.rand_like(side) - 0.5) / SIDE_STEPS_PER_UNIT
        share = len(rows) / len(inputs)
        return coded_bits(network, rows, wanted, noisy) + share * network.prior.bits(noisy).sum()

    descend([side], bits, inputs, targets, RATE, steps)
    return side.detach()


def low_rank_update(
    network: EncoderAugmentedDecoder, inputs: Tensor, targets: Tensor, rank: int, steps: int
) -> tuple[float, int]:
    """Bits saved by a low-rank update of the last MLP's output matrix, fitted to a piece, and what it costs."""
    mlp = network.decoder.mlps[-1]
    assert isinstance(mlp, SquaredReluMlp)
    matrix = mlp.out
    original = matrix.weight.data.clone()
    torch.manual_seed(0)
    left = torch.zeros(original.shape[0], rank, requires_grad=True)
    right = (torch.randn(rank, original.shape[1]) / math.sqrt(original.shape[1])).requires_grad_()

    def with_update(one: Tensor, other: Tensor, rows: Tensor, wanted: Tensor) -> Tensor:
        def forward(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return output + (arguments[0] @ other.T) @ one.T

        handle = matrix.register_forward_hook(forward)
        try:
            return coded_bits(network, rows, wanted, None)
        finally:
            handle.remove()

    descend([left, right], lambda rows, wanted: with_update(left, right, rows, wanted), inputs, targets, 0.003, steps)
    with torch.no_grad():
        highest = (1 << (UPDATE_BITS - 1)) - 1
        scales = [part.abs().amax().clamp_min(1e-8) / highest for part in (left, right)]
        rounded = [(part / scale).round() * scale for part, scale in zip((left, right), scales, strict=True)]
        saved = coded_bits(network, inputs, targets, None) - with_update(rounded[0], rounded[1], inputs, targets)
    return float(saved), UPDATE_BITS * (left.numel() + right.numel()) + 64


@torch.no_grad()
def kept_numbers(model: Model, network: EncoderAugmentedDecoder, corpus: Path) -> Tensor:
    """What the encoder reads in each domain of ``corpus``, on average: ``[domains, n]``."""
    kept = []
    for path in domain_files(corpus).values():
        text = read_domain(path)
        starts = np.linspace(0, max(0, len(text) - 4 * WINDOW), KEPT_READINGS).astype(int)
        rows = [model.tokenizer.encode(text[s : s + 4 * WINDOW])[:WINDOW] for s in starts]
        shortest = min(map(len, rows))
        batch = torch.from_numpy(np.stack([row[:shortest] for row in rows]).astype(np.int64))
        kept.append(network.encode(batch).mean(0))
    return torch.stack(kept)


def pieces(corpus: Path, domains: str, sizes: str) -> Iterator[tuple[str, bytes]]:
    """Names of domains, and pieces of their text in CORPUS/valid of each of ``sizes`` that they have."""
    files = domain_files(corpus / "valid")
    for name in domains.split(","):
        text = read_domain(files[name])
        for size in map(int, sizes.split(",")):
            if size <= len(text):
                start = min(len(text) // 3, len(text) - size)
                yield name, text[start : start + size]


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="A model file in place of the shipped one.")
@click.option("--sizes", default="1000,10000,100000", show_default=True, help="Bytes of a piece.")
@click.option("--domains", default=",".join(DOMAINS), show_default=True)
@click.option("--steps", default=24, show_default=True, help="Steps of refinement.")
@click.option("--rank", default=1, show_default=True, help="Of the low-rank update.")
@click.option("--mixed", is_flag=True, help="Mixed mode with the best numbers too.")
def main(corpus: Path, model: str | None, sizes: str, domains: str, steps: int, rank: int, mixed: bool) -> None:
    """Show bits without and with side information, its cost included, on pieces of CORPUS/valid."""
    click.echo(machine_line())
    texts = pieces(corpus, domains, sizes)
    loaded = load_model(model)
    network = restore_network(loaded)
    kept = kept_numbers(loaded, network, corpus / "train")
    click.echo("| domain | bytes | bits without | read by the encoder | refined | one of the kept | low-rank | mixed |")
    click.echo("|---|---|---|---|---|---|---|---|")
    for name, plain in texts:
        inputs, targets = sequences(loaded, plain)
        with torch.no_grad():
            base = float(coded_bits(network, inputs, targets, None))
            read = network.encode(targets[:1].clamp_min(0))
            by_code = [float(coded_bits(network, inputs[:8], targets[:8], code[None])) for code in kept]
            best = kept[int(np.argmin(by_code))][None]
        better = refined(network, inputs, targets, torch.zeros_like(read), steps)
        cells, stored = [], [as_stored(side) for side in (read, better, best)]
        costs = [8 * len(pack_side(loaded, stored[0])), 8 * len(pack_side(loaded, stored[1]))]
        costs.append(math.ceil(math.log2(len(kept))))
        totals = []
        for numbers, cost in zip(stored, costs, strict=True):
            side = torch.from_numpy(numbers)[None].float() / SIDE_STEPS_PER_UNIT
            with torch.no_grad():
                change = float(coded_bits(network, inputs, targets, side)) - base
            totals.append(change + cost)
            cells.append(f"{change:+.0f} + {cost}")
        saved, cost = low_rank_update(network, inputs, targets, rank, steps)
        cells.append(f"{-saved:+.0f} + {cost}")
        if mixed:
            winner = int(np.argmin(totals))
            coded = []
            for side_numbers in (None, stored[winner]):
                coder = MixedCoder(loaded, table_bits_for(len(plain)))
                result = coder.encode(plain, [len(plain)], 0, side_numbers, SILENT)
                coded.append(8 * len(plain if result is None else result))
            cells.append(f"{coded[0]} {coded[1] - coded[0]:+d} + {costs[winner]}")
        else:
            cells.append("-")
        click.echo(f"| {name} | {len(plain)} | {base:.0f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
