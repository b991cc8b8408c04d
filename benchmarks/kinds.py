"""Many kinds of text under llmzip and its peers: ``python -m llmzip.benchmarks.kinds FOLDER``.

Fetches the files that ``kinds_files`` lists into FOLDER, compresses each with llmzip (restored and compared) and with
the peers, and writes ``results/kinds.json``, from which ``benchmarks.tables`` makes the table in docs/kinds.md. What a
peer was measured with before, on the same bytes and in the same version, is not measured again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from llmzip.benchmarks import results
from llmzip.benchmarks.kinds_files import FILES, CannotFetch, bytes_of
from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import YARDSTICK, NoSuchPeer, Peer, llmzip_peer, peer_named

RIVALS = "xz -9e,brotli -11,zstd -22,PPMd -o16,bzip3,paq8px -8"

Row = dict[str, Any]
_ORDER = {entry.kind: number for number, entry in enumerate(FILES)}


@dataclass(frozen=True)
class Sample:
    """One file to measure."""

    kind: str
    origin: str
    plain: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.plain).hexdigest()


def fetch(folder: Path, only: set[str], digests: dict[str, str]) -> tuple[list[Sample], list[str]]:
    """The files of all kinds, or of those in ``only``, and what is to be said about them.

    Each also lies in ``folder/files`` under the name of its kind. ``digests`` are those of an earlier result.
    """
    samples, remarks = [], []
    files = folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    for entry in FILES:
        if only and entry.kind not in only:
            continue
        try:
            plain, remark = bytes_of(entry, folder / "cache")
        except CannotFetch as reason:
            remarks.append(f"{entry.kind}: not to be had: {reason}")
            continue
        sample = Sample(entry.kind, entry.origin, plain)
        if digests.get(entry.kind, sample.sha256) != sample.sha256:
            remark = f"{remark}; " * bool(remark) + "not the bytes that the earlier result was measured on"
        if remark:
            remarks.append(f"{entry.kind}: {remark}")
        (files / entry.kind).write_bytes(plain)
        samples.append(sample)
    return samples, remarks


def samples_in(folder: Path) -> list[Sample]:
    """Every file of a folder as a sample of a kind of its own; where the folder lies is no part of a result."""
    return [
        Sample(path.name, f"{folder.name}/{path.name}", path.read_bytes())
        for path in sorted(folder.iterdir())
        if path.is_file()
    ]


def measure_sample(sample: Sample, ours: list[Peer], rivals: list[Peer], known: Row | None) -> Row:
    """Sizes under every compressor; ours is restored and compared.

    Args:
        known: the row of an earlier result for this kind; its sizes are taken over if the file is the same.

    Raises:
        click.ClickException: ours did not restore the sample.
    """
    digest = sample.sha256
    earlier = known["sizes"] if known and known["sha256"] == digest else {}
    sizes: dict[str, int] = {}
    for peer in rivals:
        sizes[peer.name] = earlier.get(peer.name) or len(peer.compress(sample.plain))
    for peer in ours:
        packed = peer.compress(sample.plain)
        if peer.decompress(packed) != sample.plain:
            raise click.ClickException(f"{sample.kind} is not restored by {peer.name}")
        sizes[peer.name] = len(packed)
    return {"kind": sample.kind, "origin": sample.origin, "bytes": len(sample.plain), "sha256": digest, "sizes": sizes}


def losses(rows: list[Row], fast: str, default: str) -> dict[str, list[str]]:
    """Kinds, with sizes, where a rule does not hold: by the rule's words."""
    found: dict[str, list[str]] = {
        f"{default} larger than {fast}": [],
        f"{default} larger than a rival but {YARDSTICK}": [],
        f"{default} larger than {YARDSTICK}": [],
        f"{fast} larger than xz -9e": [],
    }
    behind_fast, behind_any, behind_strongest, fast_behind = found.values()
    for row in rows:
        sizes = row["sizes"]
        mine = sizes.get(default)
        if mine is None:
            continue
        others = {name: size for name, size in sizes.items() if name not in (fast, default, YARDSTICK)}
        best = min(others, key=lambda name: others[name], default=None)
        if best and others[best] < mine:
            behind_any.append(f"{row['kind']} ({mine:,}; {best} {others[best]:,})")
        if fast in sizes and sizes[fast] < mine:
            behind_fast.append(f"{row['kind']} ({mine:,}; {sizes[fast]:,})")
        if YARDSTICK in sizes and sizes[YARDSTICK] < mine:
            behind_strongest.append(f"{row['kind']} ({mine:,}; {sizes[YARDSTICK]:,})")
        if fast in sizes and "xz -9e" in sizes and sizes["xz -9e"] < sizes[fast]:
            fast_behind.append(f"{row['kind']} ({sizes[fast]:,}; {sizes['xz -9e']:,})")
    return found


