"""Where the time of mixed mode goes: ``python -m llmzip.benchmarks.time_shares FILE``.

Codes FILE's start as a whole both ways, then its parts alone: the network without mixing, mixing with the network's
answers at hand, and cutting text into tokens. The parts are more than the whole: the network alone also hands out every
distribution, all of its frequencies, and with several threads parts overlap.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from llmzip.benchmarks import results
from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import llmzip_peer
from llmzip.core import _native
from llmzip.mixing.mixed import MixedCoder, new_core, primed_states
from llmzip.network.model import Model, inputs_of, load_model
from llmzip.progress import SILENT

TABLE_BITS = 16
CHUNK_ROWS = 256
"""Rows of one call of the network while compressing."""
MIXED_BYTES = 12_000
"""Of which the network's answers are kept, for mixing alone: they are large."""


def equal_lanes(plain: bytes, lanes: int) -> list[int]:
    """Lengths of ``lanes`` pieces of ``plain``, as equal as they can be."""
    return [len(plain) * (i + 1) // lanes - len(plain) * i // lanes for i in range(lanes)]


def token_grid(model: Model, plain: bytes, lane_bytes: list[int]) -> tuple[NDArray[np.int32], int]:
    """Tokens ``[lanes, longest]`` of each lane, filled up with 0, and how many there are without."""
    starts = np.cumsum([0, *lane_bytes])
    rows = [model.tokenizer.encode(plain[a:b]) for a, b in itertools.pairwise(starts)]
    grid = np.zeros((len(rows), max(row.size for row in rows)), np.int32)
    for line, row in zip(grid, rows, strict=True):
        line[: row.size] = row
    return grid, sum(row.size for row in rows)


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def network_seconds(model: Model, grid: NDArray[np.int32], steps: int, threads: int | None) -> float:
    """The network alone over ``grid``, ``steps`` positions a call: one as in restoring, more as in compressing."""
    predictor = model.predictor(len(grid), steps, None, threads)
    inputs = inputs_of(model, grid)
    parts = [np.ascontiguousarray(inputs[:, i : i + steps]) for i in range(0, inputs.shape[1], steps)]
    return _seconds(lambda: [predictor(part) for part in parts])


def whole_seconds(model: Model, plain: bytes, lane_bytes: list[int], threads: int) -> tuple[float, float]:
    """Compressing and restoring ``plain`` in mixed mode.

    Raises:
        click.ClickException: it would grow, or does not come back.
    """
    coder = MixedCoder(model, TABLE_BITS, threads=threads)
    started = time.perf_counter()
    coded = coder.encode(plain, lane_bytes, 0, None, SILENT)
    compressing = time.perf_counter() - started
    if coded is None:
        raise click.ClickException("the text does not get smaller")
    coder = MixedCoder(model, TABLE_BITS, threads=threads)
    started = time.perf_counter()
    restored = coder.decode(coded, lane_bytes, 0, None, SILENT)
    restoring = time.perf_counter() - started
    if restored != plain:
        raise click.ClickException("not restored")
    return compressing, restoring


def mixing_seconds(model: Model, plain: bytes, lane_bytes: list[int]) -> tuple[float, int]:
    """Mixing with the network's answers at hand, on one thread, and how many tokens that were.

    Raises:
        click.ClickException: the text would grow.
    """
    grid, tokens = token_grid(model, plain, lane_bytes)
    answers = model.predictor(len(grid), grid.shape[1], None)(inputs_of(model, grid)).reshape(*grid.shape, -1)
    steps = [(grid[:, i].copy(), np.ascontiguousarray(answers[:, i])) for i in range(grid.shape[1])]
    models = new_core(model, TABLE_BITS, primed_states(model))
    _native.mixed_begin_encoding(models, np.array(lane_bytes, np.uint64), 0, len(plain))
    started = time.perf_counter()
    well = all(_native.mixed_step(models, column, frequencies) for column, frequencies in steps)
    seconds = time.perf_counter() - started
    if not well:
        raise click.ClickException("the text does not get smaller")
    return seconds, tokens


def operations_a_token(model: Model) -> int:
    """Multiplications and additions of the products with weights."""
    config = model.config.decoder
    layer = 4 * config.width * config.width + 2 * config.width * config.hidden
    return 2 * (len(config.layers) * layer + config.width * model.config.vocabulary)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--first", default=100_000, show_default=True, help="Bytes from the start of FILE.")
@click.option("--lanes", default=8, show_default=True)
@click.option("--threads", default="1,2", show_default=True, help="Numbers of threads.")
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="A model file in place of the shipped one.")
@results.json_option("time_shares")
def main(file: Path, first: int, lanes: int, threads: str, model: str | None, target: Path) -> None:
    """Show microseconds a token, as a whole and by part."""
    loaded = load_model(model)
    plain = file.read_bytes()[:first]
    lane_bytes = equal_lanes(plain, lanes)
    grid, tokens = token_grid(loaded, plain, lane_bytes)
    counts = [int(count) for count in threads.split(",")]
    columns: list[dict[str, float]] = []
    click.echo(machine_line())
    click.echo(
        f"{len(plain)} bytes, {tokens} tokens, {lanes} lanes, {operations_a_token(loaded) / 1e6:.1f} M operations"
    )
    for count in counts:
        compressing, restoring = whole_seconds(loaded, plain, lane_bytes, count)
        seconds_of = {
            "compressing, whole": compressing,
            "restoring, whole": restoring,
            "network alone, compressing": network_seconds(loaded, grid, max(1, CHUNK_ROWS // lanes), count),
            "network alone, restoring": network_seconds(loaded, grid, 1, count),
        }
        columns.append({part: 1e6 * seconds / tokens for part, seconds in seconds_of.items()})
    small = plain[:MIXED_BYTES]
    mixing, small_tokens = mixing_seconds(loaded, small, equal_lanes(small, lanes))
    for column in columns:
        column["mixing alone, one thread"] = 1e6 * mixing / small_tokens
        column["cutting into tokens"] = 1e6 * _seconds(lambda: loaded.tokenizer.encode(plain)) / tokens
        column["10^9 operations a second, restoring"] = (
            operations_a_token(loaded) / 1e3 / column["network alone, restoring"]
        )
    result = results.new_result([llmzip_peer(6)])
    result["head"] = ["microseconds a token", *(f"{count} thread{'s' * (count > 1)}" for count in counts)]
    result["rows"] = [[part, *(f"{column[part]:.1f}" for column in columns)] for part in columns[0]]
    for cells in result["rows"]:
        click.echo(f"{cells[0]:38}" + "".join(f"{cell:>10}" for cell in cells[1:]))
    results.save(result, target)


if __name__ == "__main__":
    main()
