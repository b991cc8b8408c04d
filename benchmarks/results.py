"""Result files: what every benchmark writes and every table of README and docs is made from.

One JSON object each, in ``benchmarks/results``: ``machine`` and ``date`` of the run, ``versions`` of the compressors by
name, and what the benchmark measured under a name of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from llmzip.benchmarks.machine import describe_machine
from llmzip.benchmarks.peers import Peer

RESULTS = Path(__file__).parent / "results"

Result = dict[str, Any]


def json_option(name: str) -> Callable[..., Any]:
    """The option ``--json`` of a benchmark: its ``target``, the result file ``name`` by default."""
    return click.option(
        "--json", "target", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS / f"{name}.json",
        show_default=f"benchmarks/results/{name}.json",
    )  # fmt: skip


def new_result(peers: list[Peer]) -> Result:
    """Machine, date and versions, to which a benchmark adds what it measures."""
    machine = describe_machine()
    return {"machine": machine, "date": machine["date"], "versions": {peer.name: peer.version() for peer in peers}}


def save(result: Result, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(name: str, folder: Path = RESULTS) -> Result | None:
    """The result file ``name``, None if there is none yet."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