def show(rows: list[Row], names: list[str]) -> None:
    click.echo(f"{'kind':24}{'bytes':>9}" + "".join(f"{name:>13}" for name in names))
    for row in rows:
        smallest = min(row["sizes"].values())
        cells = (
            f"{size:>12,}{'*' if size == smallest else ' '}" if size else f"{'-':>12} "
            for size in (row["sizes"].get(name) for name in names)
        )
        click.echo(f"{row['kind']:24}{row['bytes']:>9,}" + "".join(cells))


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--fetch-only", is_flag=True, help="Fetch the files, measure nothing.")
@click.option("--only", default="", help="Kinds, separated by commas.")
@click.option("--levels", default="1,6", show_default=True, help="Levels of llmzip, the default last; empty for none.")
@click.option("--rivals", default=RIVALS, show_default=True, help="Compressors, separated by commas.")
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="A model file in place of the shipped one.")
@click.option(
    "--also", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Files to measure in a table apart."
)
@results.json_option("kinds")
def main(
    folder: Path, fetch_only: bool, only: str, levels: str, rivals: str, model: str | None, also: Path | None,
    target: Path,
) -> None:  # fmt: skip
    """Fetch files of many kinds into FOLDER and measure them."""
    before = results.load(target.stem, target.parent) or {"versions": {}}
    digests = {row["kind"]: row["sha256"] for row in before.get("kinds", [])}
    folder = folder.resolve()  # programs that unpack run elsewhere
    samples, remarks = fetch(folder, set(filter(None, only.split(","))), digests)
    for remark in remarks:
        click.echo(remark, err=True)
    click.echo(f"{len(samples)} kinds, {sum(len(sample.plain) for sample in samples):,} bytes, in {folder / 'files'}")
    if fetch_only:
        return
    click.echo(machine_line())
    others: list[Peer] = []
    for name in filter(None, rivals.split(",")):
        try:
            others.append(peer_named(name))
        except NoSuchPeer as missing:
            click.echo(missing, err=True)
    ours = [llmzip_peer(int(level), model) for level in filter(None, levels.split(","))]
    result = results.new_result([*ours, *others])
    names = [peer.name for peer in [*ours, *others]]
    for part, wanted in (("kinds", samples), ("cases", samples_in(also) if also else [])):
        known = {row["kind"]: row for row in before.get(part, [])}
        for peer in others:
            if before["versions"].get(peer.name) != result["versions"][peer.name]:
                for row in known.values():
                    row["sizes"].pop(peer.name, None)
        rows: list[Row] = []
        for sample in wanted:
            rows.append(measure_sample(sample, ours, others, known.get(sample.kind)))
            # Rows not reached yet stay as they were, so that a run may be broken off.
            later = [row for kind, row in known.items() if kind not in {row["kind"] for row in rows}]
            kept = rows + (later if len(rows) < len(wanted) or only else [])
            result[part] = sorted(kept, key=lambda row: _ORDER.get(row["kind"], len(_ORDER)))
            results.save({**before, **result}, target)
        if wanted:
            show(rows, names)
            if len(ours) > 1:
                for rule, kinds in losses(rows, ours[0].name, ours[-1].name).items():
                    click.echo(f"{rule}: {', '.join(kinds) or 'none'}")


if __name__ == "__main__":
    main()
