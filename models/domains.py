"""Sampling weights of the corpus domains, and access to their text.

A domain is one file ``<name>.txt``, ``<name>.txt.zst`` or ``<name>.txt.bz3`` in a corpus folder; its documents are
joined by NUL.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np

from llmzip.errors import LlmzError

SUFFIXES = ("", ".zst", ".bz3")
"""Behind ``.txt``."""
WEIGHTS_FILE = "weights.json"

DOMAIN_WEIGHTS: dict[str, float] = {
    "books": 20.0,
    "enwikitext": 20.0,
    "wiki": 12.0,
    "english": 7.0,
    "dict": 5.0,
    "python": 4.0,
    "c": 3.0,
    "linuxdoc": 3.0,
    "gnome-help": 3.0,
    "man": 3.0,
    "bibles": 2.5,
    "python-doc": 2.5,
    "logs": 2.5,
    "anarchism": 2.0,
    "js": 2.0,
    "json": 2.0,
    "postgres": 2.0,
    "git-doc": 1.5,
    "debref": 1.5,
    "perl": 1.2,
    "cppref": 1.2,
    "tldr": 1.2,
    "erlang": 1.0,
    "tatoeba": 1.0,
    "fortunes": 1.0,
    "php": 0.4,
    "ydkjs": 0.4,
    "iso": 0.3,
}
"""Share of training tokens by domain (relative; prose and markup in English first). Other domains get 1. Where a corpus
has a ``weights.json``, that stands in its place."""


def domain_files(folder: Path) -> dict[str, Path]:
    """Map each domain name to its file in ``folder``.

    Raises:
        FileNotFoundError: the folder holds no ``.txt``, ``.txt.zst`` or ``.txt.bz3`` file.
    """
    files = sorted(path for suffix in SUFFIXES for path in folder.glob(f"*.txt{suffix}"))
    if not files:
        raise FileNotFoundError(f"no .txt, .txt.zst or .txt.bz3 file in {folder}")
    return {path.name[: path.name.rindex(".txt")]: path for path in files}


def domain_weights(folder: Path) -> dict[str, float]:
    """The sampling weight of each domain of ``folder``, such as ``CORPUS/train``.

    They come from ``weights.json`` in the folder or beside it, an object of numbers by domain (names that begin with an
    underscore say something else), or else from :data:`DOMAIN_WEIGHTS`.

    Raises:
        FileNotFoundError: the folder holds no text.
        LlmzError: ``weights.json`` is no such object.
    """
    known = DOMAIN_WEIGHTS
    for path in (folder / WEIGHTS_FILE, folder.parent / WEIGHTS_FILE):
        if path.exists():
            known = _read_weights(path)
            break
    return {name: known.get(name, 1.0) for name in domain_files(folder)}


def _read_weights(path: Path) -> dict[str, float]:
    try:
        listed = json.loads(path.read_bytes())
        weights = {name: float(value) for name, value in listed.items() if not name.startswith("_")}
    except (ValueError, TypeError, AttributeError) as error:
        raise LlmzError(f"{path}: not an object of weights by domain") from error
    for name, value in weights.items():
        if not (math.isfinite(value) and value >= 0):
            raise LlmzError(f"{path}: the weight of {name} is no share")
    return weights


def read_domain(path: Path) -> bytes:
    """Return the plain text of one domain file.

    Raises:
        LlmzError: it is compressed with bzip3 and there is no such program, or it is damaged.
    """
    if path.suffix == ".bz3":
        return _read_bzip3(path)
    data = path.read_bytes()
    if path.suffix != ".zst":
        return data
    return _read_zstd(data, path)


def _read_zstd(data: bytes, path: Path) -> bytes:
    """All frames of a file: appending to one, and ``pzstd``, make several."""
    import zstandard

    frames = []
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            frames.append(frame.decompress(data))
        except zstandard.ZstdError as error:
            raise LlmzError(f"{path}: damaged: {error}") from error
        if not frame.eof:
            raise LlmzError(f"{path}: damaged: it ends too early")
        data = frame.unused_data
    return b"".join(frames)


def _read_bzip3(path: Path) -> bytes:
    program = shutil.which("bzip3")
    if program is None:
        raise LlmzError(f"{path}: reading it needs the program bzip3 on the PATH (package bzip3)")
    with path.open("rb") as source:
        finished = subprocess.run([program, "-d", "-c"], stdin=source, capture_output=True, check=False)
    if finished.returncode:
        raise LlmzError(f"{path}: damaged: {finished.stderr.decode(errors='replace').strip()}")
    return finished.stdout


def random_pieces(folder: Path, total_bytes: int, piece_bytes: int, seed: int = 1) -> list[bytes]:
    """Random pieces of ``folder``'s domains by their weights, ``total_bytes`` in all, in random order."""
    random = np.random.default_rng(seed)
    files, weights = domain_files(folder), domain_weights(folder)
    shares = np.array([weights[name] for name in files])
    wanted = random.multinomial(max(1, total_bytes // piece_bytes), shares / shares.sum())
    pieces: list[bytes] = []
    for path, count in zip(files.values(), wanted, strict=True):
        if not count:
            continue
        text = read_domain(path)
        for start in random.integers(max(1, len(text) - piece_bytes), size=count):
            pieces.append(text[start : start + piece_bytes].replace(b"\0", b"\n"))
    return [pieces[i] for i in random.permutation(len(pieces))]
