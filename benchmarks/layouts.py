"""What taking a text's layout out saves: ``python -m llmzip.benchmarks.layouts FILE...``.

Mixed mode, one lane: bytes of each file as it stands, of its text with LF and with CR LF line ends, and of the layout
that the compressor takes out.
"""

from __future__ import annotations

from pathlib import Path

import click

from llmzip.benchmarks.machine import machine_line
from llmzip.blocks.choice import BlockEncoder
from llmzip.format.container import Header
from llmzip.mixing.mixed_coding import MixedCoder, bucket_bits_for
from llmzip.network.model import Model, load_model
from llmzip.progress import SILENT
from llmzip.settings import Settings
from llmzip.text.charsets import CHARSETS
from llmzip.text.line_breaks import CHARSET, CRLF, REFLOWED, TEXT_CRLF, Layout, take_out_layout


def coded_bytes(model: Model, text: bytes) -> int:
    coder = MixedCoder(model, bucket_bits_for(len(text)))
    result = coder.encode(model.tokenizer.encode(text), 1, None, None, SILENT)
    return len(result[1]) if result else len(text)


def described(layout: Layout) -> str:
    """What the layout is made of, in words."""
    parts = ["CR LF" if layout.flags & CRLF else "LF"]
    if layout.flags & REFLOWED:
        parts.append(f"width {layout.width}, {len(layout.exceptions)} exceptions")
    if layout.flags & CHARSET:
        parts.append(CHARSETS[layout.charset])
    return ", ".join(parts) + (" -> CR LF" if layout.flags & TEXT_CRLF else " -> LF")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--first", type=click.IntRange(1), help="Only the first so many bytes of each file.")
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="A model file in place of the shipped one.")
def main(files: tuple[Path, ...], first: int | None, model: str | None) -> None:
    """Show what FILES take in mixed mode with their layout and without."""
    loaded = load_model(model)
    encoder = BlockEncoder(Header(bytes(4), True, False), loaded, Settings())
    click.echo(machine_line())
    click.echo("| file | bytes | as it stands | layout | text with LF | with CR LF | layout's bytes |")
    click.echo("|---|---|---|---|---|---|---|")
    for path in files:
        plain = path.read_bytes()[:first]
        cells = [path.name, str(len(plain)), str(coded_bytes(loaded, plain))]
        taken = take_out_layout(plain, encoder.sample_bits)
        if taken:
            layout, text = taken
            with_lf = text.replace(b"\r\n", b"\n") if layout.flags & TEXT_CRLF else text
            cells += [described(layout), str(coded_bytes(loaded, with_lf))]
            cells += [str(coded_bytes(loaded, with_lf.replace(b"\n", b"\r\n"))), str(len(layout.to_bytes()))]
        else:
            cells += ["kept", "-", "-", "-"]
        click.echo(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
