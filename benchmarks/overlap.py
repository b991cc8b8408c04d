"""Whether training text holds anything of the benchmark files: ``python -m llmzip.benchmarks.overlap CORPUS FILE...``.

A shingle is 40 letters in a row, case folded, everything else left out: it survives other line breaks, punctuation and
markup. Prints each domain's size and the shingles that a FILE has too. Proverbs, quotations and markup that many pages
have cannot be kept apart from a corpus; longer passages can, and make the check fail. With ``--as-it-stands`` a shingle
is 40 bytes, for tables, code and other alphabets, and each FILE's share that stands in the corpus is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from llmzip.benchmarks import results
from llmzip.models.domains import domain_files, domain_weights, read_domain

SHINGLE_LETTERS = 40
_FILTER_BITS = 28
_FACTOR = 0x2545F4914F6CDD1D
_CHUNK = 1 << 22
"""Positions hashed at a time."""


def letters(text: bytes) -> NDArray[np.uint8]:
    """The ASCII letters of ``text`` in lower case."""
    data = np.frombuffer(text, np.uint8) | np.uint8(32)
    return data[(data >= 97) & (data <= 122)]


def _filter_places(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    return ((hashes >> np.uint64(20)) & np.uint64((1 << _FILTER_BITS) - 1)).astype(np.int64)


def _powers(factor: int, count: int) -> NDArray[np.uint64]:
    """1, factor, factor squared, ... modulo 2^64."""
    factors = np.full(count, factor, np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


_GROWING = _powers(_FACTOR, _CHUNK + SHINGLE_LETTERS)
_SHRINKING = _powers(pow(_FACTOR, -1, 1 << 64), _CHUNK + SHINGLE_LETTERS)


def chunks_of_hashes(text: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    """Hashes of all shingles of ``text``, uint64, in pieces with the place of their first.

    A hash is the value of the shingle as a number in base ``_FACTOR`` modulo 2^64: differences of sums of all digits up
    to a place, each divided by its power, times the power of the place.
    """
    for start in range(0, text.size - SHINGLE_LETTERS + 1, _CHUNK):
        part = text[start : start + _CHUNK + SHINGLE_LETTERS - 1].astype(np.uint64)
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(part * _SHRINKING[: part.size], dtype=np.uint64)])
        count = part.size - SHINGLE_LETTERS + 1
        yield start, (sums[SHINGLE_LETTERS:] - sums[:-SHINGLE_LETTERS]) * _GROWING[:count]


def shingle_hashes(text: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Hash of every shingle of ``text``, uint64 ``[max(0, n - 39)]``."""
    return np.concatenate([np.zeros(0, np.uint64), *(hashes for _, hashes in chunks_of_hashes(text))])


class ShingleIndex:
    """All shingles of some texts."""

    def __init__(self, texts: list[NDArray[np.uint8]]) -> None:
        self.hashes = np.unique(np.concatenate([shingle_hashes(text) for text in texts]))
        self._table = np.zeros(1 << (_FILTER_BITS - 3), np.uint8)
        places = _filter_places(self.hashes)
        np.bitwise_or.at(self._table, places >> 3, (1 << (places & 7)).astype(np.uint8))

    def places_in(self, text: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
        """Places of ``text`` whose shingle is among these, each with its number in ``hashes``."""
        for start, hashes in chunks_of_hashes(text):
            filtered = _filter_places(hashes)
            candidates = np.flatnonzero(self._table[filtered >> 3] >> (filtered & 7) & 1)
            numbers = np.minimum(np.searchsorted(self.hashes, hashes[candidates]), self.hashes.size - 1)
            right = self.hashes[numbers] == hashes[candidates] if self.hashes.size else np.zeros(0, bool)
            yield from zip((candidates[right] + start).tolist(), numbers[right].tolist(), strict=True)

    def shared_with(self, text: bytes) -> list[str]:
        """Passages of ``text``, letters only, all of whose shingles are among these."""
        folded = letters(text)
        places = np.array([place for place, _ in self.places_in(folded)], np.int64)
        runs = np.split(places, np.flatnonzero(np.diff(places) != 1) + 1) if places.size else []
        return [folded[run[0] : run[-1] + SHINGLE_LETTERS].tobytes().decode() for run in runs]


def covered(text: NDArray[np.uint8], known: NDArray[np.uint64]) -> float:
    """Share of ``text`` that lies in a shingle of ``known``, which is sorted."""
    hashes = shingle_hashes(text)
    marks = np.zeros(text.size + 1, np.int64)
    places = np.flatnonzero(np.isin(hashes, known))
    marks[places] += 1
    np.add.at(marks, places + SHINGLE_LETTERS, -1)
    return float((np.cumsum(marks)[:-1] > 0).mean()) if text.size else 0.0


def _show_shares(corpus: Path, files: tuple[Path, ...], target: Path | None) -> None:
    texts = {path.name: np.frombuffer(path.read_bytes(), np.uint8) for path in files}
    index = ShingleIndex(list(texts.values()))
    found = np.zeros(index.hashes.size, bool)
    for name, path in domain_files(corpus / "train").items():
        text = np.frombuffer(read_domain(path), np.uint8)
        numbers = [number for _, number in index.places_in(text)]
        found[numbers] = True
        click.echo(f"{name:16} {text.size / 1e6:7.1f} MB, {np.unique(numbers).size} shingles", err=True)
    shares = {name: round(covered(text, index.hashes[found]), 4) for name, text in texts.items()}
    for name, share in shares.items():
        click.echo(f"{name:24} {100 * share:5.1f} % in the corpus")
    if target:
        result = results.load(target.stem, target.parent) or {}
        results.save({**result, "in_corpus": {**result.get("in_corpus", {}), **shares}}, target)


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--longest", default=400, show_default=True, help="Letters of the longest passage that may be shared.")
@click.option("--as-it-stands", is_flag=True, help="Compare bytes, not letters; give each file's share.")
@click.option(
    "--json", "target", type=click.Path(dir_okay=False, path_type=Path), help="Add the shares to this result file."
)
def main(corpus: Path, files: tuple[Path, ...], longest: int, as_it_stands: bool, target: Path | None) -> None:
    """Look for passages of FILES in CORPUS/train and CORPUS/valid."""
    if as_it_stands:
        _show_shares(corpus, files, target)
        return
    index = ShingleIndex([letters(path.read_bytes()) for path in files])
    click.echo(f"{index.hashes.size} shingles of {len(files)} files")
    weights = domain_weights(corpus / "train")
    total = sum(weights.values())
    too_long = 0
    for part in ("train", "valid"):
        for name, path in domain_files(corpus / part).items():
            text = read_domain(path)
            shared = index.shared_with(text)
            too_long += sum(len(passage) > longest for passage in shared)
            shingles = sum(len(passage) - SHINGLE_LETTERS + 1 for passage in shared)
            share = 100 * weights.get(name, 0.0) / total
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
