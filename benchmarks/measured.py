"""One compressor on one file, each way in a process of its own, so that time and memory are its own.

``python -m llmzip.benchmarks.measured PEER compress|decompress SOURCE TARGET`` is that process for what runs inside
Python; programs are started as they are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmzip.benchmarks.peers import Peer, peer_named

WAYS = ("compress", "decompress")


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


def _timed(command: list[str], folder: Path) -> tuple[float, int, str]:
    """Wall seconds, peak KiB and standard output of a process."""
    with open(folder / "said", "w+b") as said, open(folder / "failed", "w+b") as failed:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=failed)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            failed.seek(0)
            lines = failed.read().decode(errors="replace").strip().splitlines()
            raise Failed(lines[-1] if lines else f"exit code {process.returncode}")
        said.seek(0)
        # Of a shell, wait4 counts the children that it waited for too.
        return seconds, usage.ru_maxrss, said.read().decode(errors="replace")


def _one_way(peer: Peer, way: int, source: Path, target: Path) -> tuple[float, float]:
    """Seconds and MiB."""
    if peer.programs:
        seconds, kibibytes, _ = _timed(peer.programs[way](source, target), source.parent)
    else:
        module = [sys.executable, "-m", "llmzip.benchmarks.measured", peer.name, WAYS[way]]
        _, kibibytes, said = _timed([*module, str(source), str(target)], source.parent)
        seconds = json.loads(said)["seconds"]
    return seconds, kibibytes / 1024


def measure(peer: Peer, plain: bytes, restore: bool = True) -> Measurement:
    """Compress ``plain`` and restore it.

    Raises:
        Failed: the compressor ended with an error; the message is its last line.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, packed, restored = (Path(folder) / name for name in ("in", "packed", "restored"))
        source.write_bytes(plain)
        seconds_in, mib_in = _one_way(peer, 0, source, packed)
        length = packed.stat().st_size
        seconds_out, mib_out, same = 0.0, 0.0, False
        if restore:
            seconds_out, mib_out = _one_way(peer, 1, packed, restored)
            same = restored.read_bytes() == plain
        return Measurement(
            peer.name, length, round(seconds_in, 4), round(seconds_out, 4), round(mib_in), round(mib_out), same
        )


def main() -> None:
    name, way, source, target = sys.argv[1:]
    peer = peer_named(name)
    data = Path(source).read_bytes()
    started = time.perf_counter()
    out = (peer.compress if way == WAYS[0] else peer.decompress)(data)
    seconds = time.perf_counter() - started
    Path(target).write_bytes(out)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
