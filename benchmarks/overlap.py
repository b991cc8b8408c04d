"""Whether training text holds anything of the benchmark files: ``python -m llmzip.benchmarks.overlap CORPUS FILE...``.

A shingle is 40 letters in a row, case folded, everything else left out: it survives other line breaks, punctuation and
markup. Prints each domain's size and the shingles that a FILE has too. Proverbs, quotations and markup that many pages
have cannot be kept apart from a corpus; longer passages can, and make the check fail.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numba import njit
from numpy.typing import NDArray

from llmzip.models.domains import DOMAIN_WEIGHTS, domain_files, read_domain

SHINGLE_LETTERS = 40
_FILTER_BITS = 28
_FACTOR = 0x2545F4914F6CDD1D


def letters(text: bytes) -> NDArray[np.uint8]:
    """The ASCII letters of ``text`` in lower case."""
    data = np.frombuffer(text, np.uint8) | np.uint8(32)
    return data[(data >= 97) & (data <= 122)]


@njit(cache=True)
def _filter_place(hashed):
    return (hashed >> 20) & ((1 << _FILTER_BITS) - 1)


@njit(cache=True)
def shingle_hashes(text):
    """Rolling hash of every shingle of ``text``, int64 ``[max(0, n - 39)]``."""
    oldest_factor = np.int64(1)
    for _ in range(SHINGLE_LETTERS):
        oldest_factor *= _FACTOR
    out = np.empty(max(0, text.size - SHINGLE_LETTERS + 1), np.int64)
    hashed = np.int64(0)
    for i in range(text.size):
        hashed = hashed * _FACTOR + np.int64(text[i])
        if i >= SHINGLE_LETTERS:
            hashed -= oldest_factor * np.int64(text[i - SHINGLE_LETTERS])
        if i >= SHINGLE_LETTERS - 1:
            out[i - SHINGLE_LETTERS + 1] = hashed
    return out


@njit(cache=True)
def _candidates(hashes, table):
    """Places of ``hashes`` that the filter ``table`` knows."""
    found = [np.int64(0) for _ in range(0)]
    for i in range(hashes.size):
        place = _filter_place(hashes[i])
        if table[place >> 3] >> (place & 7) & 1:
            found.append(np.int64(i))
    return found


class ShingleIndex:
    """All shingles of some texts."""

    def __init__(self, texts: list[bytes]) -> None:
        self.hashes = np.unique(np.concatenate([shingle_hashes(letters(text)) for text in texts]))
        self._table = np.zeros(1 << (_FILTER_BITS - 3), np.uint8)
        places = _filter_place(self.hashes)
        np.bitwise_or.at(self._table, places >> 3, (1 << (places & 7)).astype(np.uint8))

    def shared_with(self, text: bytes) -> list[str]:
        """Passages of ``text``, letters only, all of whose shingles are among these."""
        folded = letters(text)
        hashes = shingle_hashes(folded)
        places = np.array(_candidates(hashes, self._table), np.int64)
        places = places[np.isin(hashes[places], self.hashes)]
        runs = np.split(places, np.flatnonzero(np.diff(places) != 1) + 1) if places.size else []
        return [folded[run[0] : run[-1] + SHINGLE_LETTERS].tobytes().decode() for run in runs]


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--longest", default=400, show_default=True, help="Letters of the longest passage that may be shared.")
def main(corpus: Path, files: tuple[Path, ...], longest: int) -> None:
    """Look for passages of FILES in CORPUS/train and CORPUS/valid."""
    index = ShingleIndex([path.read_bytes() for path in files])
    click.echo(f"{index.hashes.size} shingles of {len(files)} files")
    total = sum(DOMAIN_WEIGHTS.values())
    too_long = 0
    for part in ("train", "valid"):
        for name, path in domain_files(corpus / part).items():
            text = read_domain(path)
            shared = index.shared_with(text)
            too_long += sum(len(passage) > longest for passage in shared)
            shingles = sum(len(passage) - SHINGLE_LETTERS + 1 for passage in shared)
            share = 100 * DOMAIN_WEIGHTS.get(name, 1.0) / total
            click.echo(
                f"{part} {name:12} {len(text) / 1e6:7.1f} MB {share:5.1f} % of training, "
                f"shared: {shingles} shingles in {len(shared)} passages"
            )
            if shared:
                passage = max(shared, key=len)
                click.echo(f"    longest, {len(passage)} letters: {passage[:100]}")
    if too_long:
        raise click.ClickException(f"{too_long} shared passages of more than {longest} letters")


if __name__ == "__main__":
    main()
