"""The command line: ``llmzip compress|decompress|test|info|bench|train``. Heavy modules load inside the commands."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from llmzip import __version__
from llmzip.errors import LlmzError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmzip.progress import Progress

SUFFIX = ".llmz"
COMPILE_NOTICE_SECONDS = 4.0
SHARE_ESTIMATORS = ("occlusion", "occlusion-cosine", "gradient")
"""Entropy estimates as shares of the greatest, 0 to 1; all others are in bits."""
ENCODER_ESTIMATORS = ("shift", *SHARE_ESTIMATORS)
"""Entropy estimates that ask the encoder-augmented model: :mod:`llmzip.models.estimators`."""


class Failure(Exception):
    """A file could not be processed; the others go on."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Compress text with a trained language model. Lossless, and the same on every machine."""


def common_options(command: Callable[..., None]) -> Callable[..., None]:
    options: tuple[Callable[..., Any], ...] = (
        click.argument("files", nargs=-1, type=click.Path(path_type=Path, allow_dash=True)),
        click.option("-q", "--quiet", is_flag=True, help="No progress, no warnings."),
        click.option("-v", "--verbose", is_flag=True, help="Tell sizes and rates of each file."),
        click.option("--threads", type=click.IntRange(1), help="Cores to use (default: all, at most 4)."),
        click.option("--model", type=click.Path(dir_okay=False), help="A model file in place of the shipped one."),
        click.option("-r", "--recursive", is_flag=True, help="Take the files of folders and of all folders below."),
    )
    for option in options:
        command = option(command)
    return command


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    options: tuple[Callable[..., Any], ...] = (
        click.option("-o", "--output", type=click.Path(path_type=Path, allow_dash=True), help="Write to this file."),
        click.option("-c", "--stdout", is_flag=True, help="Write to standard output."),
        click.option("-k/--no-keep", "--keep", default=True, help="Keep the input file (default)."),
        click.option("--rm", "remove", is_flag=True, help="Remove the input file after success."),
        click.option("-f", "--force", is_flag=True, help="Overwrite existing files."),
    )
    for option in options:
        command = option(command)
    return command


def level_options(command: Callable[..., None]) -> Callable[..., None]:
    """``-1`` to ``-9``, and ``--level N``."""
    for level in range(9, 0, -1):
        note = {1: "Fastest.", 6: "Default.", 9: "Smallest."}.get(level)
        command = click.option(f"-{level}", "level", flag_value=level, type=int, help=note, hidden=not note)(command)
    return click.option("--level", type=click.IntRange(1, 9), default=6, help="1 to 9.")(command)


@main.command()
@common_options
@output_options
@level_options
@click.option("--lanes", type=int, help="Lanes a block is cut into: a power of two (default: by size).")
@click.option("--independent", is_flag=True, help="Blocks on their own: for many cores; costs some size.")
@click.option("--effort", type=click.IntRange(0, 9), default=0, help="Refine side information: slow, seldom pays.")
def compress(
    files: tuple[Path, ...], output: Path | None, stdout: bool, keep: bool, remove: bool, force: bool, quiet: bool,
    verbose: bool, threads: int | None, model: str | None, recursive: bool, level: int, lanes: int | None,
    independent: bool, effort: int,
) -> None:  # fmt: skip
    """Compress FILES to FILE.llmz (standard input to standard output without FILES)."""
    from llmzip.settings import Settings

    try:
        settings = Settings(level, lanes, threads, independent=independent, model=model, effort=effort)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    from llmzip.streams import compress_stream

    def work(source: BinaryIO, target: BinaryIO, size: int | None, progress: Progress) -> None:
        compress_stream(source, target, settings, size, progress)

    def name(path: Path) -> Path:
        if path.suffix == SUFFIX and not force:
            raise Failure(f"{path}: already has the suffix {SUFFIX} (-f compresses it again)")
        return path.with_name(path.name + SUFFIX)

    files = _chosen(files, recursive, lambda path: path.suffix != SUFFIX)
    _each_file(files, output, stdout, keep and not remove, force, quiet, verbose, work, name, plain_source=True)


@main.command()
@common_options
@output_options
def decompress(
    files: tuple[Path, ...], output: Path | None, stdout: bool, keep: bool, remove: bool, force: bool, quiet: bool,
    verbose: bool, threads: int | None, model: str | None, recursive: bool,
) -> None:  # fmt: skip
    """Restore FILE from FILE.llmz (standard input to standard output without FILES)."""
    from llmzip.streams import decompress_stream

    def work(source: BinaryIO, target: BinaryIO, size: int | None, progress: Progress) -> None:
        decompress_stream(source, target, model, threads, progress=progress)

    def name(path: Path) -> Path:
        if path.suffix != SUFFIX:
            raise Failure(f"{path}: unknown suffix; name the output with -o or -c")
        return path.with_suffix("")

    files = _chosen(files, recursive, lambda path: path.suffix == SUFFIX)
    _each_file(files, output, stdout, keep and not remove, force, quiet, verbose, work, name, plain_source=False)


