"""Training past a small text's entropy: ``python -m llmzip.benchmarks.generalisation CORPUS OUT``.

Trains small models on a part of one domain, with each objective and several seeds, far past the point where they know
it by heart; reports loss on that part, on the domain's validation text and on another domain over time. Estimates come
from an encoder-augmented model of ten times that part; for one objective also from models of that part alone, each of
one half for the other half.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from llmzip.benchmarks.machine import machine_line
from llmzip.models.data import Domain, load_corpus
from llmzip.models.domains import domain_files
from llmzip.models.estimators import corpus_estimates
from llmzip.models.network import EncoderAugmentedDecoder
from llmzip.models.objectives import OBJECTIVES
from llmzip.models.train import LN2, LOG_NAME, TrainingOptions, train
from llmzip.models.train_tokenizer import STUDY_VOCABULARY, study_tokenizer
from llmzip.network.architecture import ModelConfig, StackConfig

LENGTH = 128
CONFIG = ModelConfig(
    vocabulary=STUDY_VOCABULARY,
    decoder=StackConfig(96, "cca", 384, 3, window=LENGTH),
    encoder=StackConfig(48, "ca", 192, 2, window=LENGTH),
    side_numbers=16,
)
OUT_OF_DOMAIN = "english"
SAME_TEXT_OBJECTIVE = "distance"
"""The objective that is also tried with estimates that know no other text."""
HALF_STEPS_SHARE = 5
"""A model of half the part stops after this share of the steps, before it knows that half by heart."""
OPTIONS = TrainingOptions(
    steps=0, cooldown_steps=1, sequences=8, length=LENGTH, side_share=0, compile=False, checkpoint_minutes=1e9,
    warmup_steps=20, muon_rate=0.01,
)  # fmt: skip


def part_of(domain: Domain, name: str, tokens: int) -> Domain:
    """The first tokens of a domain, as a domain."""
    kept = domain.tokens[:tokens]
    return Domain.of_tokens(name, kept, int(domain.text_bytes * len(kept) / domain.tokens.size))


def estimates_by_halves(
    part: Domain, train_on: Callable[[Domain], EncoderAugmentedDecoder], start: int, out: Path
) -> NDArray[np.float16]:
    """Entropy of each token in nats by a model that was trained on the other half of ``part``; float16 ``[tokens]``."""
    middle = part.tokens.size // 2
    halves = [
        Domain.of_tokens(f"half-{i}", tokens, part.text_bytes // 2)
        for i, tokens in enumerate((part.tokens[:middle], part.tokens[middle:]))
    ]
    estimates = []
    for half, other in zip(halves, reversed(halves), strict=True):
        name = f"{half.name}-by-{other.name}-of-{part.tokens.size}"
        estimates.append(corpus_estimates(train_on(other), name, [half], start, LENGTH, out)[half.name])
    return np.concatenate(estimates)


def evaluations(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / LOG_NAME).read_text().splitlines()]
    return [{"step": row["step"]} | row["domains"] for row in rows if "domains" in row]


def summarise(curves: dict[str, list[list[dict[str, Any]]]], entropy: float) -> list[str]:
    """One row an objective, means over seeds and their standard deviation: best and last losses, and where training on
    the text reaches its estimated entropy."""
    lines = [
        "| objective | best validation | at step | other domain there | validation at the estimated entropy | at step "
        "| last training | last validation | last other domain |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for objective, seeds in curves.items():
        cells = []
        for curve in seeds:
            best = min(curve, key=lambda row: row["validation"])
            stop = next((row for row in curve if row["training"] <= entropy), curve[-1])
            last = curve[-1]
            cells.append(
                [
                    best["validation"], best["step"], best["other"], stop["validation"], stop["step"],
                    last["training"], last["validation"], last["other"],
                ]
            )  # fmt: skip
        means, spreads = np.mean(cells, 0), np.std(cells, 0)
        shown = [f"{m:.3f} ± {s:.3f}" if m < 20 else f"{m:.0f}" for m, s in zip(means, spreads, strict=True)]
        lines.append(f"| {objective} | {' | '.join(shown)} |")
    return lines


def plot(curves: dict[str, list[list[dict[str, Any]]]], entropy: float, path: Path) -> None:
    """Training, validation and out-of-domain loss over steps, means over seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(1, 3, figsize=(13, 4.5))
    for axes, key in zip(all_axes, ("training", "validation", "other"), strict=True):
        for objective, seeds in curves.items():
            steps = [row["step"] for row in seeds[0]]
            axes.plot(steps, np.mean([[row[key] for row in curve] for curve in seeds], 0), label=objective)
        if key == "training":
            axes.axhline(entropy, color="grey", linestyle=":", label="estimated entropy")
        axes.set(title=key, xlabel="steps", ylabel="bits per byte")
    all_axes[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--domain", default="books", show_default=True)
@click.option("--tokens", default=30_000, show_default=True, help="Tokens of the small part.")
@click.option("--steps", default=500, show_default=True, help="Steps of 8 x 128 tokens of each run.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--threads", type=int, help="Cores for torch (default: all).")
def main(corpus: Path, out: Path, domain: str, tokens: int, steps: int, seeds: int, threads: int | None) -> None:
    """Train to and past the entropy of a part of CORPUS with every objective; results and plots go to OUT."""
    if threads:
        torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = study_tokenizer(corpus / "train", out / "vocabulary")
    wanted = out / "texts"
    for split, names in (("train", (domain,)), ("valid", (domain, OUT_OF_DOMAIN))):
        (wanted / split).mkdir(parents=True, exist_ok=True)
        for name in names:
            source = domain_files(corpus / split)[name]
            if not (wanted / split / source.name).exists():
                (wanted / split / source.name).symlink_to(source.resolve())
    whole = load_corpus(wanted / "train", tokenizer, out / "tokens")[0]
    valid = {d.name: d for d in load_corpus(wanted / "valid", tokenizer, out / "tokens")}
    part = part_of(whole, "training", tokens)
    validation = [
        part,
        replace(valid[domain], name="validation"),
        replace(valid[OUT_OF_DOMAIN], name="other"),
    ]
    start = int(tokenizer.encode(b"\0")[0])
    click.echo(machine_line())

    def estimator(text: Domain, estimator_steps: int) -> EncoderAugmentedDecoder:
        options = replace(
            OPTIONS, steps=estimator_steps, cooldown_steps=estimator_steps, side_share=0.5, evaluate_every=10**9
        )  # fmt: skip
        run = out / f"augmented-{text.name}-{tokens}-{estimator_steps}"
        network = train(CONFIG, options, run, [text], validation, tokenizer.token_lengths, progress=False)
        return network.eval().requires_grad_(False)

    # This estimator reads ten times as much text, so that it knows the language better than the small part tells.
    augmented = estimator(part_of(whole, "ten-times", 10 * tokens), steps)
    estimates = corpus_estimates(augmented, f"augmented-{tokens}-{steps}", [part], start, LENGTH, out / "estimates")
    same_text = {
        part.name: estimates_by_halves(
            part, lambda half: estimator(half, max(1, steps // HALF_STEPS_SHARE)), start, out / "estimates"
        )
    }
    part_bytes = float(tokenizer.token_lengths[part.tokens].sum())
    entropy = float(estimates["training"].astype(np.float64).sum()) / LN2 / part_bytes
    click.echo(f"{part_bytes:.0f} bytes, estimated entropy {entropy:.3f} bits per byte")
    curves: dict[str, list[list[dict[str, Any]]]] = {}
    trials = [(objective, objective, estimates) for objective in OBJECTIVES]
    trials.append((f"{SAME_TEXT_OBJECTIVE}, same text", SAME_TEXT_OBJECTIVE, same_text))
    for title, objective, known in trials:
        for seed in range(1, seeds + 1):
            run = out / f"{title.replace(', ', '-').replace(' ', '-')}-{tokens}-{steps}-{seed}"
            options = replace(
                OPTIONS, steps=steps, evaluate_every=max(1, steps // 10), objective=objective, seed=seed
            )  # fmt: skip
            if not (run / "checkpoint.pt").exists():
                train(
                    CONFIG, options, run, [part], validation, tokenizer.token_lengths, progress=False,
                    estimates=known,
                )  # fmt: skip
            curves.setdefault(title, []).append(evaluations(run))
        click.echo(f"{title}: {json.dumps(curves[title][-1][-1])}")
    report = "\n".join(summarise(curves, entropy))
    (out / "table.md").write_text(report + "\n")
    (out / "curves.json").write_text(json.dumps({"entropy": entropy, "curves": curves}, indent=1))
    plot(curves, entropy, out / "generalisation.png")
    click.echo(report)


if __name__ == "__main__":
    main()
