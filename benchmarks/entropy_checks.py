"""Estimators against known entropy: ``python -m llmzip.benchmarks.entropy_checks``.

A Markov chain and a probabilistic grammar, whose every token's probability is known, train small encoder-augmented
models; each estimator is compared with the truth on new text. ``--corpus`` adds the smallest embedding that holds a
block, for prose, code, logs, random and repeated bytes, beside what compressors reach.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import YARDSTICK, llmzip_peer, program_peers
from llmzip.models import estimators
from llmzip.models.data import Domain
from llmzip.models.domains import domain_files, read_domain
from llmzip.models.network import EncoderAugmentedDecoder
from llmzip.models.paper_models import PaperConfig, PaperModel, round_numbers
from llmzip.models.regress_entropy import fit, training_rows
from llmzip.models.train import LN2, TrainingOptions, train
from llmzip.network.architecture import ModelConfig, StackConfig
from llmzip.settings import DEFAULT_LEVEL

SYMBOLS = 32
WINDOW = 64
SMALL = ModelConfig(
    vocabulary=SYMBOLS,
    decoder=StackConfig(64, "ca", 256, 2, window=128),
    encoder=StackConfig(48, "ca", 192, 2, window=WINDOW),
    side_numbers=16,
)
BLOCK = 16
EMBEDDINGS = (1, 4, 16, 32)
STORED_BITS = 8
NEAR_ZERO = 0.25
"""Bits a byte that count as near-zero loss."""

Source = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]
"""Tokens of a source, the bits of each and the entropy of the distribution that it was drawn from, all ``[T]``."""


def _draw(random: np.random.Generator, distribution: NDArray[np.float64]) -> tuple[int, float, float]:
    token = int(random.choice(len(distribution), p=distribution))
    possible = distribution[distribution > 0]
    return token, -math.log2(distribution[token]), float(-(possible * np.log2(possible)).sum())


def markov_chain(length: int, seed: int) -> Source:
    """A chain over ``SYMBOLS`` tokens whose rows range from nearly certain to nearly uniform."""
    rows = np.random.default_rng(1)
    chain = np.stack([rows.dirichlet(np.full(SYMBOLS, 0.01 * 1.22**i)) for i in range(SYMBOLS)])
    random = np.random.default_rng(seed)
    tokens, bits, entropies = np.zeros(length, np.int64), np.zeros(length), np.zeros(length)
    state = 0
    for t in range(length):
        state, bits[t], entropies[t] = _draw(random, 0.98 * chain[state] + 0.02 / SYMBOLS)
        tokens[t] = state
    return tokens, bits, entropies


def grammar(length: int, seed: int) -> Source:
    """Sentences of a small grammar: an article, up to three adjectives, a noun, a verb that suits it, a stop."""
    words = np.random.default_rng(2)
    nouns, verbs = np.arange(2, 14), np.arange(14, 26)
    adjectives = np.arange(26, 31)
    choice_of_noun = words.dirichlet(np.full(12, 0.5))
    verb_after = np.stack([words.dirichlet(np.full(12, 0.1)) for _ in nouns])
    random = np.random.default_rng(seed)
    tokens: list[int] = []
    bits: list[float] = []
    entropies: list[float] = []

    def emit(possible: NDArray[np.int64], shares: NDArray[np.float64]) -> int:
        full = np.zeros(SYMBOLS)
        full[possible] = shares
        token, cost, entropy = _draw(random, full)
        tokens.append(token)
        bits.append(cost)
        entropies.append(entropy)
        return token

    next_word = np.concatenate([adjectives, nouns])
    while len(tokens) < length:
        emit(np.array([0, 1]), np.array([0.7, 0.3]))
        for count in range(4):
            more = 0.4 if count < 3 else 0.0
            word = emit(next_word, np.concatenate([np.full(5, more / 5), (1 - more) * choice_of_noun]))
            if word in nouns:
                break
        emit(verbs, verb_after[word - nouns[0]])
        emit(np.array([31]), np.array([1.0]))
    return np.array(tokens[:length]), np.array(bits[:length]), np.array(entropies[:length])


SOURCES: dict[str, Callable[[int, int], Source]] = {"Markov chain": markov_chain, "grammar": grammar}


def as_domain(tokens: NDArray[np.int64]) -> Domain:
    return Domain.of_tokens("source", tokens, tokens.size)


def train_on(tokens: NDArray[np.int64], steps: int, folder: Path) -> EncoderAugmentedDecoder:
    """A small encoder-augmented model of a source."""
    domains = [as_domain(tokens)]
    options = TrainingOptions(
        steps, steps // 2, sequences=32, length=WINDOW, side_share=0.5, compile=False, evaluate_every=10 * steps
    )
    model = train(SMALL, options, folder, domains, domains, np.ones(SYMBOLS), progress=False)
    return model.eval().requires_grad_(False)


def all_estimates(
    model: EncoderAugmentedDecoder, training: NDArray[np.int64], tokens: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Every estimator's figures for ``tokens`` ``[T]``; those in bits first."""
    states, bits = training_rows(model, [as_domain(training)], 0, WINDOW, 400)
    fitted = fit(states, bits)
    regressed = np.zeros(len(tokens))
    for part, inputs, _ in estimators.windows(tokens, 0, WINDOW):
        regressed[part] = fitted(model.hidden_states(inputs)[0].float().numpy())
    return {
        "surprisal": estimators.surprisal(model, tokens, 0, WINDOW, aided=False),
        "surprisal, aided": estimators.surprisal(model, tokens, 0, WINDOW, aided=True),
        "shift": estimators.shift_difference(model, tokens, 0, WINDOW),
        "regression": regressed,
        "occlusion, L1": estimators.occlusion(model, tokens, 0, WINDOW),
        "occlusion, cosine": estimators.occlusion(model, tokens, 0, WINDOW, "cosine"),
        "gradient x input": estimators.gradient_times_input(model, tokens, 0, WINDOW),
    }


