"""Sampling weights of the corpus domains, and access to their text.

A domain is one file ``<name>.txt`` or ``<name>.txt.zst`` in a corpus folder; its documents are joined by NUL.
"""

from __future__ import annotations

from pathlib import Path

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
"""Share of training tokens by domain (relative; prose and markup in English first). Other domains get 1."""


def domain_files(folder: Path) -> dict[str, Path]:
    """Map each domain name to its file in ``folder``.

    Raises:
        FileNotFoundError: the folder holds no ``.txt`` or ``.txt.zst`` file.
    """
    files = sorted([*folder.glob("*.txt"), *folder.glob("*.txt.zst")])
    if not files:
        raise FileNotFoundError(f"no .txt or .txt.zst file in {folder}")
    return {path.name.removesuffix(".zst").removesuffix(".txt"): path for path in files}


def read_domain(path: Path) -> bytes:
    """Return the plain text of one domain file."""
    data = path.read_bytes()
    if path.suffix != ".zst":
        return data
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj().decompress(data)
