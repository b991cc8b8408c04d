"""``llmzip corpus compress|verify|restore|cat|list``: many files, on many machines."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from llmzip.cli.jobs import ERROR, OK, complain, figures, say, sentence, shown
from llmzip.cli.options import Size, compression_settings, level_setting, options, record_options
from llmzip.cli.signals import interruptibly
from llmzip.corpus import (
    IncompleteError,
    Place,
    SourceError,
    Workforce,
    compress_corpus,
    load_manifest,
    open_document,
    restore_corpus,
    verify_corpus,
)
from llmzip.corpus.planning import DEFAULT_ARCHIVE_BYTES, DEFAULT_PACK_BYTES
from llmzip.errors import LlmzError
from llmzip.settings import DEFAULT_LEVEL
from llmzip.transfer import WholeWriter

cluster_options = options(
    click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler, such as tcp://10.0.0.1:8786."),
    click.option("--workers", type=click.IntRange(1), help="Without a scheduler: processes (default: one a core)."),
)
report_options = options(
    click.option("-q", "--quiet", is_flag=True, help="No progress."),
    click.option("--json", "as_json", is_flag=True, help="Report as JSON."),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Compress whole folders and buckets on one machine or on many.

    Sources, corpora and targets are paths or URLs of any file system that fsspec knows, such as s3://bucket/folder.
    Without --scheduler, all cores of this machine are used.
    """


@main.command()
@click.argument("sources", nargs=-1, required=True)
@click.argument("destination")
@cluster_options
@level_setting
@click.option("--archive-size", type=Size(), default=DEFAULT_ARCHIVE_BYTES, help="Cut longer files at line ends into "
              "archives of this many plain bytes (default: 16M).")  # fmt: skip
@click.option("--pack-size", type=Size(), default=DEFAULT_PACK_BYTES, help="Pack files shorter than a quarter of this "
              "together, this many plain bytes in an archive (default: 1M).")  # fmt: skip
@record_options
@report_options
def compress(
    sources: tuple[str, ...], destination: str, scheduler: str | None, workers: int | None, archive_size: int,
    pack_size: int, find_records: bool, record_kind: str | None, key: str | None, quiet: bool, as_json: bool,
    level: int = DEFAULT_LEVEL,
) -> int:  # fmt: skip
    """Compress the files of SOURCES into DESTINATION, beside a manifest.

    Run it again after an interruption, and it keeps what is finished; after changes, it makes only the archives that
    differ. Files that are packed together get no index of records.
    """

    settings = compression_settings(level, find_records, record_kind, key)
    workforce = Workforce(scheduler=scheduler, workers=workers)

    def work() -> int:
        started = time.perf_counter()
        with _bar(quiet) as (starting, advance):
            made = compress_corpus(
                workforce, sources, destination, settings, archive_size, pack_size, starting, advance
            )
        manifest = made.manifest
        row = figures(manifest.plain, manifest.stored, time.perf_counter() - started)
        counts = {"documents": len(manifest.documents()), "archives": len(manifest.archives), "kept": made.kept}
        if as_json:
            say(json.dumps({"corpus": destination} | counts | row, indent=2))
        elif not quiet:
            complain(
                f"{shown(destination)}: {counts['documents']:,} documents in {counts['archives']:,} archives "
                f"({made.kept:,} kept), {sentence(row)}"
            )
        return OK

    return _reporting(destination, work)


@main.command()
@click.argument("corpus")
@cluster_options
@click.option("--stored", is_flag=True, help="Compare only the checksums of archives, without restoring them.")
@report_options
def verify(
    corpus: str, scheduler: str | None, workers: int | None, stored: bool, quiet: bool, as_json: bool
) -> int:  # fmt: skip
    """Restore every archive of CORPUS, writing nothing, and compare all checksums."""

    workforce = Workforce(scheduler=scheduler, workers=workers)

    def work() -> int:
        with _bar(quiet) as (starting, advance):
            report = verify_corpus(workforce, corpus, stored, starting, advance)
        return _tell(report, corpus, as_json, quiet, "whole")

    return _reporting(corpus, work)


