"""One compressor on one file, each way in a process of its own, so that time and memory are its own.

``python -m llmzip.benchmarks.measured PEER compress|decompress SOURCE TARGET`` is that process; programs are started
by it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmzip.benchmarks.peers import Peer, peer_named

WAYS = ("compress", "decompress")
_LEAST_SECONDS = 1e-6
"""What took no time that a clock shows counts as so much."""


def speed(plain_bytes: int, seconds: float) -> float:
    """KB/s."""
    return plain_bytes / 1000 / max(seconds, _LEAST_SECONDS)


def times_as_fast(row: dict[str, Any], other: dict[str, Any], way: str) -> float:
    """How many times as fast as another compressor the one of a result's row is; ``way`` is "in" or "out"."""
    return float(other[f"seconds_{way}"] / max(row[f"seconds_{way}"], _LEAST_SECONDS))


@dataclass(frozen=True)
class Measurement:
    """What one compressor made of one file.

    Attributes:
        bytes: length of the compressed file.
        seconds_in, seconds_out: wall time of compressing and restoring.
        mib_in, mib_out: greatest resident memory of the process; for what runs inside Python, with Python's own.
        restored: whether the same bytes came back.
    """

    peer: str
    bytes: int
    seconds_in: float
    seconds_out: float
    mib_in: int
    mib_out: int
    restored: bool

    def row(self) -> dict[str, Any]:
        return asdict(self)


class Failed(Exception):
    """A compressor that ended with an error."""


def _peak_kib() -> int:
    """Peak of this process; unlike ``ru_maxrss`` not that of the process which started it."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _run_program(command: list[str], folder: Path) -> tuple[float, int]:
    """Wall seconds and peak KiB.

    Raises:
        Failed: it ended with an error.
    """
    with open(folder / "failed", "w+b") as failed:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=failed
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            failed.seek(0)
            lines = failed.read().decode(errors="replace").strip().splitlines()
            raise Failed(lines[-1] if lines else f"exit code {process.returncode}")
        return seconds, usage.ru_maxrss


def _one_way(peer: Peer, way: str, source: Path, target: Path) -> tuple[float, float]:
    """Seconds and MiB."""
    # A process between keeps the memory of this one out of what is measured of a program.
    module = [sys.executable, "-m", "llmzip.benchmarks.measured", peer.name, way, str(source), str(target)]
    done = subprocess.run(module, cwd=source.parent, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise Failed(lines[-1] if lines else f"exit code {done.returncode}")
    said = json.loads(done.stdout)
    return said["seconds"], said["kib"] / 1024


def measure(peer: Peer, plain: bytes, restore: bool = True) -> Measurement:
    """Compress ``plain`` and restore it.

    Raises:
        Failed: the compressor ended with an error; the message is its last line.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, packed, restored = (Path(folder) / name for name in ("in", "packed", "restored"))
        source.write_bytes(plain)
        seconds_in, mib_in = _one_way(peer, WAYS[0], source, packed)
        length = packed.stat().st_size
        seconds_out, mib_out, same = 0.0, 0.0, False
        if restore:
            seconds_out, mib_out = _one_way(peer, WAYS[1], packed, restored)
            same = restored.read_bytes() == plain
        return Measurement(
            peer.name, length, round(seconds_in, 6), round(seconds_out, 6), round(mib_in), round(mib_out), same
        )


def main() -> None:
    name, way, source, target = sys.argv[1:]
    peer = peer_named(name)
    if peer.programs:
        try:
            seconds, kib = _run_program(peer.programs[WAYS.index(way)](Path(source), Path(target)), Path(source).parent)
        except Failed as failure:
            sys.exit(str(failure))
    else:
        data = Path(source).read_bytes()
        started = time.perf_counter()
        out = (peer.compress if way == WAYS[0] else peer.decompress)(data)
        seconds = time.perf_counter() - started
        kib = _peak_kib()
        Path(target).write_bytes(out)
    print(json.dumps({"seconds": seconds, "kib": kib}))


if __name__ == "__main__":
    main()
