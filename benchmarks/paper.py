"""Encoder-augmented against plain causal models at equal training compute (arXiv 2511.10618), at small scale.

``python -m llmzip.benchmarks.paper CORPUS OUT --budget-minutes 60``: trains every variant on CORPUS/train with the same
number of operations and a vocabulary of its own, and goes on where it was stopped. OUT gets results.json, a table and
plots.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from llmzip.benchmarks.machine import describe_machine, machine_line
from llmzip.models.data import BatchSampler, Domain, load_corpus, validation_windows
from llmzip.models.measures import bits_per_byte, normalised_loss
from llmzip.models.paper_models import PaperConfig, PaperModel, round_numbers
from llmzip.models.train import LN2, autocast, unigram_log_frequencies
from llmzip.models.train_tokenizer import STUDY_VOCABULARY, study_tokenizer

BATCH_TOKENS = 4096
EVALUATIONS = 5
EVALUATED_SEQUENCES = 20
"""Sequences of 1,024 tokens, spread over the domains of corpus/valid in turn."""
CALIBRATION_STEPS = 6
LEARNING_RATE = 2e-3
WARMUP_STEPS = 50
STORED_BITS = (8, 4, 2)

PLAIN = PaperConfig(STUDY_VOCABULARY)
AUGMENTED = replace(PLAIN, encoder="transformer")
VARIANTS: dict[str, PaperConfig] = {
    "causal transformer": PLAIN,
    "causal mixer": replace(PLAIN, decoder="mixer", heads=1),
    "causal hybrid": replace(PLAIN, decoder="hybrid"),
    "augmented, combination": AUGMENTED,
    "augmented, token": replace(AUGMENTED, injection="token"),
    "augmented, concatenation": replace(AUGMENTED, injection="concatenation"),
    "augmented, mixer encoder": replace(AUGMENTED, encoder="mixer"),
    "augmented, mixer encoder, 4 heads": replace(AUGMENTED, encoder="mixer", encoder_heads=4),
    "augmented, mixer encoder, kernel 4": replace(AUGMENTED, encoder="mixer", kernel=4),
    "augmented, mixer decoder": replace(AUGMENTED, decoder="mixer", heads=1, encoder="mixer"),
    "augmented, hybrid decoder": replace(AUGMENTED, decoder="hybrid"),
    "augmented, 16 numbers": replace(AUGMENTED, side_numbers=16),
    "augmented, 256 numbers": replace(AUGMENTED, side_numbers=256),
    "augmented, noise in the residual": replace(AUGMENTED, noise="residual"),
    "causal transformer, context 1,024": replace(PLAIN, context=1024),
    "augmented, context 1,024": replace(AUGMENTED, context=1024),
}


def train_step(model: PaperModel, optimizer: torch.optim.Optimizer, batch: Tensor) -> float:
    with autocast(batch.device):
        loss = model(batch[:, :-1], batch[:, 1:]).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


@torch.no_grad()
def evaluate(model: PaperModel, windows: Tensor, token_lengths: Tensor) -> dict[str, Any]:
    """Losses in nats a token on ``windows`` ``[count, context + 1]``: without the numbers' cost, and by their bits."""
    model.eval()
    config = model.config
    inputs, targets = windows[:, :-1], windows[:, 1:]

    def cross_entropy(side: Tensor | None) -> float:
        with autocast(windows.device):
            logits = model.logits(model.hidden_states(inputs, side)).float()
        return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()))

    bytes_per_token = float(token_lengths[targets].mean())
    if config.encoder == "none":
        loss = cross_entropy(None)
        model.train()
        return {"loss": loss, "bits_per_byte": loss / LN2 / bytes_per_token}
    with autocast(windows.device):
        numbers = model.encode(targets).float()
    row: dict[str, Any] = {"loss": cross_entropy(numbers), "loss_without_numbers": cross_entropy(None)}
    largest = numbers.abs().amax(0)
    for bits in STORED_BITS:
        rounded = cross_entropy(round_numbers(numbers, largest, bits))
        cost = config.side_numbers, bits, config.context
        row[f"loss_{bits}_bits"] = rounded
        row[f"normalised_{bits}_bits"] = normalised_loss(rounded, *cost)
        row[f"bits_per_byte_{bits}_bits"] = bits_per_byte(rounded, *cost, bytes_per_token)
    row["bits_per_byte"] = row["bits_per_byte_4_bits"]
    model.train()
    return row


