"""What a corpus costs: ``python -m llmzip.benchmarks.corpus``.

Log lines in files of 4 MB are compressed by ``llmzip.corpus`` on a local Dask cluster, ever more of them; what a
megabyte costs, in the workers' processor time, should not grow. Then what has nothing to do with compressing: the
scheduler's time for a task, finding and planning many files, the manifest's bytes for each. Results go to
``results/corpus.json``; the tables and the plot of docs/corpus.md are made of it by ``benchmarks.tables``.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from llmzip.benchmarks import results
from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import llmzip_peer
from llmzip.benchmarks.stream import log_lines
from llmzip.corpus import Workforce, compress_corpus, restore_corpus, verify_corpus
from llmzip.corpus.planning import find_documents, plan
from llmzip.settings import Settings

FILE_BYTES = 4_000_000
SMALL_FILES = 10_000


def write_logs(folder: Path, megabytes: int) -> None:
    """Files of ``FILE_BYTES`` each, so that every one is an archive."""
    folder.mkdir()
    for number in range(megabytes * 1_000_000 // FILE_BYTES):
        with (folder / f"{number:05}.log").open("wb") as file:
            file.writelines(log_lines(FILE_BYTES, seed=number))
    if rest := megabytes * 1_000_000 % FILE_BYTES:
        with (folder / "rest.log").open("wb") as file:
            file.writelines(log_lines(rest, seed=99_999))


def measure_size(workforce: Workforce, folder: Path, megabytes: int, level: int) -> dict[str, Any]:
    """What ``megabytes`` cost, in seconds of the workers' processors and of the clock."""
    source, corpus = folder / f"logs-{megabytes}", folder / f"corpus-{megabytes}"
    write_logs(source, megabytes)
    started = time.perf_counter()
    made = compress_corpus(workforce, [str(source)], str(corpus), Settings(level))
    seconds = time.perf_counter() - started
    return {
        "mb": megabytes,
        "archives": len(made.done),
        "packed": made.manifest.stored,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(sum(done.cpu_seconds for done in made.done), 2),
        "coding_seconds": round(sum(done.coding_seconds for done in made.done), 2),
        "manifest_bytes": (corpus / "manifest.json").stat().st_size,
    }


def _nothing(number: int) -> int:
    return number


def measure_overheads(workforce: Workforce, folder: Path, tasks: int) -> dict[str, float]:
    """Seconds that a task costs the scheduler, and what a file costs in planning and in the manifest."""
    started = time.perf_counter()
    for _ in workforce.each(_nothing, range(tasks), names=[f"{time.time_ns()}-{number}" for number in range(tasks)]):
        pass
    scheduling = (time.perf_counter() - started) / tasks
    source = folder / "small"
    source.mkdir()
    for number in range(SMALL_FILES):
        (source / f"{number:06}.txt").write_text(f"{number}\n")
    started = time.perf_counter()
    planned = plan(find_documents([str(source)]), Settings(1), pack_bytes=4096)
    origins = {task.origin for task in planned}
    planning = (time.perf_counter() - started) / SMALL_FILES
    assert len(origins) == len(planned)
    made = compress_corpus(workforce, [str(source)], str(folder / "small-corpus"), Settings(1))
    manifest = (folder / "small-corpus" / "manifest.json").stat().st_size
    return {
        "seconds_a_task": round(scheduling, 6),
        "seconds_a_file": round(planning, 6),
        "manifest_bytes_a_file": round(manifest / len(made.manifest.documents())),
    }


@contextlib.contextmanager
def _started(workers: int) -> Iterator[tuple[Workforce, float]]:
    started = time.perf_counter()
    with Workforce(workers=workers).connected(workers) as client:
        client.wait_for_workers(workers)
        yield Workforce(client), time.perf_counter() - started


@click.command()
@click.option("--mb", default="10,20,50,100,200", show_default=True, help="Megabytes of each run.")
@click.option("--level", default=1, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Worker processes.")
@click.option("--tasks", default=2000, show_default=True, help="Empty tasks that the scheduler is timed with.")
@click.option("--note", default="", help="What else the machine did meanwhile; goes into the result file.")
@results.json_option("corpus")
def main(mb: str, level: int, workers: int, tasks: int, note: str, target: Path) -> None:
    """Compress ever larger corpora and watch what a megabyte costs."""
    click.echo(machine_line())
    result = results.new_result([llmzip_peer(level)])
    result |= {"level": level, "workers": workers, "note": note, "runs": []}
    with tempfile.TemporaryDirectory() as name, _started(workers) as (workforce, start_seconds):
        folder = Path(name)
        result["overheads"] = {"start_seconds": round(start_seconds, 2)} | measure_overheads(workforce, folder, tasks)
        click.echo(f"{result['overheads']}")
        for megabytes in map(int, mb.split(",")):
            run = measure_size(workforce, folder, megabytes, level)
            result["runs"].append(run)
            click.echo(f"{run}")
            results.save(result, target)
        corpus = str(folder / f"corpus-{run['mb']}")
        started = time.perf_counter()
        if (
            verify_corpus(workforce, corpus, stored_only=True).damage
            or restore_corpus(workforce, corpus, str(folder / "back"), ["logs-" + str(run["mb"]) + "/00000.log"]).damage
        ):
            raise click.ClickException("the corpus is damaged")
        source = folder / f"logs-{run['mb']}"
        if (folder / "back" / source.name / "00000.log").read_bytes() != (source / "00000.log").read_bytes():
            raise click.ClickException("what was restored differs")
        click.echo(f"verified, and a file restored, in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
