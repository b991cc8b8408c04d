"""``llmzip train``: train, evaluate and export models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from llmzip.models.data import load_corpus
from llmzip.models.devices import Worker
from llmzip.models.estimators import corpus_estimates
from llmzip.models.export import export_model, import_model, restore_network
from llmzip.models.grow import grow
from llmzip.models.objectives import CROSS_ENTROPY, OBJECTIVES, needs_estimates
from llmzip.models.train import TRAINED_RATE, default_options, last_evaluation, train
from llmzip.network.architecture import DEFAULT_CONFIG
from llmzip.network.model import load_model
from llmzip.network.tokenizer import Tokenizer

SHIPPED = "shipped"


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option("--steps", default=3000, show_default=True, help="Optimiser steps in all, those already done included.")
@click.option("--cooldown-steps", default=750, show_default=True, help="Last steps, with a falling learning rate.")
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    help="Train for so long in place of --steps; the rate falls to zero at the end.",
)
@click.option(
    "--cooldown-share",
    default=0.4,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Of the minutes, with a falling learning rate.",
)
@click.option("--sequences", type=int, help="Sequences per step, over all workers (default: 16; on GPUs 32 for each).")
@click.option("--length", type=int, help="Tokens per sequence (default: 512; on GPUs 2,048).")
@click.option("--rate", type=float, help="Factor on all learning rates (default: 1, or 0.7 from trained weights).")
@click.option(
    "--side-share", type=float, help="Share of sequences with side information (default: 0.25; on GPUs 0.0625)."
)
@click.option(
    "--start-from",
    metavar="MODEL",
    help="Start from the weights of a model file, or of the one that ships (shipped), grown to the network's size.",
)
@click.option("--vocabulary", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Another vocabulary.")
@click.option("--layers", help="Decoder layers: c gated convolution, a attention (all a: a causal transformer).")
@click.option(
    "--objective", type=click.Choice(OBJECTIVES), default=CROSS_ENTROPY, show_default=True, help="What training lowers."
)
@click.option(
    "--estimates-from",
    type=click.Path(exists=True, dir_okay=False),
    help="Model file whose entropy estimates the objective uses (default: the shipped one); kept in RUN/estimates.",
)
@click.option("--seed", default=1, show_default=True)
@click.option("--no-compile", is_flag=True, help="Run without torch.compile.")
def main(
    corpus: Path, run: Path, steps: int, cooldown_steps: int, minutes: float | None, cooldown_share: float,
    sequences: int | None, length: int | None, rate: float | None, side_share: float | None, start_from: str | None,
    vocabulary: Path | None, layers: str | None, objective: str, estimates_from: str | None, seed: int,
    no_compile: bool,
) -> None:  # fmt: skip
    """Train on CORPUS/train, evaluate on CORPUS/valid, export RUN/model.llmzmodel.

    RUN holds log.jsonl and checkpoint.pt; the same command goes on from them. Under torchrun, all workers share the
    batch.
    """
    worker = Worker.join()
    usual = default_options(worker)
    source = load_model(None if start_from == SHIPPED else start_from) if start_from else None
    packed = vocabulary.read_bytes() if vocabulary else (source or load_model()).file.read("vocabulary").tobytes()
    tokenizer = Tokenizer.from_bytes(packed)
    if not worker.first:
        worker.wait()  # for the first one's tokens
    training = load_corpus(corpus / "train", tokenizer, run / "tokens")
    validation = load_corpus(corpus / "valid", tokenizer, run / "tokens")
    if worker.first:
        worker.wait()
    options = replace(
        usual, steps=steps, cooldown_steps=cooldown_steps, sequences=sequences or usual.sequences,
        length=length or usual.length, rate=rate or (TRAINED_RATE if source else usual.rate),
        side_share=usual.side_share if side_share is None else side_share, seed=seed, compile=not no_compile,
        objective=objective, minutes=minutes, cooldown_share=cooldown_share,
    )  # fmt: skip
    decoder = replace(DEFAULT_CONFIG.decoder, layers=layers or DEFAULT_CONFIG.decoder.layers)
    config = replace(DEFAULT_CONFIG, decoder=decoder)
    initial = None
    if source:
        initial = import_model(source)
        if source.config != config:
            try:
                initial = grow(initial, source.config, config)
            except ValueError as error:
                raise click.UsageError(f"cannot start from {start_from}: {error}") from error
    estimates = None
    if needs_estimates(objective):
        estimator = load_model(estimates_from)
        if estimator.file.read("vocabulary").tobytes() != packed:
            raise click.UsageError("--estimates-from names a model with another vocabulary")
        if not worker.first:
            worker.wait()  # for the first one's estimates
        estimates = corpus_estimates(
            restore_network(estimator), estimator.fingerprint.hex(), training, estimator.start_token,
            estimator.config.encoder.window, run / "estimates",
        )  # fmt: skip
        if worker.first:
            worker.wait()
    model = train(config, options, run, training, validation, tokenizer.token_lengths, initial, estimates=estimates)
    if worker.first:
        (run / "model.llmzmodel").write_bytes(export_model(model, packed))
        click.echo(json.dumps(last_evaluation(run), indent=2))


if __name__ == "__main__":
    main()
