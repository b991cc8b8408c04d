"""A scaling law from small runs and large ones.

``python -m llmzip.benchmarks.scaling train CORPUS OUT`` trains several shapes for the same training operations at
several budgets, each run with its own cool-down, and writes OUT/scaling.json; OUT keeps the runs, and the command goes
on from there. ``python -m llmzip.benchmarks.scaling fit`` fits bits per byte against operations to the small runs and
the large ones in ``benchmarks/results/scaling.json``, and keeps laws and what they foretell in that file.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from llmzip.benchmarks import results
from llmzip.benchmarks.machine import machine_line
from llmzip.models.data import load_corpus
from llmzip.models.export import export_model
from llmzip.models.measures import fit_power_law
from llmzip.models.train import TrainingOptions, last_evaluation, operations_per_token, train
from llmzip.network.architecture import CHANNEL_TILE, DEFAULT_CONFIG, ModelConfig
from llmzip.network.model import load_model

RESULT = "scaling"
SEQUENCES, LENGTH = 8, 256
BUDGET_SHARES = (0.25, 0.5, 1.0)
SHAPES = ("128:ccca", "192:ccca", "256:ccca", "384:ccca")
"""Width and layers of the decoder."""
CAUSAL = "aaaa"
"""Layers of the shapes that are no part of a law: causal transformers."""
MORE = (1, 2, 10, 1000)
"""Times the operations of the last large run that a law foretells bits per byte for."""
MEASURED_OPERATIONS_PER_SECOND = 2.75e14
"""Training operations a second on one NVIDIA H200 (docs/model.md)."""


def shaped(shape: str) -> ModelConfig:
    """The shipped configuration with a decoder of another shape, a bigram embedding of 4,096 rows only, and hardly an
    encoder, as these runs use none."""
    width, layers = shape.split(":")
    channels = int(width)
    decoder = replace(
        DEFAULT_CONFIG.decoder, width=channels, hidden=4 * channels, heads=max(1, channels // 64), layers=layers
    )
    encoder = replace(DEFAULT_CONFIG.encoder, width=CHANNEL_TILE, layers="c", hidden=CHANNEL_TILE, heads=1)
    return replace(
        DEFAULT_CONFIG,
        decoder=decoder,
        encoder=encoder,
        bigram_bits=12,
        bigram_width=channels // 2,
        trigram_bits=0,
        trigram_width=0,
    )


def run_folder(out: Path, shape: str, budget: float) -> Path:
    return out / f"{shape.replace(':', '-')}-{budget:.3g}"


def best_of_each_budget(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The run of fewest bits among those of about the same operations."""
    best: dict[str, dict[str, Any]] = {}
    for run in runs:
        budget = f"{run['operations']:.1e}"
        if budget not in best or run["bits_per_byte"] < best[budget]["bits_per_byte"]:
            best[budget] = run
    return list(best.values())


def fitted(name: str, points: list[tuple[float, float]], last: float) -> dict[str, Any]:
    """A law through ``points`` of operations and bits per byte, and what it says of more than ``last`` operations."""
    operations, bits = np.array(points).T
    floor, scale, exponent = fit_power_law(operations, bits)
    return {
        "name": name,
        "floor": floor,
        "scale": scale,
        "exponent": exponent,
        "largest_error": float(np.abs((floor + scale * operations**-exponent) / bits - 1).max()),
        "foretold": {str(more): floor + scale * (more * last) ** -exponent for more in MORE},
    }


def laws(runs: list[dict[str, Any]], large: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Laws through the best small run at each budget and the large runs, without the last of these and with it; in one
    more, a large run's operations count by the share of them that went to the domains that are measured."""
    small = [(run["operations"], run["bits_per_byte"]) for run in best_of_each_budget(runs)]
    points = [(run["operations"], run["bits_per_byte"]) for run in large]
    counted = [(run["operations_on_measured_domains"], run["bits_per_byte"]) for run in large]
    last = points[-1][0]
    return [
        fitted("all small runs", [(run["operations"], run["bits_per_byte"]) for run in runs], last),
        fitted("best small runs, large ones but the last", small + points[:-1], last),
        fitted("best small runs, all large ones", small + points, last),
        fitted("the same, operations on the measured domains alone", small + counted, counted[-1][0]),
    ]


@click.group()
def main() -> None:
    """A scaling law from small runs and large ones."""


@main.command("fit")
@click.option("--results", "folder", type=click.Path(path_type=Path), default=results.RESULTS, hidden=True)
def fit_command(folder: Path) -> None:
    """Fit laws to the runs of the result file, and keep them there."""
    result = results.load(RESULT, folder)
    if result is None:
        raise click.ClickException(f"there is no {RESULT}.json yet: train first")
    result["laws"] = laws([run for run in result["runs"] if CAUSAL not in run["shape"]], result["large"])
    last = result["large"][-1]["operations"]
    result["gpu_hours"] = {str(more): more * last / MEASURED_OPERATIONS_PER_SECOND / 3600 for more in MORE}
    results.save(result, folder / f"{RESULT}.json")
    for law in result["laws"]:
        click.echo(
            f"{law['name']}: {law['floor']:.3f} + {law['scale']:.4g} * operations^-{law['exponent']:.3f}: "
            + ", ".join(f"{more} times {bits:.3f}" for more, bits in law["foretold"].items())
        )


@main.command("train")
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--shapes", default=",".join(SHAPES), show_default=True, help="Width and layers of each decoder.")
@click.option("--budget", default=2e13, show_default=True, help="Training operations of the longest runs.")
@click.option("--threads", type=int, help="Cores for torch (default: all).")
def train_command(corpus: Path, out: Path, shapes: str, budget: float, threads: int | None) -> None:
    """Train small decoders of each shape on CORPUS at a quarter, a half and all of a budget."""
    if threads:
        torch.set_num_threads(threads)
    model = load_model()
    tokenizer, vocabulary = model.tokenizer, model.file.read("vocabulary").tobytes()
    training = load_corpus(corpus / "train", tokenizer, out / "tokens")
    validation = load_corpus(corpus / "valid", tokenizer, out / "tokens")
    click.echo(machine_line())
    click.echo("| shape | tokens | operations | bits per byte |\n|---|---|---|---|")
    result = results.new_result([]) | {"runs": []}
    for shape in shapes.split(","):
        config = shaped(shape)
        for share in BUDGET_SHARES:
            steps = max(1, round(share * budget / operations_per_token(config) / (SEQUENCES * LENGTH)))
            options = TrainingOptions(
                steps, steps // 2, SEQUENCES, LENGTH, warmup_steps=min(20, steps), side_share=0, compile=False,
                evaluate_every=10**9, checkpoint_minutes=1e9,
            )  # fmt: skip
            run = run_folder(out, shape, share * budget)
            if not (run / "model.llmzmodel").exists():
                network = train(config, options, run, training, validation, tokenizer.token_lengths, progress=False)
                (run / "model.llmzmodel").write_bytes(export_model(network, vocabulary))
            tokens = steps * SEQUENCES * LENGTH
            operations = operations_per_token(config) * tokens
            bits = last_evaluation(run)["bits_per_byte"]
            result["runs"].append({"shape": shape, "tokens": tokens, "operations": operations, "bits_per_byte": bits})
            results.save(result, out / f"{RESULT}.json")
            click.echo(f"| {shape} | {tokens:,} | {operations:.3g} | {bits:.3f} |")


if __name__ == "__main__":
    main()
