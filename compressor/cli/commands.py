"""``llmzip compress|decompress|cat|test|info|list|entropy|bench|train|adapt``, and ``llmzip FILE`` as with gzip."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO, cast

import click

from llmzip import __version__
from llmzip.cli.jobs import (
    ERROR,
    Conversion,
    Row,
    bar,
    chosen,
    complain,
    drop_output,
    each,
    figures,
    on_one_line,
    say,
    sentence,
    shown,
)
from llmzip.cli.options import (
    ENCODER_ESTIMATORS,
    FileName,
    Span,
    compression_settings,
    files_argument,
    level_options,
    output_options,
    read_settings,
    reading_options,
    reporting_options,
    restoring_options,
    setting,
    thread_count,
)
from llmzip.cli.safe_files import STANDARD_STREAM, Skipped, Source, Target, open_source, open_target
from llmzip.cli.signals import end_by_broken_pipe, raise_interrupts
from llmzip.progress import Progress

SUFFIX = ".llmz"
MAGIC = b"LLMZ"
GZIP_STYLE = "gzip-style"
Options = dict[str, Any]


class LikeGzip(click.Group):
    """A group whose commands need no name: ``llmzip -d FILE`` works as with gzip."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing and os.isatty(0):
            args = ["--help"]
        first = args[0] if args else "-"
        completing_first = ctx.resilient_parsing and not args
        if first not in (*self.commands, "--help", "-h", "--version", "-V") and not completing_first:
            args = [GZIP_STYLE, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        # Files come first: what bash has found before them is lost.
        files = FileName().shell_complete(ctx, self.params[0], incomplete)
        nameless = self.commands[GZIP_STYLE]
        options = nameless.shell_complete(click.Context(nameless, parent=ctx), incomplete)
        known = {option.value for option in options}
        commands = [item for item in super().shell_complete(ctx, incomplete) if item.value not in known]
        return [*files, *commands, *options]

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS] [FILE]...")
        formatter.write_usage(ctx.command_path, "COMMAND [ARGUMENTS]...", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        click.Command.format_options(self.commands[GZIP_STYLE], ctx, formatter)
        self.format_commands(ctx, formatter)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run, tell of wrong use in one line, and exit."""
        output = sys.stdout
        try:
            code = super().main(*args, **extra | {"standalone_mode": False})
        except click.ClickException as error:
            complain(" ".join(error.format_message().split()) + " (llmzip --help tells more)")
            code = ERROR
        except SystemExit:
            if sys.stdout is not output:  # click puts another in its place where it met a broken pipe
                end_by_broken_pipe()
            raise
        except OSError as error:
            if error.filename is None:
                drop_output()
            complain(f"{error.filename or 'standard output'}: {error.strerror or error}")
            code = ERROR
        sys.exit(code)


class GzipStyle(click.Command):
    """The nameless command, whose help is that of all."""

    def get_help(self, ctx: click.Context) -> str:
        return ctx.parent.get_help() if ctx.parent else super().get_help(ctx)


@click.group(cls=LikeGzip, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="llmzip %(version)s")
def main() -> None:
    """Compress text with a trained language model. Lossless, and the same on every machine.

    Without a command, FILEs are compressed to FILE.llmz, and kept; with -d they are restored. Without FILE, or where
    it is -, standard input goes to standard output.
    """


@main.command(GZIP_STYLE, cls=GzipStyle, hidden=True)
@files_argument
@setting("-z", "--compress", to="mode", value="compress", note="Compress (default).")
@setting("-d", "--decompress", "--uncompress", to="mode", value="decompress", note="Restore.")
@setting("-t", "--test", to="mode", value="test", note="Check, writing nothing.")
@setting("-l", "--list", to="mode", value="list", note="List sizes.")
@output_options
@reading_options
@level_options
@restoring_options
@click.option("-n", "--no-name", is_flag=True, expose_value=False, help="No effect: names and times are never stored.")
@reporting_options
def gzip_style(mode: str = "compress", **given: Any) -> int:
    actions: dict[str, Callable[..., int]] = {
        "compress": _compress, "decompress": _restore, "test": _test, "list": _list,
    }  # fmt: skip
    return actions[mode](**given)


@main.command()
@files_argument
@output_options
@reading_options
@level_options
@reporting_options
def compress(**given: Any) -> int:
    """Compress FILEs to FILE.llmz (standard input to standard output without FILEs)."""
    return _compress(**given)


@main.command()
@files_argument
@output_options
@reading_options
@restoring_options
@reporting_options
def decompress(**given: Any) -> int:
    """Restore FILE from FILE.llmz (standard input to standard output without FILEs)."""
    return _restore(**given)


@main.command()
@files_argument
@click.option("-f", "--force", is_flag=True, help="Copy input that is not compressed.")
@click.option("--range", "plain_range", type=Span(), help="Only bytes A to B, counted from 0; A- means to the end.")
@click.option("--lines", type=Span(), help="Only lines A to B, counted from 1; A- means to the end.")
@click.option("--record", "record_range", type=Span(), help="Only record A, or records A to B, counted from 0.")
@click.option("--key", metavar="NAME=VALUE", help="Only records whose field NAME is VALUE.")
@reading_options
@restoring_options
@click.option("-q", "--quiet", is_flag=True, help="No progress, no warnings.")
def cat(
    plain_range: tuple[int, int | None] | None, lines: tuple[int, int | None] | None,
    record_range: tuple[int, int | None] | None, key: str | None, **given: Any,
) -> int:  # fmt: skip
    """Restore FILEs, or parts of them, to standard output, one after the other.

    To get a part, the group of blocks that holds it is restored up to it (see --group-size of compress).
    """
    parts = [part is not None for part in (plain_range, lines, record_range, key)]
    if sum(parts) > 1:
        raise click.UsageError("--range, --lines, --record and --key exclude each other")
    if key is not None and "=" not in key:
        raise click.UsageError("--key takes NAME=VALUE")
    if not any(parts):
        return _restore(to_stdout=True, **given)
    if given["force"]:
        raise click.UsageError("-f copies input that is not compressed, and only whole")
    return _extract(plain_range, lines, record_range, key, **given)


@main.command()
@files_argument
@reading_options
@restoring_options
@reporting_options
def test(**given: Any) -> int:
    """Check FILEs: restore them and compare every checksum, writing nothing."""
    return _test(**given)


@main.command()
@files_argument
@click.option("-r", "--recursive", is_flag=True, help="Process the files in folders and their subfolders.")
@click.option("--json", "as_json", is_flag=True, help="Report as a JSON array.")
@click.option("-q", "--quiet", is_flag=True, help="No warnings.")
@click.option("--machine", is_flag=True, help="Show this machine's kernels and their speed instead of files.")
def info(machine: bool, **given: Any) -> int:
    """Show sizes, methods, groups, records and models of FILEs without restoring them."""
    return _show_machine(given["as_json"]) if machine else _list(verbose=True, **given)


def _show_machine(as_json: bool) -> int:
    from llmzip.network.model import load_model
    from llmzip.network.speed import measure_machine

    report = measure_machine(load_model())
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return 0
    others = ", ".join(name for name in report["kernels"] if name != report["kernel"])
    click.echo(f"kernel {report['kernel']} (also here: {others or 'none'}), {report['cores']} cores")
    for name, speed in report["network"].items():
        click.echo(f"{name}: {speed['microseconds_per_token']} microseconds a token, {speed['gops']} GOPS of products")
    return 0


@main.command("list")
@files_argument
@click.option("-r", "--recursive", is_flag=True, help="Process the files in folders and their subfolders.")
@reporting_options
def list_command(**given: Any) -> int:
    """List sizes of FILEs as a table."""
    return _list(**given)


@main.command()
@click.argument("file", type=FileName())
@click.option("--json", "as_json", is_flag=True, help="Print a summary and the bits of each line as JSON.")
@click.option("--csv", "csv_name", type=FileName(), help="Write every token to this file.")
@click.option("--html", "html_name", type=FileName(), help="Write a shaded page to this file.")
@click.option(
    "--estimator",
    type=click.Choice(("regression", *ENCODER_ESTIMATORS)),
    help="A further estimate, which shades the page. regression: by the second-order model, from the prefix alone. "
    "The others use the encoder and need the extra 'train'; occlusion and gradient are shares of the greatest.",
)
@click.option("--model", type=FileName(), help="A model file to use instead of the shipped one.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def entropy(
    file: str, as_json: bool, csv_name: str | None, html_name: str | None, estimator: str | None, model: str | None,
    quiet: bool,
) -> int:  # fmt: skip
    """Estimate the entropy of FILE token by token, by the model that compresses it."""
    on_stdout = [name for name in (csv_name, html_name) if name == STANDARD_STREAM]
    if len(on_stdout) + as_json > 1:
        raise click.UsageError("only one of --json, --csv - and --html - can have standard output")

    from llmzip.cli.entropy_reports import Wanted, report

    wanted = Wanted(as_json, csv_name, html_name, estimator, model, quiet)
    return each((file,), lambda name: report(name, wanted))


def passes_arguments_on(function: Callable[[tuple[str, ...]], int | None]) -> click.Command:
    """A subcommand whose arguments, ``--help`` among them, are another command's."""
    command = main.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
    return command(click.argument("arguments", nargs=-1, type=click.UNPROCESSED)(function))


def main_of(module: str, purpose: str, extra: str) -> click.Command:
    """The command of a module whose dependencies are those of an extra.

    Raises:
        click.ClickException: one of them is not installed.
    """
    try:
        return cast(click.Command, importlib.import_module(module).main)
    except ImportError as error:
        raise click.ClickException(f"{purpose} {error.name}: pip install 'llmzip[{extra}]'") from None


def pass_on(arguments: tuple[str, ...], name: str, command: click.Command, **how: Any) -> Any:
    """Run another command as ``llmzip NAME``; after an interrupt it cleans up by itself."""
    raise_interrupts()
    return command(arguments, prog_name=f"llmzip {name}", **how)


@passes_arguments_on
def bench(arguments: tuple[str, ...]) -> None:
    """Measure llmzip beside other compressors (llmzip bench --help for options)."""
    from llmzip.benchmarks.bench import main as bench_main

    pass_on(arguments, "bench", bench_main)


@passes_arguments_on
def train(arguments: tuple[str, ...]) -> None:
    """Train a model (needs the extra: pip install 'llmzip[train]')."""
    pass_on(arguments, "train", main_of("llmzip.models.cli", "training needs", "train"))


@passes_arguments_on
def adapt(arguments: tuple[str, ...]) -> None:
    """Adapt the model to your own text (needs the extra: pip install 'llmzip[train]')."""
    adapt_main = main_of("llmzip.models.adapt", "adapting needs", "train")
    try:
        pass_on(arguments, "adapt", adapt_main, standalone_mode=False)
    except click.Abort:
        sys.exit(128 + signal.SIGINT)


@passes_arguments_on
def corpus(arguments: tuple[str, ...]) -> int:
    """Compress whole folders and buckets, on one machine or many (llmzip corpus --help)."""
    corpus_main = main_of("llmzip.cli.corpus", "corpora need", "corpus")
    return int(pass_on(arguments, "corpus", corpus_main, standalone_mode=False) or 0)


def _compress(
    files: tuple[str, ...], recursive: bool, threads: int | None, model: str | None, memory_limit: int | None,
    lanes: int | None, independent: bool, block_size: int | None, group_size: int | None, find_records: bool,
    record_kind: str | None, key: str | None, level: int | None = None, output_limit: int | None = None, **output: Any,
) -> int:  # fmt: skip
    from llmzip.settings import DEFAULT_LEVEL
    from llmzip.streams import compress_stream

    if output_limit is not None:
        raise click.UsageError("--output-limit is for restoring")
    settings = compression_settings(
        level or DEFAULT_LEVEL, find_records, record_kind, key, lanes=lanes, threads=thread_count(threads),
        independent=independent, block_bytes=block_size, model=model, memory_limit=memory_limit, group_bytes=group_size,
    )  # fmt: skip

    def work(source: Source, target: Target, progress: Progress) -> None:
        compress_stream(cast(BinaryIO, source), cast(BinaryIO, target), settings, progress)

    def target_name(name: str) -> str:
        if name.endswith(SUFFIX) and not output["force"]:
            raise Skipped(f"already has the suffix {SUFFIX}: left as it is (-f compresses it again)")
        return name + SUFFIX

    names = chosen(files, recursive, lambda name: not name.endswith(SUFFIX))
    return Conversion(work=work, target_name=target_name, compresses=True, **output).of_all(names)


def _restore(
    files: tuple[str, ...], recursive: bool, threads: int | None, model: str | None, memory_limit: int | None,
    output_limit: int | None, force: bool, to_stdout: bool = False, level: object = None, lanes: object = None,
    independent: object = None, block_size: object = None, group_size: object = None, find_records: object = None,
    record_kind: object = None, key: object = None, **output: Any,
) -> int:  # fmt: skip
    """Options that compress have no meaning here, as with gzip."""
    from llmzip.streams import decompress_stream

    settings = read_settings(model, threads, memory_limit, output_limit)

    def work(source: Source, target: Target, progress: Progress) -> None:
        if force and target.name == STANDARD_STREAM and not source.starts_with(MAGIC):
            source.copy_to(target)  # as gzip -cdf and zstd -cdf do
            return
        decompress_stream(cast(BinaryIO, source), cast(BinaryIO, target), settings, progress)

    def target_name(name: str) -> str:
        if not os.path.basename(name).removesuffix(SUFFIX) or not name.endswith(SUFFIX):
            raise Skipped("has an unknown suffix: left as it is (name the output with -o or -c)")
        return name.removesuffix(SUFFIX)

    names = chosen(files, recursive, lambda name: name.endswith(SUFFIX))
    conversion = Conversion(
        work=work, target_name=target_name, compresses=False, to_stdout=to_stdout, force=force, **output
    )
    return conversion.of_all(names)


def _extract(
    plain_range: tuple[int, int | None] | None, lines: tuple[int, int | None] | None,
    record_range: tuple[int, int | None] | None, key: str | None, files: tuple[str, ...], recursive: bool, force: bool,
    threads: int | None, model: str | None, memory_limit: int | None, output_limit: int | None, quiet: bool,
) -> int:  # fmt: skip
    from llmzip.access import parts

    settings = read_settings(model, threads, memory_limit, output_limit)

    def extract(name: str) -> None:
        with open_source(name) as source, open_target(STANDARD_STREAM, source, force) as target:
            stream = cast(BinaryIO, source.stream)
            if plain_range is not None:
                found = parts.plain_range(stream, settings, *plain_range)
            elif lines is not None:
                found = parts.lines(stream, settings, *lines)
            elif record_range is not None:
                found = parts.records(stream, settings, *record_range)
            else:
                found = parts.with_key(stream, settings, key or "")
            for part in found:
                target.write(part)

    return each(chosen(files, recursive, lambda name: name.endswith(SUFFIX)), extract, quiet=quiet)


def _test(
    files: tuple[str, ...], recursive: bool, threads: int | None, model: str | None, memory_limit: int | None,
    output_limit: int | None, quiet: bool, verbose: bool, as_json: bool, **others: Any,
) -> int:  # fmt: skip
    from llmzip.streams import iterate_plain

    settings = read_settings(model, threads, memory_limit, output_limit)

    def check(name: str) -> Row:
        started, size = time.perf_counter(), 0
        with open_source(name) as source, bar(source, quiet=quiet) as progress:
            for plain in iterate_plain(cast(BinaryIO, source), settings, progress):
                size += len(plain)
        row = {"file": name, "ok": True} | figures(size, source.position, time.perf_counter() - started)
        if verbose and not quiet:
            complain(f"{shown(name)}: OK, {sentence(row)}")
        return row

    return each(chosen(files, recursive, lambda name: name.endswith(SUFFIX)), check, as_json=as_json, quiet=quiet)


def _list(
    files: tuple[str, ...], recursive: bool, quiet: bool, as_json: bool, verbose: bool = False, **others: Any
) -> int:
    rows: list[Row] = []

    def inspect(name: str) -> Row:
        from llmzip.inspection import describe

        with open_source(name) as source, bar(source, quiet=quiet) as progress:
            described = describe(cast(BinaryIO, source), progress)
        row = {"file": name} | described
        if as_json:
            return row
        plain, stored = row["plain_bytes"], row["stored_bytes"]
        if verbose:
            say(f"{shown(name)}: {sentence(row)}, {_parts_line(row)}, model {', '.join(row['models']) or 'none'}")
            return row
        if not rows:
            say(f"{'stored':>15} {'plain':>15} {'ratio':>7} {'bits/byte':>9}  name")
        rows.append(row)
        say(_table_line(plain, stored, shown(name)))
        return row

    names = chosen(files, recursive, lambda name: name.endswith(SUFFIX))
    code = each(names, inspect, as_json=as_json, quiet=quiet)
    if len(rows) > 1:
        say(_table_line(sum(row["plain_bytes"] for row in rows), sum(row["stored_bytes"] for row in rows), "(all)"))
    return code


def _parts_line(row: Row) -> str:
    """Members, blocks, groups and records of a file, as ``info`` tells them."""
    methods = ", ".join(f"{count} {method}" for method, count in row["methods"].items()) or "none"
    told = f"{row['members']} member(s), blocks: {methods}, {row['groups']} group(s)"
    if row["records"] is not None:
        told += f", {row['records']:,} {' and '.join(row['record_kinds'])} record(s)"
    if row["keys"]:
        told += f", keys: {', '.join(map(on_one_line, row['keys']))}"
    return told


def _table_line(plain: int, stored: int, name: str) -> str:
    ratio = f"{plain / stored:7.2f} {8 * stored / plain:9.3f}" if plain else f"{'-':>7} {'-':>9}"
    return f"{stored:15,} {plain:15,} {ratio}  {name}"
