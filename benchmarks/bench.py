"""``llmzip bench``: size, speed and memory beside other compressors, every restore compared byte for byte."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import resource
import time
from pathlib import Path
from typing import Any

import click

from llmzip.benchmarks.machine import describe_machine, machine_line
from llmzip.benchmarks.peers import Peer, library_peers, llmzip_peer, program_peers

ENWIK8_BYTES = 100_000_000
ENWIK8_SHA1 = "57b8363b814821dc9d47aa4d41f58733519076b2"
CAUSAL_TRANSFORMER = Path(__file__).parent / "data" / "causal.llmzmodel"
"""A small one, by the same trainer on the same text (docs/scaling.md); in the repository, not in the package."""


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


def _measure_here(peer: Peer, data: bytes, warm: bool) -> dict[str, Any]:
    if warm:
        peer.decompress(peer.compress(data[:2000]))
    started = time.perf_counter()
    packed = peer.compress(data)
    middle = time.perf_counter()
    restored = peer.decompress(packed)
    ended = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "compressor": peer.name,
        "bytes": len(packed),
        "bits_per_byte": round(8 * len(packed) / max(1, len(data)), 4),
        "ratio": round(len(data) / len(packed), 3),
        "compress_seconds": round(middle - started, 3),
        "decompress_seconds": round(ended - middle, 3),
        "peak_mib": round(max(peak, peak_children) / 1024),
        "restored": restored == data,
    }


def measure(peer: Peer, data: bytes) -> dict[str, Any]:
    """Time one compressor in a fresh process, so that its peak memory is its own (for ours, kernels warm)."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def work() -> None:
        sender.send(_measure_here(peer, data, warm=peer.name.startswith(("llmzip", "causal"))))

    process = context.Process(target=work)
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return {"compressor": peer.name, "error": "failed"}
    finally:
        process.join()


def print_table(name: str, size: int, rows: list[dict[str, Any]]) -> None:
    click.echo(f"\n{name} ({size} bytes)")
    click.echo(f"{'compressor':28}{'bytes':>10}{'bpb':>8}{'ratio':>8}{'KB/s in':>10}{'KB/s out':>10}{'MiB':>7}")
    for row in sorted(rows, key=lambda r: r.get("bytes", 1 << 62)):
        if "error" in row or not row["restored"]:
            click.echo(f"{row['compressor']:28}  {row.get('error', 'NOT RESTORED')}")
            continue
        rates = [size / 1000 / max(row[f"{way}_seconds"], 1e-4) for way in ("compress", "decompress")]
        click.echo(
            f"{row['compressor']:28}{row['bytes']:>10}{row['bits_per_byte']:>8.3f}{row['ratio']:>8.2f}"
            f"{rates[0]:>10.1f}{rates[1]:>10.1f}{row['peak_mib']:>7}"
        )


def draw_plot(results: list[dict[str, Any]], target: Path) -> None:
    """Bits per byte against decompression speed over all files together."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    totals: dict[str, list[float]] = {}
    for result in results:
        for row in result["rows"]:
            if row.get("restored"):
                entry = totals.setdefault(row["compressor"], [0.0, 0.0, 0.0])
                entry[0] += result["size"]
                entry[1] += row["bytes"]
                entry[2] += row["decompress_seconds"]
    figure, axes = plt.subplots(figsize=(8, 5))
    for name, (plain, packed, seconds) in totals.items():
        axes.scatter(plain / 1000 / max(seconds, 1e-4), 8 * packed / plain)
        axes.annotate(name, (plain / 1000 / max(seconds, 1e-4), 8 * packed / plain), fontsize=8)
    axes.set(xscale="log", xlabel="decompression, KB/s", ylabel="bits per byte")
    figure.tight_layout()
    figure.savefig(target, dpi=120)


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--enwik8", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Measure enwik8 too.")
@click.option("--first", type=click.IntRange(1), help="Only the first so many bytes of each file.")
@click.option("--levels", default="1,6", show_default=True, help="Levels of llmzip.")
@click.option("--only-llmzip", is_flag=True, help="Leave the peers out.")
@click.option(
    "--causal", type=click.Path(exists=True, dir_okay=False), help="Model file of another causal transformer."
)
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write results here.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw bits per byte against speed.")
def main(
    files: tuple[Path, ...], enwik8: Path | None, first: int | None, levels: str, only_llmzip: bool,
    causal: str | None, json_path: Path | None, plot: Path | None,
) -> None:  # fmt: skip
    """Measure FILES with llmzip and its peers: bytes, bits per byte, speed both ways, peak memory."""
    if enwik8:
        check_enwik8(enwik8)
        files = (*files, enwik8)
    if not files:
        raise click.UsageError("name a file, or --enwik8 PATH")
    peers = [llmzip_peer(int(level)) for level in levels.split(",")]
    if not causal and not only_llmzip and CAUSAL_TRANSFORMER.exists():
        causal = str(CAUSAL_TRANSFORMER)
    if causal:
        peers.append(llmzip_peer(2, causal, "causal transformer"))
    if not only_llmzip:
        peers += library_peers() + program_peers()
    machine = describe_machine()
    click.echo(machine_line())
    results: list[dict[str, Any]] = []
    for path in files:
        data = path.read_bytes()[:first]
        rows = [measure(peer, data) for peer in peers]
        print_table(path.name, len(data), rows)
        results.append({"file": path.name, "size": len(data), "rows": rows})
    if json_path:
        json_path.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")
    if plot:
        draw_plot(results, plot)
    if not all(row.get("restored") for result in results for row in result["rows"]):
        raise click.ClickException("not every file was restored")


if __name__ == "__main__":
    main()