@main.command()
@click.argument("corpus")
@click.argument("target")
@click.argument("names", nargs=-1)
@cluster_options
@click.option("-f", "--force", is_flag=True, help="Overwrite files.")
@report_options
def restore(
    corpus: str, target: str, names: tuple[str, ...], scheduler: str | None, workers: int | None, force: bool,
    quiet: bool, as_json: bool,
) -> int:  # fmt: skip
    """Restore CORPUS below TARGET: all of it, or the documents and folders NAMES."""

    workforce = Workforce(scheduler=scheduler, workers=workers)

    def work() -> int:
        with _bar(quiet) as (starting, advance):
            report = restore_corpus(workforce, corpus, target, names, force, starting, advance)
        return _tell(report, corpus, as_json, quiet, "restored")

    return _reporting(corpus, work)


@main.command()
@click.argument("corpus")
@click.argument("name")
def cat(corpus: str, name: str) -> int:
    """Restore the document NAME to standard output, reading no more of CORPUS than that takes."""

    def work() -> int:
        with open(1, "wb", buffering=0, closefd=False) as stream:
            target = WholeWriter(stream)
            for plain in open_document(corpus, name):
                target.write(plain)
        return OK

    return interruptibly(lambda: _reporting(corpus, work))


@main.command("list")
@click.argument("corpus")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object, sizes by name.")
def list_command(corpus: str, as_json: bool) -> int:
    """List the documents of CORPUS and their sizes."""

    def work() -> int:
        documents = load_manifest(Place(corpus)).documents()
        if as_json:
            say(json.dumps(documents, indent=2))
        else:
            for name, size in documents.items():
                say(f"{size:15,}  {shown(name)}")
        return OK

    return interruptibly(lambda: _reporting(corpus, work))


def _tell(report: Any, corpus: str, as_json: bool, quiet: bool, done: str) -> int:
    for line in report.damage:
        complain(f"{shown(corpus)}: {shown(line)}")
    if as_json:
        row = {"corpus": corpus, "plain_bytes": report.plain, "documents": report.documents, "damage": report.damage}
        say(json.dumps(row, indent=2))
    elif not quiet:
        complain(f"{shown(corpus)}: {report.documents:,} documents {done}, {report.plain:,} bytes")
    return ERROR if report.damage else OK


def _reporting(place: str, work: Callable[[], int]) -> int:
    """What ``work`` returns; where it fails, one line for each failure."""
    try:
        return work()
    except IncompleteError as error:
        for line in error.failures:
            complain(f"{shown(place)}: {shown(line)}")
        complain(f"{shown(place)}: {error}")
    except ImportError as error:
        complain(f"corpora need {error.name}: pip install 'llmzip[corpus]'")
    except KeyError as error:
        complain(f"{shown(place)}: has no document {shown(str(error.args[0]))}")
    except (LlmzError, SourceError, ValueError) as error:
        complain(f"{shown(place)}: {shown(str(error))}")
    except BrokenPipeError:
        raise
    except OSError as error:
        about = error.filename if isinstance(error.filename, str) else place
        complain(f"{shown(about)}: {shown(error.strerror or str(error))}")
    except KeyboardInterrupt:
        complain("interrupted: finished archives are kept")
        return 128 + 2
    return ERROR


@contextlib.contextmanager
def _bar(quiet: bool) -> Iterator[tuple[Callable[[int, int], object], Callable[[int], object]]]:
    """A progress bar on a terminal, of plain bytes: what starts it, and what moves it on."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield (lambda whole, before: None), (lambda plain: None)
        return
    from tqdm import tqdm

    with tqdm(unit="B", unit_scale=True, leave=False) as line:

        def starting(whole: int, before: int) -> None:
            line.reset(whole)
            line.update(before)

        yield starting, line.update