def flops_per_second(domains: list[Domain]) -> float:
    """What the plain causal transformer's training reaches on this machine."""
    model = PaperModel(PLAIN)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    sampler = BatchSampler(domains, PLAIN.context, seed=0)
    for step in range(CALIBRATION_STEPS):
        if step == 2:
            started = time.perf_counter()
        train_step(model, optimizer, torch.from_numpy(sampler.batch(step, BATCH_TOKENS // PLAIN.context)))
    seconds = (time.perf_counter() - started) / (CALIBRATION_STEPS - 2)
    return model.training_flops_per_token() * BATCH_TOKENS / seconds


def train_variant(
    config: PaperConfig, flops: float, domains: list[Domain], windows: Tensor, token_lengths: Tensor, checkpoint: Path
) -> list[dict[str, Any]]:
    """Train one model for ``flops`` operations, going on from ``checkpoint``; return its evaluations."""
    torch.manual_seed(1)
    model = PaperModel(config, unigram_log_frequencies(domains, config.vocabulary))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    steps = max(EVALUATIONS, round(flops / (model.training_flops_per_token() * BATCH_TOKENS)))
    begin, curve = 0, []
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        begin, curve = saved["step"], saved["curve"]
    sampler = BatchSampler(domains, config.context, seed=2)
    for step in range(begin, steps):
        torch.manual_seed(step)
        left = (steps - step) / max(1.0, 0.4 * steps)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / WARMUP_STEPS, left)
        train_step(model, optimizer, torch.from_numpy(sampler.batch(step, BATCH_TOKENS // config.context)))
        if (step + 1) * EVALUATIONS // steps > step * EVALUATIONS // steps:
            row = {"step": step + 1, "tokens": (step + 1) * BATCH_TOKENS} | evaluate(model, windows, token_lengths)
            curve.append(row)
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            torch.save(state | {"curve": curve}, checkpoint)
    return curve


def evaluation_windows(domains: list[Domain]) -> NDArray[np.int64]:
    """The same tokens for every context length: ``[EVALUATED_SEQUENCES, 1025]``, the largest domains first."""
    largest = sorted(domains, key=lambda domain: -domain.text_bytes)[:EVALUATED_SEQUENCES]
    return np.concatenate([validation_windows(domain, 1024, 1) for domain in largest])


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """The last evaluation of every variant, as a Markdown table."""
    lines = [
        "| model | steps | loss | without numbers | 8 bits | 4 bits | 2 bits | + cost, 8 bits | + cost, 4 bits "
        "| bits per byte |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    keys = (
        "loss_without_numbers", "loss_8_bits", "loss_4_bits", "loss_2_bits", "normalised_8_bits", "normalised_4_bits"
    )  # fmt: skip
    for name, curve in results.items():
        row = curve[-1]
        cells = [f"{row[key]:.3f}" if key in row else "-" for key in keys]
        lines.append(
            f"| {name} | {row['step']} | {row['loss']:.3f} | {' | '.join(cells)} | {row['bits_per_byte']:.3f} |"
        )
    return "\n".join(lines)


def plot(results: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Loss against tokens: solid without the cost of the stored numbers, dashed with it at four bits a number."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 6))
    for i, (name, curve) in enumerate(results.items()):
        colour = pyplot.get_cmap("tab20")(i % 20)
        tokens = [row["tokens"] for row in curve]
        axes.plot(tokens, [row["loss"] for row in curve], color=colour, label=name)
        if "normalised_4_bits" in curve[0]:
            axes.plot(tokens, [row["normalised_4_bits"] for row in curve], "--", color=colour)
    axes.set(xlabel="training tokens", ylabel="nats a token on corpus/valid")
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--budget-minutes", default=60.0, show_default=True, help="For all variants together, evaluation aside.")
@click.option("--only", multiple=True, help="Name of a variant; may be given several times.")
@click.option("--threads", type=int, help="Cores for torch (default: all).")
def main(corpus: Path, out: Path, budget_minutes: float, only: tuple[str, ...], threads: int | None) -> None:
    """Compare the architectures of the paper on CORPUS; results, checkpoints and plots go to OUT."""
    if threads:
        torch.set_num_threads(threads)
    chosen = {name: config for name, config in VARIANTS.items() if not only or name in only}
    if not chosen:
        raise click.UsageError(f"no such variant; there are: {', '.join(VARIANTS)}")
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = study_tokenizer(corpus / "train", out / "vocabulary")
    training = load_corpus(corpus / "train", tokenizer, out / "tokens")
    validation = load_corpus(corpus / "valid", tokenizer, out / "tokens")
    lengths = torch.from_numpy(tokenizer.token_lengths.astype(np.float32))
    plan_path = out / "plan.json"
    if not plan_path.exists():
        flops = flops_per_second(training) * 60 * budget_minutes / len(chosen)
        plan_path.write_text(json.dumps({"flops": flops, "machine": describe_machine()}))
    plan = json.loads(plan_path.read_text())
    click.echo(machine_line())
    click.echo(f"{plan['flops']:.3g} operations for each of {len(chosen)} models")
    results_path = out / "results.json"
    results = json.loads(results_path.read_text()) if results_path.exists() else {}
    for name, config in chosen.items():
        if name in results:
            continue
        whole = evaluation_windows(validation)
        if config.context == 512:
            whole = np.concatenate([whole[:, :513], whole[:, 512:]])
        started = time.perf_counter()
        curve = train_variant(
            config, plan["flops"], training, torch.from_numpy(whole), lengths, out / "checkpoint.pt"
        )  # fmt: skip
        (out / "checkpoint.pt").unlink(missing_ok=True)
        results[name] = curve
        results_path.write_text(json.dumps(results, indent=1))
        click.echo(
            f"{name}: {json.dumps({k: round(v, 4) for k, v in curve[-1].items()})}, "
            f"{time.perf_counter() - started:.0f} s"
        )
    (out / "table.md").write_text(table(results) + "\n")
    plot(results, out / "losses.png")
    (out / "variants.json").write_text(json.dumps({name: asdict(config) for name, config in chosen.items()}, indent=1))
    click.echo(table(results))
    uniform = math.log(STUDY_VOCABULARY)
    click.echo(f"a uniform distribution costs {uniform:.3f} nats a token")


if __name__ == "__main__":
    main()
