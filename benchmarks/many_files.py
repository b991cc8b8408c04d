"""Many small files: ``python -m llmzip.benchmarks.many_files FILE...``.

Cuts FILEs into pieces of 1 KB, one piece a file, and compares what ``llmzip compress -r`` makes of them with one
archive of all, and with zstd under a dictionary trained on them, whose bytes count.
"""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import click

from llmzip.benchmarks import results
from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import library_peers, llmzip_peer

DICTIONARY_BYTES = (2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10)


def pieces_of(files: list[bytes], count: int, size: int) -> list[bytes]:
    """The first ``count`` pieces of ``size`` bytes, in turn from each of ``files``."""
    cut = [[data[i : i + size] for i in range(0, len(data) - size + 1, size)] for data in files]
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*cut))
    return [piece for piece in in_turn if piece is not None][:count]


def tar_of(pieces: list[bytes]) -> bytes:
    """What ``tar`` makes of them, with nothing in it of who ran it and when."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number, piece in enumerate(pieces):
            entry = tarfile.TarInfo(f"pieces/{number:04d}.txt")
            entry.size = len(piece)
            archive.addfile(entry, io.BytesIO(piece))
    return out.getvalue()


def recursive_bytes(pieces: list[bytes], level: int, options: tuple[str, ...] = ()) -> int:
    """Sum of the archives that ``llmzip compress -r`` makes of a folder of ``pieces``; all are restored, compared."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pieces"
        folder.mkdir()
        for number, piece in enumerate(pieces):
            (folder / f"{number:04d}.txt").write_bytes(piece)
        command = [sys.executable, "-m", "llmzip"]
        subprocess.run([*command, "compress", f"-{level}", "-r", *options, str(folder)], check=True)
        archives = sorted(folder.glob("*.llmz"))
        total = sum(path.stat().st_size for path in archives)
        if len(archives) != len(pieces):
            raise click.ClickException(f"{len(archives)} archives of {len(pieces)} files")
        for path in folder.glob("*.txt"):
            path.unlink()
        subprocess.run([*command, "decompress", *map(str, archives)], check=True)
        restored = [path.read_bytes() for path in sorted(folder.glob("*.txt"))]
        if restored != pieces:
            raise click.ClickException("not every piece was restored")
        return total


def zstd_with_dictionary(pieces: list[bytes]) -> tuple[int, int]:
    """Bytes of all pieces under zstd -19 and the best dictionary, and the dictionary's, which are counted in."""
    import zstandard

    best = (sum(map(len, pieces)), 0)
    for size in DICTIONARY_BYTES:
        try:
            dictionary = zstandard.train_dictionary(size, [*pieces], level=19)
        except zstandard.ZstdError:
            continue
        compressor = zstandard.ZstdCompressor(level=19, dict_data=dictionary, write_content_size=False)
        length = len(dictionary.as_bytes())
        best = min(best, (length + sum(len(compressor.compress(piece)) for piece in pieces), length))
    return best


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--count", default=500, show_default=True)
@click.option("--size", default=1000, show_default=True)
@click.option("--levels", default="1,6", show_default=True)
@results.json_option("many_files")
def main(files: tuple[Path, ...], count: int, size: int, levels: str, target: Path) -> None:
    """Compress pieces of FILES one by one and together."""
    click.echo(machine_line())
    pieces = pieces_of([path.read_bytes() for path in files], count, size)
    archive = tar_of(pieces)
    chosen = [int(level) for level in filter(None, levels.split(","))]
    one_by_one = [peer for peer in library_peers() if peer.name in ("gzip -9", "xz -9e", "zstd -19", "brotli -11")]
    rows: list[dict[str, str | int]] = []

    def add(way: str, length: int) -> None:
        rows.append({"way": way, "bytes": length})
        click.echo(f"{way:44}{length:>10,}")

    for level in chosen:
        add(f"llmzip compress -{level} -r", recursive_bytes(pieces, level))
    for level in chosen:
        add(f"tar, llmzip -{level}", len(llmzip_peer(level).compress(archive)))
    total, dictionary = zstd_with_dictionary(pieces)
    add(f"zstd -19, with a dictionary of {dictionary:,} bytes", total)
    for peer in one_by_one:
        add(f"{peer.name}, one by one", sum(len(peer.compress(piece)) for piece in pieces))
        add(f"tar, {peer.name}", len(peer.compress(archive)))
    result = results.new_result([*(llmzip_peer(level) for level in chosen), *one_by_one])
    result.update({"count": len(pieces), "plain": sum(map(len, pieces)), "rows": rows})
    result["from"] = [path.name for path in files]
    results.save(result, target)


if __name__ == "__main__":
    main()
