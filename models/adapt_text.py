"""The text that a model is adapted to: files of a folder, and the part of them that becomes the primer."""

from __future__ import annotations

import gzip
import heapq
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmzip.errors import LlmzError
from llmzip.models.domains import read_domain

_UNPACKED = (".zst", ".bz3", ".gz")
PASSAGE_BYTES = 2048
"""Of which a primer is made up."""
_SHINGLE_BYTES = 12
_PART_BYTES = 32 << 10
"""A file's parts of this size count as texts of their own when it is counted in how many texts something stands."""
_HASH_BITS = 22


def read_texts(source: Path) -> tuple[list[bytes], list[str]]:
    """The texts of a file, or of all files in a folder and below it, in the order of their names.

    Files that end with .gz, .zst or .bz3 are unpacked; those with NUL bytes are passed over.

    Returns:
        the texts, and the names of what was passed over.

    Raises:
        LlmzError: a packed file is damaged, or there is no text.
        OSError: a file cannot be read.
    """
    paths = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    texts, passed_over = [], []
    for path in paths:
        text = _read(path)
        if b"\0" in text:
            passed_over.append(str(path))
        elif text:
            texts.append(text)
    if not texts:
        raise LlmzError(f"{source}: there is no text to adapt to")
    return texts, passed_over


def _read(path: Path) -> bytes:
    if path.suffix == ".gz":
        try:
            return gzip.decompress(path.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            raise LlmzError(f"{path}: damaged: {error}") from error
    return read_domain(path) if path.suffix in _UNPACKED else path.read_bytes()


def hold_back(texts: list[bytes], most_bytes: int) -> tuple[list[bytes], list[bytes]]:
    """Texts to train a network on, and text apart from them: about ``most_bytes``, an eighth of all at most.

    Those apart are whole texts where none of them has to be long, since who has read the beginning of a text knows the
    names in the rest of it; else the end of the last text.
    """
    wanted = min(most_bytes, sum(map(len, texts)) // 8)
    apart: set[int] = set()
    left = wanted
    for number in np.random.default_rng(1).permutation(len(texts)):
        if left > 0 and len(texts[number]) <= wanted:
            apart.add(int(number))
            left -= len(texts[number])
    if apart:
        return [text for i, text in enumerate(texts) if i not in apart], [texts[i] for i in sorted(apart)]
    end = texts[-1].rfind(b"\n", 0, -wanted) + 1 or len(texts[-1]) - wanted
    return [*texts[:-1], texts[-1][:end]], [texts[-1][end:]]


def choose_primer(texts: list[bytes], size: int) -> bytes:
    """Passages of whole lines, about ``size`` bytes in all, in the order of the texts.

    Those come first that have most of what stands in other texts, too, and not yet in the passages before: the cover of
    a dictionary (L. Liao, M. Petri, A. Moffat and A. Wirth, "Effective construction of relative Lempel-Ziv
    dictionaries", 2016). The last texts count more: what is next is more like them.
    """
    passages = [passage for text in texts for passage in _passages(text)]
    if sum(map(len, passages)) <= size:
        return b"".join(passages)
    hashes = [_shingles(passage) for passage in passages]
    worth = _texts_with_each(texts)
    covered = np.zeros(1 << _HASH_BITS, bool)
    recency = np.linspace(0.5, 1.0, len(passages))

    def gain(number: int) -> float:
        own = np.unique(hashes[number])
        return float(recency[number] * worth[own[~covered[own]]].sum() / len(passages[number]))

    queue = [(-gain(number), number) for number in range(len(passages))]
    heapq.heapify(queue)
    chosen: list[int] = []
    left = size
    while queue and left > 0:
        before, number = heapq.heappop(queue)
        now = gain(number)
        if queue and -now > queue[0][0] and now < -before:
            heapq.heappush(queue, (-now, number))
            continue
        if len(passages[number]) <= left:
            chosen.append(number)
            covered[hashes[number]] = True
        left -= len(passages[number])
    return b"".join(passages[number] for number in sorted(chosen))


def _passages(text: bytes) -> list[bytes]:
    """A text cut at line ends into runs of about ``PASSAGE_BYTES``."""
    passages, start = [], 0
    while start < len(text):
        end = text.rfind(b"\n", start + PASSAGE_BYTES // 2, start + PASSAGE_BYTES) + 1 or start + PASSAGE_BYTES
        passages.append(text[start:end])
        start = end
    if passages and not passages[-1].endswith(b"\n"):
        passages[-1] += b"\n"
    return passages


def _shingles(text: bytes) -> NDArray[np.uint32]:
    """Hashes of all runs of ``_SHINGLE_BYTES`` bytes, below ``2^_HASH_BITS``."""
    data = np.frombuffer(text, np.uint8).astype(np.uint64)
    count = max(0, data.size - _SHINGLE_BYTES + 1)
    total = np.zeros(count, np.uint64)
    for place in range(_SHINGLE_BYTES):
        total = total * np.uint64(0x9E3779B97F4A7C15) + data[place : place + count] + np.uint64(1)
    return (total >> np.uint64(64 - _HASH_BITS)).astype(np.uint32)


def _texts_with_each(texts: list[bytes]) -> NDArray[np.float32]:
    """For each shingle's hash, the logarithm of the number of texts that have it; 0 for those in one alone."""
    counts = np.zeros(1 << _HASH_BITS, np.uint32)
    for text in texts:
        for start in range(0, len(text), _PART_BYTES):
            counts[np.unique(_shingles(text[start : start + _PART_BYTES]))] += 1
    return np.log2(np.maximum(counts, 1)).astype(np.float32)
