"""Measures that the paper builds on, one small experiment each: ``python -m llmzip.benchmarks.related CORPUS``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from llmzip.benchmarks.machine import machine_line
from llmzip.models.data import BatchSampler, Domain, load_corpus, validation_windows
from llmzip.models.domains import domain_files, read_domain
from llmzip.models.estimators import surprisal
from llmzip.models.export import restore_network
from llmzip.models.measures import (
    Skipped,
    fit_power_law,
    generalisation_bound,
    hessian_trace,
    hidden_state_entropies,
    smoothed_bits,
)
from llmzip.models.network import Attention, GatedConvolution, SquaredReluMlp
from llmzip.models.paper_models import PaperConfig, PaperModel
from llmzip.models.train import LN2, unigram_log_frequencies
from llmzip.models.train_tokenizer import STUDY_VOCABULARY, learn_vocabulary, pack_vocabulary
from llmzip.network.model import load_model
from llmzip.network.tokenizer import Tokenizer

CONFIG = PaperConfig(STUDY_VOCABULARY, context=128, width=96, layers=3, heads=3)
BATCH = 16
PRUNING_WINDOWS = 1
SMOOTHINGS = (0.5, 0.2, 0.1, 0.05, 0.02)
SYNTHETIC_SHARES = (0.0, 0.25, 0.5, 1.0)


def cross_entropy(model: PaperModel, windows: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        loss = float(model(windows[:, :-1], windows[:, 1:]).mean())
    model.train()
    return loss


def train_small(
    model: PaperModel, batches: Callable[[int], NDArray[np.int64]], steps: int,
    held: Tensor, every: int, until: float = 0.0,
) -> list[tuple[int, float]]:  # fmt: skip
    """Train with a constant rate; return (step, validation nats a token). Stops where the smoothed training loss falls
    below ``until``."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    curve, smooth = [], None
    for step in range(1, steps + 1):
        batch = torch.from_numpy(batches(step))
        loss = model(batch[:, :-1], batch[:, 1:]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        value = float(loss.detach())
        smooth = value if smooth is None else 0.9 * smooth + 0.1 * value
        if step % every == 0:
            curve.append((step, cross_entropy(model, held)))
        if smooth < until:
            break
    return curve


def unigram_bias(training: list[Domain], held: Tensor, steps: int) -> PaperModel:
    """arXiv 2212.09686: the output bias starts as unigram log-frequencies, or at zero."""
    sampler = BatchSampler(training, CONFIG.context, 5)
    curves = {}
    for name, bias in (("with", unigram_log_frequencies(training, STUDY_VOCABULARY)), ("without", None)):
        torch.manual_seed(0)
        model = PaperModel(CONFIG, bias)
        curves[name] = train_small(model, lambda step: sampler.batch(step, BATCH), steps, held, steps // 12)
        if bias is not None:
            kept = model
    shown = [i for i in (0, 2, 5, 11) if i < len(curves["with"])]
    for name, curve in curves.items():
        click.echo(f"unigram bias, {name}: " + ", ".join(f"step {curve[i][0]} {curve[i][1]:.3f}" for i in shown))
    early = curves["with"][: len(curves["with"]) * 2 // 3]
    floor, scale, exponent = fit_power_law(*(np.array(column, float) for column in zip(*early, strict=True)))
    last_step, last = curves["with"][-1]
    click.echo(
        f"early curve: {floor:.3f} + {scale:.2f} * step^-{exponent:.3f} from {early[-1][0]} steps predicts "
        f"{floor + scale * last_step**-exponent:.3f} at step {last_step}; measured {last:.3f}"
    )
    return kept


def sample_text(model: PaperModel, tokens: int, start: NDArray[np.int64], seed: int) -> NDArray[np.uint16]:
    """Text drawn from a model, 64 rows side by side, each row from a real prefix on."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.from_numpy(start)
    model.eval()
    with torch.no_grad():
        for _ in range(tokens // len(start)):
            recent = rows[:, -CONFIG.context :]
            logits = model.logits(model.hidden_states(recent)[:, -1])
            rows = torch.cat([rows, torch.multinomial(logits.softmax(-1), 1, generator=generator)], 1)
    model.train()
    return rows[:, start.shape[1] :].flatten().numpy().astype(np.uint16)


def synthetic_data(model: PaperModel, training: list[Domain], held: Tensor, steps: int) -> None:
    """arXiv 2410.04840: a part of the training text replaced by what a model wrote."""
    sampler = BatchSampler(training, CONFIG.context, 6)
    drawn = sample_text(model, 64 * 512, sampler.batch(0, 64)[:, :32], 0)
    written = Domain.of_tokens("written", drawn, 3 * drawn.size)
    imitation = BatchSampler([written], CONFIG.context, 7)
    results = []
    for share in SYNTHETIC_SHARES:
        torch.manual_seed(1)
        student = PaperModel(CONFIG, unigram_log_frequencies(training, STUDY_VOCABULARY))
        real = round(BATCH * (1 - share))

        def mixture(step: int, real: int = real) -> NDArray[np.int64]:
            parts = [sampler.batch(step, real)] if real else []
            parts += [imitation.batch(step, BATCH - real)] if real < BATCH else []
            return np.concatenate(parts)

        results.append(train_small(student, mixture, steps, held, steps)[-1][1])
    pairs = zip(SYNTHETIC_SHARES, results, strict=True)
    click.echo("synthetic share: " + ", ".join(f"{share:.0%} {loss:.3f} nats" for share, loss in pairs))


def flatness(training: list[Domain], held: Tensor, steps: int) -> None:
    """arXiv 2210.14199: at equal training loss, flatter minima are said to do better elsewhere."""
    sampler = BatchSampler(training, CONFIG.context, 8)
    probe = torch.from_numpy(sampler.batch(10**6, 8))
    goal = None
    for batch in (32, 4):
        torch.manual_seed(2)
        model = PaperModel(
            replace(CONFIG, decoder="mixer", heads=1), unigram_log_frequencies(training, STUDY_VOCABULARY)
        )
        limit = steps if goal is None else 12 * steps
        curve = train_small(
            model, lambda step, size=batch: sampler.batch(step, size), limit, held, limit, goal or 0.0  # type: ignore[misc]
        )  # fmt: skip
        reached = cross_entropy(model, probe)
        goal = goal or reached
        parameters = [p for p in model.parameters() if p.ndim == 2]

        def loss(model: PaperModel = model) -> Tensor:
            total: Tensor = model(probe[:, :-1], probe[:, 1:]).mean()
            return total

        trace = hessian_trace(loss, parameters, 4)
        valid = curve[-1][1] if curve else cross_entropy(model, held)
        click.echo(f"flatness, batch {batch}: training loss {reached:.3f}, Hessian trace {trace:.0f}, held {valid:.3f}")


def pruning(corpus: Path) -> None:
    """arXiv 2504.03794: entropy of the hidden states behind every block, and what leaving each out costs."""
    model = load_model()
    network = restore_network(model)
    domains = load_corpus(corpus / "valid", model.tokenizer)
    rows = np.concatenate(
        [r for r in (validation_windows(d, 512, PRUNING_WINDOWS) for d in domains) if r.shape[1] == 513]
    )
    windows = torch.from_numpy(rows)
    size = float(model.tokenizer.token_lengths[rows[:, 1:]].sum())

    def bits() -> float:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            total = sum(float(network(part[:, :-1], part[:, 1:])[0].sum()) for part in windows.split(4))
        return total / LN2 / size

    whole = bits()
    click.echo(f"pruning: whole network {whole:.4f} bits per byte")
    found = []
    for kind, blocks in (("mixer", network.decoder.mixers), ("MLP", network.decoder.mlps)):
        with torch.autocast("cpu", torch.bfloat16):
            entropies = hidden_state_entropies(blocks, lambda: network.hidden_states(windows[:6, :-1]))
        for layer in range(len(blocks)):
            block = blocks[layer]
            assert isinstance(block, (Attention, GatedConvolution, SquaredReluMlp))
            blocks[layer] = Skipped()
            lost = bits() - whole
            blocks[layer] = block
            found.append((entropies[layer], lost))
            click.echo(f"  layer {layer} {kind}: entropy {entropies[layer]:.2f} bits, without it {lost:+.4f}")
    order = np.array([np.argsort(np.argsort([pair[i] for pair in found])) for i in (0, 1)], float)
    click.echo(f"  rank correlation of entropy and loss: {float(np.corrcoef(order)[0, 1]):.2f}")


def bound(corpus: Path, sequences: int) -> None:
    """arXiv 2312.17173: what the model file's size alone says about text not seen."""
    model = load_model()
    network = restore_network(model)
    domains = load_corpus(corpus / "train", model.tokenizer)
    tokens = sum(domain.tokens.size for domain in domains)
    rows = BatchSampler(domains, 512, 9).batch(0, sequences)
    bits = np.concatenate([surprisal(network, row[1:], int(row[0]), 512, aided=False) for row in rows])
    lengths = model.tokenizer.token_lengths[rows[:, 1:]].mean()
    size = len((resources.files("llmzip") / "data" / "base.llmzmodel").read_bytes())
    best = min(
        (generalisation_bound(float(smoothed_bits(bits, 8192, s).mean()), size, tokens, 8192, s), s)
        for s in SMOOTHINGS
    )  # fmt: skip
    click.echo(
        f"bound: {bits.mean():.3f} bits a token on training text, {tokens} tokens, {size} bytes of model: at most "
        f"{best[0]:.2f} bits a token ({best[0] / lengths:.2f} a byte, smoothing {best[1]}); uniform: 13"
    )


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--steps", default=240, show_default=True, help="Training steps of each small model.")
@click.option("--sequences", default=64, show_default=True, help="Training sequences for the bound.")
@click.option("--threads", type=int, help="Cores for torch (default: all).")
def main(corpus: Path, steps: int, sequences: int, threads: int | None) -> None:
    """Run every experiment on CORPUS: prose for the small models, the shipped model for the rest."""
    if threads:
        torch.set_num_threads(threads)
    click.echo(machine_line())
    learned = learn_vocabulary(corpus / "valid", STUDY_VOCABULARY, 2_000_000)
    tokenizer = Tokenizer.from_bytes(pack_vocabulary(learned))
    training, valid = (_prose(corpus / split, tokenizer) for split in ("train", "valid"))
    held = torch.from_numpy(validation_windows(valid, CONFIG.context, 64))
    teacher = unigram_bias([training], held, steps)
    synthetic_data(teacher, [training], held, steps)
    flatness([training], held, steps)
    pruning(corpus)
    bound(corpus, sequences)


def _prose(folder: Path, tokenizer: Tokenizer) -> Domain:
    text = read_domain(domain_files(folder)["english"])
    return Domain.of_tokens("english", tokenizer.encode(text), len(text))


if __name__ == "__main__":
    main()
