"""The compressors that are measured: ours, the standard library's, those on PyPI, and those on the PATH."""

from __future__ import annotations

import bz2
import gzip
import importlib.metadata
import importlib.util
import lzma
import platform
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Codec = Callable[[bytes], bytes]
Command = Callable[[Path, Path], list[str]]
CAUSAL_TRANSFORMER = Path(__file__).parent / "data" / "causal.llmzmodel"
"""A small one, by the same trainer on the same text (docs/scaling.md); in the repository, not in the package."""
YARDSTICK = "paq8px -8"
"""Speeds are also given as multiples of this one's; it alone may be smaller than llmzip, in a few kinds of text."""
CAUSAL = "causal transformer"
_LENGTH_BYTES = 8


@dataclass(frozen=True)
class Peer:
    """A compressor: bytes to bytes and back.

    ``programs`` are the commands of one that is a program, each from a source and a target path; ``version`` says what
    was measured.
    """

    name: str
    compress: Codec
    decompress: Codec
    version: Callable[[], str]
    programs: tuple[Command, Command] | None = None


class NoSuchPeer(Exception):
    """A name that stands for no compressor, or for one that is not installed."""


def llmzip_peer(level: int, model: str | None = None, name: str | None = None) -> Peer:
    import llmzip

    return Peer(
        name or f"llmzip -{level}",
        lambda data: llmzip.compress(data, level=level, model=model),
        lambda data: llmzip.decompress(data, model=model),
        lambda: f"llmzip {llmzip.__version__}",
    )


def _causal_peer() -> Peer:
    """The transformer by itself: its tokens in one block, and no other method where that would be smaller."""
    import llmzip
    from llmzip.blocks import tokens
    from llmzip.blocks.adaptive import AdaptiveModels
    from llmzip.blocks.lanes import cut_into_lanes
    from llmzip.format.member import LEAST_TABLE_BITS
    from llmzip.network.model import load_model
    from llmzip.progress import SILENT
    from llmzip.settings import Settings

    settings = Settings(level=2)

    def models() -> AdaptiveModels:
        return AdaptiveModels(LEAST_TABLE_BITS, load_model(str(CAUSAL_TRANSFORMER)), settings.thread_count)

    def compress(data: bytes) -> bytes:
        lane_bytes = cut_into_lanes(data, settings.lanes_for(len(data)))
        length = len(data).to_bytes(_LENGTH_BYTES, "little")
        return length + tokens.encode(models(), data, lane_bytes, None, False, SILENT)

    def decompress(data: bytes) -> bytes:
        length = int.from_bytes(data[:_LENGTH_BYTES], "little")
        return tokens.decode(models(), data[_LENGTH_BYTES:], settings.lanes_for(length), length, SILENT)

    return Peer(CAUSAL, compress, decompress, lambda: f"llmzip {llmzip.__version__}")


def _gzip() -> Peer:
    return Peer(
        "gzip -9", lambda data: gzip.compress(data, 9, mtime=0), gzip.decompress,
        lambda: f"zlib {zlib.ZLIB_RUNTIME_VERSION}",
    )  # fmt: skip


def _bzip2() -> Peer:
    return Peer("bzip2 -9", lambda data: bz2.compress(data, 9), bz2.decompress, lambda: _python("libbz2"))


def _xz() -> Peer:
    return Peer(
        "xz -9e", lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME), lzma.decompress,
        lambda: _python("liblzma"),
    )  # fmt: skip


def _python(library: str) -> str:
    """The standard library does not say which version of ``library`` it holds."""
    return f"{library} of Python {platform.python_version()}"


def _zstd(level: int) -> Peer:
    import zstandard

    def compress(data: bytes) -> bytes:
        ldm = level > 19  # what the program calls --long
        options = zstandard.ZstdCompressionParameters.from_level(level, source_size=len(data), enable_ldm=ldm)
        return zstandard.ZstdCompressor(compression_params=options).compress(data)

    def decompress(data: bytes) -> bytes:
        return zstandard.ZstdDecompressor().decompress(data)

    return Peer(f"zstd -{level}", compress, decompress, lambda: "libzstd " + ".".join(map(str, zstandard.ZSTD_VERSION)))


def _brotli() -> Peer:
    import brotli

    return Peer(
        "brotli -11", lambda data: brotli.compress(data, quality=11, lgwin=24), brotli.decompress,
        lambda: "brotli " + importlib.metadata.version("brotli"),
    )  # fmt: skip


