"""Long streams through a pipe: ``python -m llmzip.benchmarks.stream``.

200 MB of log lines go through ``llmzip compress`` and back, at the fastest level; at every 2 MB of plain text the wall
time and the process's memory are noted, which should grow evenly and not at all. Then 64 MiB of repeats and one byte
more, which should cost the same. Results go to ``results/stream.json``, the plots to docs by ``benchmarks.tables``.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import click

from llmzip.benchmarks import results
from llmzip.benchmarks.machine import machine_line
from llmzip.benchmarks.peers import llmzip_peer

LLMZIP = [sys.executable, "-m", "llmzip"]
SAMPLE_BYTES = 2_000_000
PIPE_BYTES = 1 << 16
REPEATED_BYTES = 64 << 20
PARAGRAPH_BYTES = 40_000

Sample = dict[str, float]


def log_lines(size: int, seed: int = 7) -> Iterator[bytes]:
    """``size`` bytes of a server's log, in pieces of about 64 KB; the same for the same seed."""
    draw = random.Random(seed)
    hosts = [f"10.{draw.randrange(4)}.{draw.randrange(256)}.{draw.randrange(1, 255)}" for _ in range(400)]
    paths = [f"/{part}/{name}" for part in ("api/v2", "static", "users", "search") for name in
             ("list", "item", "new", "status", "index.html", "app.js", "logo.png")]  # fmt: skip
    jobs = ("import", "mail", "report", "thumbnail", "backup", "index")
    seconds = 1_790_000_000.0
    request = 4_711_000
    left = size
    while left > 0:
        lines = []
        for _ in range(700):
            seconds += draw.expovariate(12.0)
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"
            kind = draw.random()
            if kind < 0.7:
                request += draw.randrange(1, 4)
                status = draw.choices((200, 304, 404, 500), (85, 10, 4, 1))[0]
                lines.append(
                    f"{stamp} INFO  web-{draw.randrange(4)} {draw.choice(hosts)} GET {draw.choice(paths)}?id="
                    f"{draw.randrange(90_000)} {status} {draw.randrange(200, 48_000)} {draw.expovariate(0.05):.1f}ms "
                    f"request={request}"
                )
            elif kind < 0.95:
                lines.append(
                    f"{stamp} DEBUG worker-{draw.randrange(9)} job {draw.choice(jobs)} #{draw.randrange(10**6)} done "
                    f"in {draw.randrange(5, 4000)} ms, queue {draw.randrange(40)}"
                )
            else:
                lines.append(
                    f"{stamp} WARN  db-{draw.randrange(2)} slow query {draw.getrandbits(64):016x}: "
                    f"{draw.expovariate(0.002):.0f} ms, {draw.randrange(1, 90)} rows, table orders_{draw.randrange(12)}"
                )
        piece = ("\n".join(lines) + "\n").encode()[:left]
        left -= len(piece)
        yield piece


