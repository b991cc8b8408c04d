"""The claims of arXiv 2511.10618 and 2602.13466 at the scale that a machine allows.

``python -m llmzip.benchmarks.paper CORPUS OUT --minutes 60``: trains the models that each part needs, all with the same
number of operations, which fit the minutes, and measures. It goes on where it was stopped: OUT keeps tokens,
checkpoints and ``paper.json``, the result file. On a GPU models are larger, and five minutes are enough to tell
something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import torch

from llmzip.benchmarks import paper_memory, paper_numbers, results
from llmzip.benchmarks.machine import describe_machine, machine_line
from llmzip.benchmarks.paper_numbers import (
    by_position,
    compared_readers,
    estimates,
    packed_and_padded,
    shipped_readers,
)
from llmzip.benchmarks.paper_study import Study, Table
from llmzip.benchmarks.tables import markdown

RESULT = "paper"


@dataclass(frozen=True)
class Part:
    """One claim: what measures it, and how many models are trained for it. Parts that share models name one group."""

    measure: Callable[[Study], Table]
    group: str
    trainings: int


PARTS: dict[str, Part] = {
    "comparison": Part(paper_numbers.comparison, "compared", 3),
    "packing": Part(lambda s: packed_and_padded(s.texts, compared_readers(s)), "compared", 3),
    "positions": Part(lambda s: by_position(s.texts, compared_readers(s)), "compared", 3),
    "estimates": Part(lambda s: estimates(s.texts, list(compared_readers(s).values())[1]), "compared", 3),
    "shipped-packing": Part(lambda s: packed_and_padded(s.shipped_texts, shipped_readers(s)), "shipped", 0),
    "shipped-positions": Part(lambda s: by_position(s.shipped_texts, shipped_readers(s)), "shipped", 0),
    "shipped-estimates": Part(lambda s: estimates(s.shipped_texts, shipped_readers(s)["aided"]), "shipped", 0),
    "shipped-rounding": Part(paper_numbers.shipped_rounding, "shipped", 0),
    "noise": Part(paper_numbers.rounding_and_noise, "noise", 3),
    "capacity": Part(paper_memory.capacity, "capacity", len(paper_memory.AUTOENCODERS)),
    "copies": Part(paper_memory.corrupted_copies, "copies", len(paper_memory.COPY_LOSSES)),
    "memory": Part(paper_memory.memories, "memory", paper_memory.MEMORY_TRAININGS),
    "variants": Part(paper_numbers.every_variant, "variants", len(paper_numbers.VARIANTS)),
}


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--minutes",
    default=60.0,
    show_default=True,
    help="Of training, for all parts together; on a CPU, of running on processors.",
)
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="A part; may be given several times.")
@click.option("--threads", type=int, help="Cores for torch (default: all).")
def main(corpus: Path, out: Path, minutes: float, only: tuple[str, ...], threads: int | None) -> None:
    """Try the papers' claims on CORPUS; the result file and checkpoints go to OUT."""
    if threads:
        torch.set_num_threads(threads)
    path = out / f"{RESULT}.json"
    result = results.load(RESULT, out) or results.new_result([]) | {"parts": {}}
    chosen = [name for name in only or PARTS if name not in result["parts"]]
    click.echo(machine_line())
    if chosen:
        study = Study(corpus, out)
        trainings = {PARTS[name].group: PARTS[name].trainings for name in chosen}
        # Models of one group are compared: those of a run that goes on get what those before it got.
        budgets = result.setdefault("budgets", {})
        if new := [group for group, count in trainings.items() if count and group not in budgets]:
            operations = study.operations_per_second() * 60 * minutes / sum(trainings.values())
            budgets |= dict.fromkeys(new, operations)
            results.save(result, path)
    for name in chosen:
        study.operations = budgets.get(PARTS[name].group, 0.0)
        click.echo(f"{name}: {study.operations:.3g} operations for each model")
        started = study.seconds()
        table = PARTS[name].measure(study)
        result["parts"][name] = {
            "head": table.head,
            "rows": table.rows,
            "figures": table.figures,
            "operations": study.operations,
            "minutes": round((study.seconds() - started) / 60, 1),
            "scale": vars(study.scale),
            "device": torch.cuda.get_device_name() if study.device.type == "cuda" else "CPU",
            "machine": describe_machine(),
        }
        results.save(result, path)
        click.echo(f"\n{name}, {result['parts'][name]['minutes']} minutes\n\n{markdown(table.head, table.rows)}")


if __name__ == "__main__":
    main()