def _ppmd() -> Peer:
    import pyppmd

    def compress(data: bytes) -> bytes:
        return pyppmd.compress(data, max_order=16, mem_size=256 << 20, variant="I")

    def decompress(data: bytes) -> bytes:
        plain = pyppmd.decompress(data, max_order=16, mem_size=256 << 20, variant="I")
        assert isinstance(plain, bytes)
        return plain

    return Peer("PPMd -o16", compress, decompress, lambda: "pyppmd " + importlib.metadata.version("pyppmd"))


_LIBRARIES: dict[str, tuple[str, Callable[[], Peer]]] = {
    "gzip -9": ("gzip", _gzip),
    "bzip2 -9": ("bz2", _bzip2),
    "xz -9e": ("lzma", _xz),
    "zstd -3": ("zstandard", lambda: _zstd(3)),
    "zstd -19": ("zstandard", lambda: _zstd(19)),
    "zstd -22": ("zstandard", lambda: _zstd(22)),
    "brotli -11": ("brotli", _brotli),
    "PPMd -o16": ("pyppmd", _ppmd),
}
"""By name: the module that is needed, and what makes the peer."""


def _bzip3(source: Path, target: Path) -> list[str]:
    mebibytes = min(511, (source.stat().st_size >> 20) + 2)
    return ["bzip3", "-e", "-f", "-b", str(mebibytes), "-k", str(source), str(target)]


_PROGRAMS: dict[str, tuple[Command, Command]] = {
    "bzip3": (_bzip3, lambda source, target: ["bzip3", "-d", "-f", "-k", str(source), str(target)]),
    "zpaq -m5": (
        lambda source, target: [
            "sh", "-c", f"zpaq add {target}.zpaq {source} -m5 -to in >&2 && mv {target}.zpaq {target}"
        ],
        lambda source, target: [
            "sh", "-c", f"mv {source} {source}.zpaq && zpaq extract {source}.zpaq in -to {target} >&2"
        ],
    ),
    YARDSTICK: (
        lambda source, target: ["paq8px", "-8", str(source), str(target)],
        lambda source, target: ["paq8px", "-d", str(source), str(target)],
    ),
    "cmix": (
        lambda source, target: ["cmix", "-c", str(source), str(target)],
        lambda source, target: ["cmix", "-d", str(source), str(target)],
    ),
}  # fmt: skip
"""Commands by name; a program is the name's first word."""


def _program_version(program: str) -> str:
    """The first thing like a version in what the program says of itself."""
    for option in ("--version", "-h", ""):
        try:
            done = subprocess.run([program, option] if option else [program], capture_output=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            continue
        found = re.search(r"v?\d+[.\d]*\w*", (done.stdout + done.stderr).decode(errors="replace").replace(program, ""))
        if found:
            return f"{program} {found[0]}"
    return program


def _through_files(command: Command, data: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in", Path(folder) / "out"
        source.write_bytes(data)
        subprocess.run(command(source, target), check=True, capture_output=True, cwd=folder)
        return target.read_bytes()


def _program_peer(name: str) -> Peer:
    pack, unpack = _PROGRAMS[name]
    return Peer(
        name, lambda data: _through_files(pack, data), lambda data: _through_files(unpack, data),
        lambda: _program_version(name.split()[0]), (pack, unpack),
    )  # fmt: skip


def _library_names() -> list[str]:
    return [name for name, (module, _) in _LIBRARIES.items() if importlib.util.find_spec(module)]


def _program_names() -> list[str]:
    return [name for name in _PROGRAMS if shutil.which(name.split()[0])]


def library_peers() -> list[Peer]:
    """Peers that run inside Python: the standard library's, and what of PyPI's is installed."""
    return [_LIBRARIES[name][1]() for name in _library_names()]


def program_peers() -> list[Peer]:
    """Peers that are programs on the PATH."""
    return [_program_peer(name) for name in _program_names()]


def rivals() -> list[Peer]:
    """Every compressor that is installed here and not ours."""
    return library_peers() + program_peers()


def peer_named(name: str) -> Peer:
    """The peer of that name: ``llmzip -LEVEL`` with, after a space, a model file; ``causal transformer``; or a rival,
    for which its first word will do.

    Raises:
        NoSuchPeer: nothing of that name is installed.
    """
    ours = re.fullmatch(r"llmzip -(\d)(?: (.+))?", name)
    if ours:
        return llmzip_peer(int(ours[1]), ours[2], name)
    if name == CAUSAL:
        return _causal_peer()
    known = _library_names() + _program_names()
    found = [each for each in known if name in (each, each.split()[0]) or name.lower() == each.split()[0].lower()]
    if not found:
        raise NoSuchPeer(f"no compressor {name!r} here; there are {', '.join(known)}")
    # Of several levels the last is the strongest.
    chosen = name if name in found else found[-1]
    return _LIBRARIES[chosen][1]() if chosen in _LIBRARIES else _program_peer(chosen)