@main.command()
@common_options
def test(
    files: tuple[Path, ...], quiet: bool, verbose: bool, threads: int | None, model: str | None, recursive: bool
) -> None:
    """Check FILES: decompress them and compare every checksum, writing nothing."""
    from llmzip.streams import iterate_plain

    def check(path: Path) -> None:
        with _open_source(path) as source, _progress(path, None, quiet) as progress:
            for _ in iterate_plain(source, model, threads, progress=progress):
                pass
        if verbose:
            click.echo(f"{path}: OK", err=True)

    files = _chosen(files, recursive, lambda path: path.suffix == SUFFIX)
    _report_failures(files, check)


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def info(files: tuple[Path, ...], as_json: bool) -> None:
    """Show sizes, methods and models of FILES without decompressing them."""
    from llmzip.inspection import describe

    rows = []

    def inspect(path: Path) -> None:
        with _open_source(path) as source:
            row = {"file": str(path)} | describe(source)
        rows.append(row)
        if not as_json:
            ratio = row["stored_bytes"] * 8 / row["plain_bytes"] if row["plain_bytes"] else float("nan")
            methods = ", ".join(f"{count} {name}" for name, count in row["methods"].items())
            click.echo(
                f"{path}: {row['plain_bytes']} -> {row['stored_bytes']} bytes ({ratio:.3f} bits per byte), "
                f"{row['members']} member(s), blocks: {methods or 'none'}, model {', '.join(row['models']) or 'none'}"
            )

    failed = _run_each(files, inspect)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    sys.exit(1 if failed else 0)


