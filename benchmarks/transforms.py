"""What taking out of a text what is no text saves: ``python -m llmzip.benchmarks.transforms FILE...``.

Bytes of each file as a whole block, as it stands and with the transforms that the compressor finds worth while: line
ends and widths, charsets, encoded data. With ``--corpus VALID --first N --json results/transforms_by_domain.json`` the
same of a corpus's domains, where there is anything for a transform.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from llmzip import text
from llmzip.benchmarks import results
from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import llmzip_peer
from llmzip.blocks import transformed
from llmzip.blocks.choice import BlockEncoder
from llmzip.core import available_cores
from llmzip.format.member import Coded, Method
from llmzip.models.domains import domain_files, read_domain
from llmzip.network.model import Model, load_model
from llmzip.settings import Settings, table_bits_for


@contextmanager
def without_transforms() -> Iterator[None]:
    """No transform is tried meanwhile."""
    kept = dict(text.TRANSFORMS)
    text.TRANSFORMS.clear()
    try:
        yield
    finally:
        text.TRANSFORMS.update(kept)


def coded_block(model: Model | None, plain: bytes, settings: Settings) -> Coded:
    return BlockEncoder(table_bits_for(len(plain)), model, settings, available_cores()).encode(plain, alone=True)


def transforms_in(coded: Coded) -> list[str]:
    """Names of the transforms of a block and of its streams, the outermost first."""
    parts = [part for part in transformed.all_coded(coded) if part.method is Method.TRANSFORMED]
    numbers = map(transformed.number_of, parts)
    return [text.TRANSFORMS[number].__name__.rpartition(".")[2].replace("_", " ") for number in numbers]


def texts(files: tuple[Path, ...], corpus: Path | None) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of all files, then of all domains, whose documents are lines apart."""
    for path in files:
        yield path.name, path.read_bytes()
    for name, path in domain_files(corpus).items() if corpus else ():
        yield name, read_domain(path).replace(b"\0", b"\n")


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--corpus", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of domains.")
@click.option("--first", type=click.IntRange(1), help="Only the first so many bytes of each file.")
@click.option("--level", default=6, show_default=True)
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="A model file in place of the shipped one.")
@results.json_option("transforms")
def main(
    files: tuple[Path, ...], corpus: Path | None, first: int | None, level: int, model: str | None, target: Path
) -> None:  # fmt: skip
    """Show what FILES and domains take as they stand and with transforms."""
    settings = Settings(level=level, model=model)
    loaded = load_model(model) if level > 1 else None
    click.echo(machine_line())
    result = results.new_result([llmzip_peer(level)])
    result["head"] = ["file", "bytes", "as it stands", "with transforms", "saved", "which"]
    result["rows"] = []
    for number, (name, whole) in enumerate(texts(files, corpus)):
        plain = whole[:first]
        after = coded_block(loaded, plain, settings)
        names = ", ".join(dict.fromkeys(transforms_in(after))) or "none"
        if names == "none" and number >= len(files):
            continue
        with without_transforms():
            before = coded_block(loaded, plain, settings)
        saved = 1 - len(after.payload) / max(1, len(before.payload))
        cells = [
            f"{len(plain):,}",
            f"{len(before.payload):,}",
            f"{len(after.payload):,}",
            f"{100 * saved:.1f} %",
            names,
        ]
        result["rows"].append([name, *cells])
        click.echo(f"{name:28}" + "  ".join(f"{cell:>10}" for cell in cells))
    results.save(result, target)


if __name__ == "__main__":
    main()
