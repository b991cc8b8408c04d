"""Every 10 KB slice of some files under llmzip, xz, brotli and PPMd: ``python -m llmzip.benchmarks.slices FILE...``."""

from __future__ import annotations

from pathlib import Path

import click

from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import library_peers, llmzip_peer

RIVALS = ("xz -9e", "brotli -11", "PPMd -o16")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--size", default=10_000, show_default=True, help="Bytes per slice.")
@click.option("--every", default=1, show_default=True, help="Take every n-th slice only.")
@click.option("--level", default=6, show_default=True)
def main(files: tuple[Path, ...], size: int, every: int, level: int) -> None:
    """Compare slice by slice; exit with an error if one is not smaller than under every rival."""
    click.echo(machine_line())
    ours = llmzip_peer(level)
    rivals = [peer for peer in library_peers() if peer.name in RIVALS]
    lost = 0
    for path in files:
        data = path.read_bytes()
        slices = [data[i : i + size] for i in range(0, len(data), size)][::every]
        total, best_rival, worst = 0, 0, 0.0
        for part in slices:
            packed = ours.compress(part)
            if ours.decompress(packed) != part:
                raise click.ClickException(f"{path}: a slice was not restored")
            rival = min(len(peer.compress(part)) for peer in rivals)
            total, best_rival = total + len(packed), best_rival + rival
            worst = max(worst, len(packed) / rival)
            lost += len(packed) >= rival
        click.echo(
            f"{path.name:16} {len(slices):4} slices: {total / len(slices):8.1f} bytes a slice, best rival "
            f"{best_rival / len(slices):8.1f}; worst slice {worst:.3f} of the best rival"
        )
    if lost:
        raise click.ClickException(f"{lost} slices were not smaller")


if __name__ == "__main__":
    main()