def smallest_embedding(data: bytes, steps: int) -> tuple[int | None, list[float]]:
    """The fewest numbers of 8 bits that let a small model say blocks of ``BLOCK`` bytes with near-zero loss.

    Returns:
        That number, or None, and bits per byte that are left for each of ``EMBEDDINGS``, on blocks not trained on.
    """
    values = np.frombuffer(data, np.uint8).astype(np.int64)
    blocks = torch.from_numpy(values[: len(values) // BLOCK * BLOCK].reshape(-1, BLOCK))
    held, blocks = blocks[::10], blocks[torch.arange(len(blocks)) % 10 != 0]
    inputs_of = lambda rows: torch.nn.functional.pad(rows, (1, 0))[:, :-1]  # noqa: E731
    left: list[float] = []
    found = None
    for numbers in EMBEDDINGS:
        torch.manual_seed(0)
        config = PaperConfig(
            256, context=BLOCK, width=64, layers=2, heads=1, decoder="mixer", encoder="mixer", encoder_width=64,
            encoder_layers=2, side_numbers=numbers, injection="concatenation",
        )  # fmt: skip
        model = PaperModel(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 3e-3 * min(1.0, 2 * (steps - step) / steps)
            rows = blocks[torch.randint(len(blocks), (64,))]
            optimizer.zero_grad()
            model(inputs_of(rows), rows).mean().backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            largest = model.encode(blocks[:512]).abs().amax(0)
            side = round_numbers(model.encode(held), largest, STORED_BITS)
            logits = model.logits(model.hidden_states(inputs_of(held), side))
            loss = float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), held.flatten())) / LN2
        left.append(loss)
        if found is None and loss < NEAR_ZERO:
            found = numbers
    return found, left


def reached_by_compressors(data: bytes) -> dict[str, float]:
    """Bits per byte of llmzip and, where it is on the PATH, of paq8px -8."""
    rivals = [peer for peer in program_peers() if peer.name == YARDSTICK]
    peers = [llmzip_peer(DEFAULT_LEVEL, name="llmzip"), *rivals]
    return {peer.name: 8 * len(peer.compress(data)) / len(data) for peer in peers}


def known_texts(corpus: Path) -> dict[str, bytes]:
    """48 KB each of prose, code, logs, random bytes and one byte repeated."""
    files = domain_files(corpus / "valid")
    size = 48_000
    texts = {name: read_domain(files[name])[:size] for name in ("books", "c", "logs")}
    return texts | {"random bytes": np.random.default_rng(3).bytes(size), "one byte repeated": b"a" * size}


@click.command()
@click.option("--corpus", type=click.Path(exists=True, file_okay=False, path_type=Path), help="For the embeddings.")
@click.option("--steps", default=400, show_default=True, help="Training steps of each model.")
@click.option("--tokens", default=6000, show_default=True, help="New tokens to estimate.")
def main(corpus: Path | None, steps: int, tokens: int) -> None:
    """Compare every estimator with the true entropy of each token of two sources."""
    click.echo(machine_line())
    click.echo(
        "| source | estimator | mean | truth | bias | correlation with the token's bits "
        "| with its distribution's entropy |"
    )
    click.echo("|---|---|---|---|---|---|---|")
    for name, source in SOURCES.items():
        training, _, _ = source(200_000, 10)
        new, bits, entropies = source(tokens, 11)
        with tempfile.TemporaryDirectory() as folder:
            model = train_on(training, steps, Path(folder))
        for estimator, values in all_estimates(model, training, new).items():
            in_bits = estimator in ("surprisal", "surprisal, aided", "shift", "regression")
            mean = (
                f"{values.mean():.3f} | {bits.mean():.3f} | {values.mean() - bits.mean():+.3f}"
                if in_bits
                else "- | - | -"
            )
            correlations = [float(np.corrcoef(values, truth)[0, 1]) for truth in (bits, entropies)]
            click.echo(f"| {name} | {estimator} | {mean} | {correlations[0]:.3f} | {correlations[1]:.3f} |")
    if corpus:
        click.echo("\n| text | smallest embedding | bits per byte | left with 1, 4, 16, 32 numbers | compressors |")
        click.echo("|---|---|---|---|---|")
        for name, data in known_texts(corpus).items():
            found, left = smallest_embedding(data, steps)
            estimate = f"{found} | {found * STORED_BITS / BLOCK:g}" if found else "none | -"
            reached = ", ".join(f"{tool} {value:.3f}" for tool, value in reached_by_compressors(data).items())
            click.echo(f"| {name} | {estimate} | {', '.join(f'{loss:.2f}' for loss in left)} | {reached} |")


if __name__ == "__main__":
    main()