@main.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="Summary and bits by line as JSON.")
@click.option("--csv", "csv_path", type=click.Path(dir_okay=False, path_type=Path), help="Write every token here.")
@click.option("--html", "html_path", type=click.Path(dir_okay=False, path_type=Path), help="Write a shaded page here.")
@click.option(
    "--estimator",
    type=click.Choice(("regression", *ENCODER_ESTIMATORS)),
    help="A further estimate, which shades the page. regression: by the second-order model, from the prefix alone. "
    "The others ask the encoder and need the extra 'train'; occlusion and gradient are shares of the greatest.",
)
@click.option("--model", type=click.Path(dir_okay=False), help="A model file in place of the shipped one.")
def entropy(
    file: Path, as_json: bool, csv_path: Path | None, html_path: Path | None, estimator: str | None, model: str | None
) -> None:
    """Estimate the entropy of FILE token by token, by the model that compresses it."""
    from llmzip.cli.entropy_page import Shading, entropy_page
    from llmzip.network.model import load_model
    from llmzip.entropy import entropy as estimate

    def encoder_estimates(text: bytes) -> NDArray[np.float64] | None:
        if estimator not in ENCODER_ESTIMATORS:
            return None
        loaded = load_model(model)
        tokens = loaded.tokenizer.encode(text)
        try:
            from llmzip.models.estimators import encoder_estimate
        except ImportError as error:
            raise Failure(f"--estimator {estimator} needs {error.name}: pip install 'llmzip[train]'") from None
        return encoder_estimate(estimator, loaded, tokens)

    def report(path: Path) -> None:
        with _open_source(path) as source:
            text = source.read()
        with _progress(path, len(text), False) as progress:
            estimates = estimate(text, model, progress, regress=estimator == "regression")
        further = encoder_estimates(text) if estimates.regression is None else estimates.regression
        summary = {"file": str(path)} | estimates.summary()
        if further is not None:
            summary[f"{estimator}_per_token"] = round(float(further.sum()) / max(1, further.size), 4)
        lines = estimates.by_line(text)
        if csv_path:
            columns = {"offset": estimates.offsets, "length": estimates.lengths}
            figures = {"surprisal": estimates.surprisal, "entropy": estimates.entropy}
            if further is not None:
                figures[str(estimator)] = further
            rows = zip(*columns.values(), *([f"{f:.4f}" for f in column] for column in figures.values()), strict=True)
            csv_path.write_text("\n".join([",".join((*columns, *figures)), *(",".join(map(str, r)) for r in rows), ""]))
        if html_path:
            as_share = estimator in SHARE_ESTIMATORS
            shown = None if further is None else Shading(str(estimator), further, as_share)
            html_path.write_text(entropy_page(path.name, text, estimates, shown), encoding="utf-8")
        if as_json:
            click.echo(json.dumps(summary | {"bits_by_line": [round(float(b), 3) for b in lines]}, indent=2))
            return
        click.echo(", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in summary.items()))
        for number in sorted(lines.argsort()[::-1][:5]):
            click.echo(f"line {number + 1}: {lines[number]:.1f} bits")

    _report_failures((file,), report)


@main.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Measure llmzip beside other compressors (llmzip bench --help for options)."""
    from llmzip.benchmarks.bench import main as bench_main

    bench_main(arguments, prog_name="llmzip bench")


@main.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def train(arguments: tuple[str, ...]) -> None:
    """Train a model (needs the extra: pip install 'llmzip[train]')."""
    try:
        from llmzip.models.cli import main as train_main
    except ImportError as error:
        raise click.ClickException(f"training needs {error.name}: pip install 'llmzip[train]'") from None
    train_main(arguments, prog_name="llmzip train")


def _chosen(paths: tuple[Path, ...], recursive: bool, wanted: Callable[[Path], bool]) -> tuple[Path, ...]:
    """``paths``, or standard input where there are none; with ``recursive`` a folder stands for the wanted regular
    files below it, links left out."""
    if not paths:
        return (Path("-"),)
    if not recursive:
        return paths
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
            files += sorted(file for file in below if wanted(file) and stat.S_ISREG(file.lstat().st_mode))
        else:
            files.append(path)
    return tuple(files)


def _each_file(
    files: tuple[Path, ...], output: Path | None, stdout: bool, keep: bool, force: bool, quiet: bool, verbose: bool,
    work: Callable[[BinaryIO, BinaryIO, int | None, Progress], None], name: Callable[[Path], Path], plain_source: bool,
) -> None:  # fmt: skip
    if output and len(files) > 1 and str(output) != "-":
        raise click.UsageError("-o takes one input file")

    def convert(path: Path) -> None:
        to_stdout = stdout or str(output) == "-" or (str(path) == "-" and output is None)
        if to_stdout:
            if sys.stdout.isatty() and plain_source and not force:
                raise Failure("compressed data not written to a terminal (-f forces it)")
            with _open_source(path) as source, _progress(path, _size(path, plain_source), quiet) as progress:
                work(source, sys.stdout.buffer, _size(path, plain_source), progress)
            return
        if path.is_dir():
            raise Failure(f"{path}: is a directory")
        target = output or name(path)
        if target.exists() and not force:
            raise Failure(f"{target}: already exists (-f overwrites)")
        size = _size(path, plain_source)
        like = path if str(path) != "-" else None
        with (
            _open_source(path) as source,
            _progress(path, size, quiet) as progress,
            _replacing(target, like) as out,
        ):
            work(source, out, size, progress)
        if verbose and not quiet and str(path) != "-":
            click.echo(f"{path}: {path.stat().st_size} -> {target.stat().st_size} bytes  {target}", err=True)
        if not keep and str(path) != "-":
            path.unlink()

    _report_failures(files, convert)


def _run_each(files: tuple[Path, ...], action: Callable[[Path], None]) -> bool:
    """Run ``action`` on every file; print one line for each failure and tell whether there was any."""
    failed = False
    for path in files:
        try:
            action(path)
        except Failure as error:
            click.echo(f"llmzip: {error}", err=True)
            failed = True
        except LlmzError as error:
            click.echo(f"llmzip: {path}: {error}", err=True)
            failed = True
        except OSError as error:
            click.echo(f"llmzip: {error.filename or path}: {error.strerror or error}", err=True)
            failed = True
        except MemoryError:
            click.echo(f"llmzip: {path}: not enough memory", err=True)
            failed = True
    return failed


def _report_failures(files: tuple[Path, ...], action: Callable[[Path], None]) -> None:
    sys.exit(1 if _run_each(files, action) else 0)


def _size(path: Path, plain: bool) -> int | None:
    """Plain bytes of a source where they are known."""
    if str(path) == "-" or not path.is_file():
        return None
    if plain:
        return path.stat().st_size
    from llmzip.inspection import describe

    with path.open("rb") as source, contextlib.suppress(LlmzError):
        return int(describe(source)["plain_bytes"])
    return None


@contextlib.contextmanager
def _open_source(path: Path) -> Iterator[BinaryIO]:
    if str(path) == "-":
        yield sys.stdin.buffer
    elif path.is_dir():
        raise Failure(f"{path}: is a directory")
    else:
        with path.open("rb") as source:
            yield source


@contextlib.contextmanager
def _replacing(target: Path, like: Path | None) -> Iterator[BinaryIO]:
    """Write to a temporary file beside ``target`` and put it in place only when complete and on disk.

    Mode and modification time are those of ``like``.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        if like:
            status = like.stat()
            os.chmod(temporary, stat.S_IMODE(status.st_mode))
            os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
        else:
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def _progress(path: Path, size: int | None, quiet: bool) -> Iterator[Progress]:
    """A progress bar on a terminal; a line about compilation if nothing has moved for a while."""
    from llmzip.progress import Progress

    if quiet:
        yield Progress()
        return
    from tqdm import tqdm

    started = threading.Event()

    def notice() -> None:
        if not started.is_set():
            click.echo("llmzip: compiling for this machine (once, under a minute) ...", err=True)

    timer = threading.Timer(COMPILE_NOTICE_SECONDS, notice) if not _kernels_are_cached() else None
    if timer:
        timer.daemon = True
        timer.start()
    bar: Any = tqdm(
        total=size, unit="B", unit_scale=True, desc=path.name, leave=False, disable=None, delay=0.5, mininterval=0.2
    )

    def advance(plain_bytes: float) -> None:
        started.set()
        bar.update(plain_bytes)

    try:
        yield Progress(advance)
    finally:
        if timer:
            timer.cancel()
        bar.close()


def _kernels_are_cached() -> bool:
    from llmzip.mixing import mixing

    folder = Path(mixing.code_step._cache.cache_path)
    return any(folder.glob("mixing.code_step-*.nbc"))
