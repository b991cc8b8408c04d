"""The compressors that are measured: ours, the standard library's, those on PyPI, and those on the PATH."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import lzma
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Codec = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Peer:
    """A compressor: bytes to bytes and back."""

    name: str
    compress: Codec
    decompress: Codec


def llmzip_peer(level: int, model: str | None = None, name: str | None = None) -> Peer:
    from llmzip.settings import Settings
    from llmzip.streams import compress, decompress

    settings = Settings(level=level, model=model)
    return Peer(name or f"llmzip -{level}", lambda data: compress(data, settings), lambda data: decompress(data, model))


def library_peers() -> list[Peer]:
    peers = [
        Peer("gzip -9", lambda data: gzip.compress(data, 9), gzip.decompress),
        Peer("bzip2 -9", lambda data: bz2.compress(data, 9), bz2.decompress),
        Peer("xz -9e", lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME), lzma.decompress),
    ]
    if importlib.util.find_spec("zstandard"):
        import zstandard

        for level in (3, 19, 22):
            compressor = zstandard.ZstdCompressor(level=level)
            peers.append(Peer(f"zstd -{level}", compressor.compress, zstandard.ZstdDecompressor().decompress))
    if importlib.util.find_spec("brotli"):
        import brotli

        peers.append(Peer("brotli -11", lambda data: brotli.compress(data, quality=11, lgwin=24), brotli.decompress))
    if importlib.util.find_spec("pyppmd"):
        import pyppmd

        def ppmd(data: bytes) -> bytes:
            return pyppmd.compress(data, max_order=16, mem_size=256 << 20, variant="I")

        def unppmd(data: bytes) -> bytes:
            plain = pyppmd.decompress(data, max_order=16, mem_size=256 << 20, variant="I")
            assert isinstance(plain, bytes)
            return plain

        peers.append(Peer("PPMd -o16", ppmd, unppmd))
    return peers


def _through_files(
    pack: Callable[[Path, Path], list[str]], unpack: Callable[[Path, Path], list[str]], name: str
) -> Peer:
    def run(command: Callable[[Path, Path], list[str]], data: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in", Path(folder) / "out"
            source.write_bytes(data)
            subprocess.run(command(source, target), check=True, capture_output=True, cwd=folder)
            return target.read_bytes()

    return Peer(name, lambda data: run(pack, data), lambda data: run(unpack, data))


def program_peers() -> list[Peer]:
    """paq8px, cmix, zpaq and bzip3, where their programs are on the PATH."""
    peers = []
    if shutil.which("bzip3"):
        peers.append(
            _through_files(
                lambda a, b: ["bzip3", "-e", "-b", "511", "-k", str(a), str(b)],
                lambda a, b: ["bzip3", "-d", "-k", str(a), str(b)],
                "bzip3 -b 511",
            )
        )
    if shutil.which("paq8px"):
        peers.append(
            _through_files(
                lambda a, b: ["paq8px", "-8", str(a), str(b)],
                lambda a, b: ["paq8px", "-d", str(a), str(b)],
                "paq8px -8",
            )
        )
    if shutil.which("cmix"):
        peers.append(
            _through_files(
                lambda a, b: ["cmix", "-c", str(a), str(b)], lambda a, b: ["cmix", "-d", str(a), str(b)], "cmix"
            )
        )
    if shutil.which("zpaq"):
        peers.append(
            _through_files(
                lambda a, b: ["sh", "-c", f"zpaq add {b}.zpaq in -m5 && mv {b}.zpaq {b}"],
                lambda a, b: ["sh", "-c", f"mv {a} {a}.zpaq && zpaq extract {a}.zpaq in -to {b}"],
                "zpaq -m5",
            )
        )
    return peers
