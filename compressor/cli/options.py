"""Options that several commands share, the types of their values, and the settings that they stand for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from llmzip.settings import ReadSettings, Settings

RECORD_KINDS = ("jsonl", "lines", "csv", "mbox", "warc", "paragraphs", "nul")
SHARE_ESTIMATORS = ("occlusion", "occlusion-cosine", "gradient")
"""Entropy estimates as shares of the greatest, 0 to 1; all others are in bits."""
ENCODER_ESTIMATORS = ("shift", *SHARE_ESTIMATORS)
"""Entropy estimates that ask the encoder-augmented model: :mod:`llmzip.models.estimators`."""
MOST_BYTES = 1 << 63
Command = Callable[..., Any]


class FileName(click.ParamType):
    """A path as it was typed, so that ``./-`` is not ``-``; whether it is there shows when it is opened."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return os.fspath(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class Size(click.ParamType):
    """Bytes: a number, with ``K``, ``M`` or ``G`` (powers of 1,024) as in ``512M`` or ``1.5GiB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?) *([KMG]?)(?:I?B)?", value.strip(), re.IGNORECASE)
        if not match:
            self.fail(f"{value!r} is not a size such as 512M", param, ctx)
        size = float(match[1]) * 1024 ** " KMG".index(match[2].upper() or " ")
        if not 1 <= size < MOST_BYTES:
            self.fail(f"{value!r} is not between 1 byte and 8 EiB", param, ctx)
        return int(size)


class Span(click.ParamType):
    """``A-B``, ``A-`` or ``A``: the first and the last of what is wanted; None for the last there is."""

    name = "A-B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int | None]:  # fmt: skip
        match = re.fullmatch(r"(\d{1,18})(-(\d{1,18})?)?", value) if isinstance(value, str) else None
        if not match:
            self.fail(f"{value!r} is not a range such as 10-20", param, ctx)
        first = int(match[1])
        last = first if match[2] is None else int(match[3]) if match[3] else None
        if last is not None and last < first:
            self.fail(f"{value!r} ends before it begins", param, ctx)
        return first, last


def options(*decorators: Command) -> Command:
    """One decorator of several, in the order in which help shows them."""

    def apply(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return apply


files_argument = click.argument("files", nargs=-1, type=FileName(), metavar="[FILE]...")
reporting_options = options(
    click.option("-q", "--quiet", is_flag=True, help="No progress, no warnings."),
    click.option("-v", "--verbose", is_flag=True, help="Print sizes, ratio and rate of each file."),
    click.option("--json", "as_json", is_flag=True, help="Report as a JSON array."),
)
reading_options = options(
    click.option("-r", "--recursive", is_flag=True, help="Process the files in folders and their subfolders."),
    click.option("-T", "--threads", type=click.IntRange(0), help="Cores to use; 0 for all (default: at most 4)."),
    click.option("--model", type=FileName(), help="A model file, tried before the shipped one."),
    click.option("-M", "--memory-limit", type=Size(), help="Most memory to use, such as 512M."),
)
output_options = options(
    click.option("-o", "--output", type=FileName(), help="Write to this file."),
    click.option("-c", "--stdout", "--to-stdout", "to_stdout", is_flag=True, help="Write to standard output."),
    click.option("-f", "--force", is_flag=True, help="Overwrite files; allow compressed data from and to terminals."),
    click.option("--rm/--keep", " /-k", "remove", default=False, help="Remove or keep (default) the input when done."),
)
restoring_options = options(
    click.option("--output-limit", type=Size(), help="Stop after this many plain bytes of a file.")
)


def setting(*names: str, to: str, value: object, note: str | None = None) -> Command:
    """A flag that sets the parameter ``to``; of several, the last one given counts."""

    def callback(ctx: click.Context, _param: click.Parameter, given: bool) -> None:
        if given:
            ctx.params[to] = value

    name = f"{to}_{value}"
    return click.option(
        name, *names, is_flag=True, expose_value=False, callback=callback, help=note, hidden=note is None
    )


def set_level(ctx: click.Context, _param: click.Parameter, value: int | None) -> None:
    if value is not None:
        ctx.params["level"] = value


level_setting = options(
    setting("-1", "--fast", to="level", value=1, note="Fastest."),
    *(setting(f"-{level}", to="level", value=level) for level in range(2, 9)),
    setting("-9", "--best", to="level", value=9, note="Smallest."),
    click.option(
        "--level", type=click.IntRange(1, 9), expose_value=False, callback=set_level, help="As -1 to -9 (default: 6)."
    ),
)
record_options = options(
    click.option("--records", "find_records", is_flag=True, help="Add an index of records; their kind is detected."),
    click.option("--record-kind", type=click.Choice(RECORD_KINDS), help="Add an index of records of this kind."),
    click.option("--key", metavar="NAME", help="Add an index of the records' field of this name, too."),
)
level_options = options(
    level_setting,
    click.option("--lanes", type=int, help="Lanes of a block: a power of two (default: by size)."),
    click.option(
        "--independent", is_flag=True, help="Blocks that do not depend on each other: for many cores; costs size."
    ),
    click.option("--block-size", type=Size(), help="Plain bytes of a block (default: growing to 4M)."),
    click.option("--group-size", type=Size(), help="Most plain bytes to restore when seeking; costs size."),
    record_options,
)


def compression_settings(
    level: int, find_records: bool, record_kind: str | None, key: str | None, **others: Any
) -> Settings:  # fmt: skip
    """What options say.

    Raises:
        click.UsageError: they do not fit together.
    """
    from llmzip.settings import AUTO, Settings

    records = record_kind or (AUTO if find_records or key is not None else None)
    try:
        return Settings(level, records=records, key=key, **others)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def read_settings(
    model: str | None, threads: int | None, memory_limit: int | None, output_limit: int | None
) -> ReadSettings:
    from llmzip.settings import ReadSettings

    return ReadSettings(model, thread_count(threads), memory_limit, output_limit)


def thread_count(threads: int | None) -> int | None:
    from llmzip.core import available_cores

    return available_cores() if threads == 0 else threads
