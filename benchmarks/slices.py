"""Every 10 KB slice of some files under llmzip, xz, brotli and PPMd: ``python -m llmzip.benchmarks.slices FILE...``."""

from __future__ import annotations

from pathlib import Path

import click

from llmzip.benchmarks import results
from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import llmzip_peer, peer_named

RIVALS = ("xz -9e", "brotli -11", "PPMd -o16")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--size", default=10_000, show_default=True, help="Bytes per slice.")
@click.option("--every", default=1, show_default=True, help="Take every n-th slice only.")
@click.option("--level", default=6, show_default=True)
@results.json_option("slices")
def main(files: tuple[Path, ...], size: int, every: int, level: int, target: Path) -> None:
    """Compare slice by slice; exit with an error if one is not smaller than under every rival."""
    click.echo(machine_line())
    ours = llmzip_peer(level)
    rivals = [peer_named(name) for name in RIVALS]
    result = results.new_result([ours, *rivals])
    result["head"] = [
        "file",
        f"slices of {size:,} bytes",
        f"mean, {ours.name}",
        "mean, best rival",
        "worst / best rival",
    ]
    result["rows"] = []
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
        mean, rival_mean = total / len(slices), best_rival / len(slices)
        click.echo(
            f"{path.name:16} {len(slices):4} slices: {mean:8.1f} bytes a slice, best rival {rival_mean:8.1f}; "
            f"worst slice {worst:.3f} of the best rival"
        )
        result["rows"].append([path.name, str(len(slices)), f"{mean:,.0f}", f"{rival_mean:,.0f}", f"{worst:.3f}"])
    results.save(result, target)
    if lost:
        raise click.ClickException(f"{lost} slices were not smaller")


if __name__ == "__main__":
    main()
