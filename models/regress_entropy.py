"""Add the second-order model to a model file: ``python -m llmzip.models.regress_entropy MODEL CORPUS OUT``.

It regresses each token's entropy, as the encoder-augmented model estimates it, from the decoder's state before the
token, with mean squared error (arXiv 2511.10618): one forward pass without the head gives estimates for a whole file.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from llmzip.estimates import SecondOrderModel
from llmzip.models.data import BatchSampler, Domain
from llmzip.models.domains import random_pieces
from llmzip.models.estimators import EncoderAugmented, surprisal
from llmzip.models.export import restore_network
from llmzip.network.model import load_model

HIDDEN = 32
STEPS = 1500
BATCH = 512
PIECE_BYTES = 20_000
HELD_OUT_PART = 8
"""One piece of text in so many is kept back from fitting, to tell how good it is."""
SAMPLED_BYTES_PER_TOKEN = 12
"""Text by token to learn from: sequences are drawn from some four times as much."""


def fit(states: NDArray[np.float32], bits: NDArray[np.float64], steps: int = STEPS, seed: int = 0) -> SecondOrderModel:
    """Fit a second-order model of 32 units to ``bits`` ``[T]`` from ``states`` ``[T, width]`` by Adam."""
    torch.manual_seed(seed)
    inputs, targets = torch.from_numpy(states), torch.from_numpy(bits).float()
    first, second = nn.Linear(states.shape[1], HIDDEN), nn.Linear(HIDDEN, 1)
    second.bias.data.fill_(float(targets.mean()))
    optimizer = torch.optim.AdamW([*first.parameters(), *second.parameters()], lr=3e-3, weight_decay=0.01)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (1 - step / steps)
        rows = torch.randint(len(inputs), (BATCH,))
        loss = F.mse_loss(second(F.relu(first(inputs[rows])))[:, 0], targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fitted = (first.weight, first.bias, second.weight[0], second.bias)
    return SecondOrderModel(*(tensor.detach().numpy().copy() for tensor in fitted))


@torch.no_grad()
def training_rows(
    network: EncoderAugmented, domains: list[Domain], start_token: int, length: int, sequences: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """States before tokens of random sequences, ``[T, width]``, and the tokens' aided surprisal in bits ``[T]``."""
    states, bits = [], []
    for row in BatchSampler(domains, length, seed=11).batch(0, sequences):
        tokens = row[1:]
        inputs = torch.from_numpy(np.concatenate([[start_token], tokens[:-1]]))[None]
        states.append(network.hidden_states(inputs)[0].float().numpy())
        bits.append(surprisal(network, tokens, start_token, length, aided=True))
    return np.concatenate(states), np.concatenate(bits)


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--sequences", default=200, show_default=True, help="Sequences of one encoder window to learn from.")
def main(model: str, corpus: Path, out: Path, sequences: int) -> None:
    """Fit MODEL's second-order model on CORPUS and write both to OUT."""
    loaded = load_model(model)
    window = loaded.config.encoder.window
    pieces = random_pieces(corpus, SAMPLED_BYTES_PER_TOKEN * sequences * window, PIECE_BYTES)
    held = max(1, len(pieces) // HELD_OUT_PART)
    network = restore_network(loaded)

    def rows_of(part: list[bytes], wanted: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        text = b"\0".join(part)
        sampled = Domain.of_tokens("sample", loaded.tokenizer.encode(text), len(text))
        return training_rows(network, [sampled], loaded.start_token, window, wanted)

    fitted = fit(*rows_of(pieces[held:], sequences - sequences // HELD_OUT_PART))
    states, bits = rows_of(pieces[:held], max(1, sequences // HELD_OUT_PART))
    estimates = fitted(states)
    error = float(np.mean((estimates - bits) ** 2) / bits.var())
    correlation = float(np.corrcoef(estimates, bits)[0, 1])
    click.echo(f"{len(bits)} held-out tokens: correlation {correlation:.3f}, squared error {error:.3f} of the variance")
    out.write_bytes(loaded.whole_file.with_extras("regression", fitted._asdict()))


if __name__ == "__main__":
    main()