def resident_mib(pid: int) -> float:
    """Memory of a process now; 0 where that cannot be asked."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def through_pipe(
    command: list[str], pieces: Iterator[bytes], take: Callable[[bytes], None], counted_at_input: bool
) -> tuple[list[Sample], float]:
    """Feed ``pieces`` to a process and hand what it writes to ``take``.

    Args:
        counted_at_input: whether plain text is what goes in, or what comes out.

    Returns:
        Samples at every ``SAMPLE_BYTES`` of plain text, and the peak memory seen, in MiB.

    Raises:
        click.ClickException: the process failed.
    """
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    output: BinaryIO = process.stdout  # type: ignore[assignment]
    samples: list[Sample] = []
    counted = 0
    started = time.perf_counter()

    def count(length: int) -> None:
        nonlocal counted
        before, counted = counted, counted + length
        if counted // SAMPLE_BYTES > before // SAMPLE_BYTES:
            samples.append(
                {
                    "mb": round(counted / 1e6, 3),
                    "seconds": round(time.perf_counter() - started, 3),
                    "mib": round(resident_mib(process.pid), 1),
                }
            )

    def drain() -> None:
        while chunk := output.read1(PIPE_BYTES):  # type: ignore[attr-defined]
            take(chunk)
            if not counted_at_input:
                count(len(chunk))

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        for piece in pieces:
            process.stdin.write(piece)
            if counted_at_input:
                count(len(piece))
        process.stdin.close()
    except BrokenPipeError:
        pass
    reader.join()
    if process.wait():
        raise click.ClickException(f"{' '.join(command[2:])} failed")
    samples.append(
        {"mb": round(counted / 1e6, 3), "seconds": round(time.perf_counter() - started, 3), "mib": samples[-1]["mib"]}
        if samples
        else {"mb": round(counted / 1e6, 3), "seconds": round(time.perf_counter() - started, 3), "mib": 0.0}
    )
    return samples, max(sample["mib"] for sample in samples)


def _pieces_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIPE_BYTES):
            yield piece


def measure_stream(megabytes: float, level: int) -> list[dict[str, object]]:
    """Both ways of the pipe, as they stand in the result file.

    Raises:
        click.ClickException: what came back differs.
    """
    size = int(megabytes * 1e6)
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "log.llmz"
        sent, received = hashlib.sha256(), hashlib.sha256()

        def watched() -> Iterator[bytes]:
            for piece in log_lines(size):
                sent.update(piece)
                yield piece

        def keep(chunk: bytes) -> None:
            file.write(chunk)

        with packed.open("wb") as file:
            samples, peak = through_pipe([*LLMZIP, "compress", f"-{level}", "-c"], watched(), keep, True)
        length = packed.stat().st_size
        runs: list[dict[str, object]] = [
            {"way": f"compress -{level}", "mb": megabytes, "packed": length, "peak_mib": peak, "samples": samples}
        ]
        samples, peak = through_pipe([*LLMZIP, "decompress", "-c"], _pieces_of(packed), received.update, False)
        if received.digest() != sent.digest():
            raise click.ClickException("the stream did not come back as it was")
        runs.append({"way": "decompress", "mb": megabytes, "packed": length, "peak_mib": peak, "samples": samples})
    return runs


def measure_repeats(size: int, level: int) -> list[dict[str, int]]:
    """Bytes of ``size`` and of ``size + 1`` bytes of one paragraph over and over."""
    paragraph = b"".join(itertools.islice(log_lines(PARAGRAPH_BYTES, seed=8), 1))[:PARAGRAPH_BYTES]
    plain = (paragraph * (size // len(paragraph) + 2))[: size + 1]
    peer = llmzip_peer(level)
    rows = []
    for length in (size, size + 1):
        packed = peer.compress(plain[:length])
        if peer.decompress(packed) != plain[:length]:
            raise click.ClickException(f"{length} bytes of repeats did not come back")
        rows.append({"bytes": length, "packed": len(packed)})
    return rows


@click.command()
@click.option("--mb", default=200.0, show_default=True, help="Megabytes of log lines.")
@click.option("--level", default=1, show_default=True)
@click.option("--repeats", default=REPEATED_BYTES, show_default=True, help="Bytes of repeats; 0 leaves them out.")
@results.json_option("stream")
def main(mb: float, level: int, repeats: int, target: Path) -> None:
    """Send a long log through a pipe and back, and watch time and memory."""
    click.echo(machine_line())
    result = results.new_result([llmzip_peer(level)])
    result["runs"] = measure_stream(mb, level)
    for run in result["runs"]:
        last = run["samples"][-1]
        click.echo(f"{run['way']}: {mb} MB, {run['packed']:,} bytes, {last['seconds']} s, {run['peak_mib']} MiB")
    if repeats:
        result["repeats"] = measure_repeats(repeats, level)
        for row in result["repeats"]:
            click.echo(f"{row['bytes']:,} bytes of repeats: {row['packed']:,}")
    results.save(result, target)
    if repeats and result["repeats"][1]["packed"] > 1.01 * result["repeats"][0]["packed"]:
        raise click.ClickException("one byte more costs more than 1 %")


if __name__ == "__main__":
    main()
