"""``llmzip bench``: size, speed and memory beside other compressors, every restore compared byte for byte."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import click

from llmzip.benchmarks import results
from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.measured import Failed, measure, speed, times_as_fast
from llmzip.benchmarks.peers import CAUSAL, CAUSAL_TRANSFORMER, YARDSTICK, NoSuchPeer, Peer, peer_named, rivals

ENWIK8_BYTES = 100_000_000
ENWIK8_SHA1 = "57b8363b814821dc9d47aa4d41f58733519076b2"


def check_enwik8(path: Path) -> None:
    """Make sure that ``path`` is enwik8.

    Raises:
        click.ClickException: its length or SHA-1 differ.
    """
    if path.stat().st_size != ENWIK8_BYTES:
        raise click.ClickException(f"{path}: {path.stat().st_size} bytes, enwik8 has {ENWIK8_BYTES}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha1").hexdigest()
    if digest != ENWIK8_SHA1:
        raise click.ClickException(f"{path}: SHA-1 {digest}, enwik8 has {ENWIK8_SHA1}")


def chosen_peers(levels: str, named: str | None, model: str | None) -> list[Peer]:
    """Our levels, then the peers ``named``, or all that are installed.

    Raises:
        click.UsageError: a level that does not exist, a peer that is not installed.
    """
    peers: list[Peer] = []
    for level in filter(None, levels.split(",")):
        if not (level.isdigit() and 1 <= int(level) <= 9):
            raise click.UsageError(f"levels are 1 to 9, not {level!r}")
        peers.append(peer_named(f"llmzip -{level}" + (f" {Path(model).resolve()}" if model else "")))
    try:
        if named is None:
            peers += rivals()
            if CAUSAL_TRANSFORMER.exists():
                peers.append(peer_named(CAUSAL))
        else:
            peers += [peer_named(name) for name in filter(None, named.split(","))]
    except NoSuchPeer as missing:
        raise click.UsageError(str(missing)) from None
    return peers


def measure_file(name: str, plain: bytes, peers: list[Peer]) -> dict[str, Any]:
    """One file under every peer, as it stands in a result file."""
    rows: list[dict[str, Any]] = []
    for peer in peers:
        try:
            rows.append(measure(peer, plain).row())
        except Failed as failure:
            rows.append({"peer": peer.name, "error": str(failure)})
    return {"file": name, "bytes": len(plain), "rows": rows}


def print_table(measured: dict[str, Any]) -> None:
    size = measured["bytes"]
    yardstick = next((row for row in measured["rows"] if row["peer"] == YARDSTICK and "error" not in row), None)
    click.echo(f"\n{measured['file']} ({size:,} bytes)")
    click.echo(
        f"{'compressor':22}{'bytes':>12}{'bpb':>8}{'ratio':>8}{'KB/s in':>10}{'KB/s out':>10}"
        + f"{'MiB in':>8}{'MiB out':>8}"
        + (f"{'x ' + YARDSTICK + ' in, out':>24}" if yardstick else "")
    )
    for row in sorted(measured["rows"], key=lambda row: row.get("bytes", 1 << 62)):
        if "error" in row or not row["restored"]:
            click.echo(f"{row['peer']:22}  {row.get('error', 'NOT RESTORED')}")
            continue
        line = (
            f"{row['peer']:22}{row['bytes']:>12,}{8 * row['bytes'] / max(1, size):>8.3f}"
            f"{size / max(1, row['bytes']):>8.2f}{speed(size, row['seconds_in']):>10,.1f}"
            f"{speed(size, row['seconds_out']):>10,.1f}{row['mib_in']:>8,}{row['mib_out']:>8,}"
        )
        if yardstick:
            times = [times_as_fast(row, yardstick, way) for way in ("in", "out")]
            line += f"{times[0]:>14,.1f}{times[1]:>10,.1f}"
        click.echo(line)


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--enwik8", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Measure enwik8 too.")
@click.option("--first", type=click.IntRange(1), help="Only the first so many bytes of each file.")
@click.option("--levels", default="1,6", show_default=True, help="Levels of llmzip.")
@click.option("--peers", "named", help="Compressors by name, separated by commas; default: all that are installed.")
@click.option("--only-llmzip", is_flag=True, help="Leave the peers out.")
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="A model file in place of the shipped one.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write a result file.")
@click.option("--html", "html_path", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with a plot.")
def main(
    files: tuple[Path, ...], enwik8: Path | None, first: int | None, levels: str, named: str | None,
    only_llmzip: bool, model: str | None, json_path: Path | None, html_path: Path | None,
) -> None:  # fmt: skip
    """Measure FILES with llmzip and its peers: bytes, speed and peak memory both ways.

    Every compressor runs in a process of its own, and everything is restored and compared.
    """
    if enwik8:
        check_enwik8(enwik8)
        files = (*files, enwik8)
    if not files:
        raise click.UsageError("name a file, or --enwik8 PATH")
    peers = chosen_peers(levels, "" if only_llmzip else named, model)
    click.echo(machine_line())
    result = results.new_result(peers)
    result["files"] = []
    for path in files:
        with path.open("rb") as file:
            plain = file.read(first if first else -1)
        name = path.name if first is None or len(plain) < first else f"{path.name}, first {len(plain):,}"
        measured = measure_file(name, plain, peers)
        print_table(measured)
        result["files"].append(measured)
        if json_path:
            results.save(result, json_path)
    if html_path:
        from llmzip.benchmarks.bench_page import page

        html_path.write_text(page(result), encoding="utf-8")
    if not all(row.get("restored") for measured in result["files"] for row in measured["rows"]):
        raise click.ClickException("not every file was restored")


if __name__ == "__main__":
    main()
