"""Whether a small model gains from a large one: ``python -m llmzip.benchmarks.distillation CORPUS``.

Trains a small decoder on the corpus, on what the shipped model says of it (arXiv 1503.02531), and on both; then on the
corpus alone with the operations that the teacher took added to its own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.scaling import LENGTH, SEQUENCES, shaped
from llmzip.models.data import BatchSampler, Domain, load_corpus
from llmzip.models.devices import autocast
from llmzip.models.export import restore_network
from llmzip.models.network import EncoderAugmentedDecoder
from llmzip.models.train import (
    TrainingOptions,
    evaluate,
    learning_rate_factor,
    make_optimizers,
    operations_per_token,
    unigram_log_frequencies,
    update_weights,
)
from llmzip.network.model import load_model

CPU = torch.device("cpu")


def distilled_loss(logits: Tensor, targets: Tensor, taught: Tensor | None, share: float) -> Tensor:
    """Cross-entropy in nats, ``share`` of it against the teacher's logits ``[tokens, V]`` in place of the targets."""
    loss = (1 - share) * F.cross_entropy(logits, targets)
    if taught is not None:
        loss = loss + share * F.cross_entropy(logits, taught.softmax(-1))
    return loss


def train_student(
    shape: str, steps: int, share: float, teacher: EncoderAugmentedDecoder, training: list[Domain], seed: int
) -> EncoderAugmentedDecoder:
    """Train a decoder of ``shape``; the teacher is asked only where ``share`` of the loss is its."""
    options = TrainingOptions(steps, steps // 2, SEQUENCES, LENGTH, warmup_steps=min(20, steps), side_share=0)
    config = replace(shaped(shape), vocabulary=teacher.config.vocabulary)
    torch.manual_seed(seed)
    student = EncoderAugmentedDecoder(config, unigram_log_frequencies(training, config.vocabulary))
    optimizers = make_optimizers(student, options)
    sampler = BatchSampler(training, LENGTH, seed)
    for step in range(steps):
        batch = torch.from_numpy(sampler.batch(step, SEQUENCES))
        inputs, targets = batch[:, :-1], batch[:, 1:].flatten()
        with autocast(CPU):
            taught = None
            if share:
                with torch.no_grad():
                    taught = teacher.logits(teacher.hidden_states(inputs)).flatten(0, 1)
            logits = student.logits(student.hidden_states(inputs)).flatten(0, 1)
        distilled_loss(logits, targets, taught, share).backward()
        update_weights(optimizers, learning_rate_factor(step, options))
    return student


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--teacher", type=click.Path(exists=True, dir_okay=False), help="A model file (default: the shipped one)."
)
@click.option("--shape", default="128:ccca", show_default=True, help="Width and layers of the student's decoder.")
@click.option("--budget", default=1e13, show_default=True, help="Training operations of the student.")
@click.option("--shares", default="0,0.5,1", show_default=True, help="Of the loss, the teacher's.")
@click.option("--tokens", type=click.Path(path_type=Path), help="Folder that keeps the encoded corpus.")
@click.option("--seed", default=1, show_default=True)
def main(
    corpus: Path, teacher: str | None, shape: str, budget: float, shares: str, tokens: Path | None, seed: int
) -> None:
    """Show bits per byte on CORPUS/valid of a small model taught by a large one, and without it."""
    loaded = load_model(teacher)
    network = restore_network(loaded)
    tokenizer = loaded.tokenizer
    training = load_corpus(corpus / "train", tokenizer, tokens)
    validation = load_corpus(corpus / "valid", tokenizer, tokens)
    lengths = torch.from_numpy(tokenizer.token_lengths.astype(np.float32))
    own, asked = operations_per_token(shaped(shape)), operations_per_token(loaded.config) / 3
    steps = max(1, round(budget / own / (SEQUENCES * LENGTH)))
    click.echo(machine_line())
    click.echo("| teacher's share | tokens | operations, the teacher's too | bits per byte |\n|---|---|---|---|")
    runs = [(float(share), steps) for share in shares.split(",")]
    for share, taken in [*runs, (0.0, round(steps * (own + asked) / own))]:
        student = train_student(shape, taken, share, network, training, seed)
        seen = taken * SEQUENCES * LENGTH
        bits = evaluate(student, validation, lengths)["bits_per_byte"]
        click.echo(f"| {share:g} | {seen:,} | {seen * (own + (asked if share else 0)):.3g} | {bits:.3f} |")


if __name__ == "__main__":
    main()
