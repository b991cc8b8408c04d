"""The corpus as token streams, and random training batches from them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import xxhash
from numpy.typing import NDArray
from torch import Tensor

from llmzip.models.domains import domain_files, domain_weights, read_domain
from llmzip.network.tokenizer import Tokenizer

DOCUMENT_START_SHARE = 0.2
"""Share of training sequences that begin at a document's start, as files do."""


@dataclass(frozen=True)
class Domain:
    """One domain's token stream (uint16 ``[tokens]``), its size in bytes and the positions of its NUL separators."""

    name: str
    weight: float
    tokens: NDArray[np.uint16]
    text_bytes: int
    separators: NDArray[np.int64]

    @classmethod
    def of_tokens(cls, name: str, tokens: NDArray[np.integer], text_bytes: int) -> Domain:
        """A domain of weight 1 that is one document."""
        return cls(name, 1.0, tokens.astype(np.uint16), text_bytes, np.zeros(0, np.int64))


def load_corpus(folder: Path, tokenizer: Tokenizer, cache: Path | None = None) -> list[Domain]:
    """Tokenise every domain of ``folder``; token streams are kept in ``cache`` when given, each under a name that says
    of which vocabulary and which version of the file it is.

    Raises:
        FileNotFoundError: the folder holds no text.
        LlmzError: a file of it cannot be read.
    """
    weights = domain_weights(folder)
    separator = int(tokenizer.encode(b"\0")[0])

    def load(name: str, path: Path) -> Domain:
        cached = cache / f"{folder.name}-{name}-{_version(path, tokenizer)}.npz" if cache else None
        if cached and cached.exists():
            with np.load(cached) as saved:
                tokens, text_bytes = saved["tokens"], int(saved["text_bytes"])
        else:
            text = read_domain(path)
            tokens, text_bytes = tokenizer.encode(text).astype(np.uint16), len(text)
            if cached:
                cached.parent.mkdir(parents=True, exist_ok=True)
                written = cached.with_suffix(".tmp.npz")
                np.savez(written, tokens=tokens, text_bytes=text_bytes)
                written.replace(cached)
        separators = np.flatnonzero(tokens == separator).astype(np.int64)
        return Domain(name, weights[name], tokens, text_bytes, separators)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decompression and tokenising run outside the interpreter's lock
        return list(pool.map(load, *zip(*domain_files(folder).items(), strict=True)))


def _version(path: Path, tokenizer: Tokenizer) -> str:
    """Of the tokens of a file: other text or another vocabulary makes it another one."""
    status = path.stat()
    source = repr((status.st_size, status.st_mtime_ns)).encode()
    return xxhash.xxh3_64_hexdigest(tokenizer.token_bytes.tobytes() + source)


class BatchSampler:
    """Random sequences from all domains, drawn by domain weight; the stream depends on ``seed`` and ``step`` alone, so
    that a resumed run, or one with other workers, sees what an unbroken one would have seen."""

    def __init__(self, domains: list[Domain], length: int, seed: int) -> None:
        self.domains = [d for d in domains if d.tokens.size > length + 1]
        weights = np.array([d.weight for d in self.domains])
        self.probabilities = weights / weights.sum()
        self.length = length
        self.seed = seed

    def places(self, step: int, sequences: int) -> list[tuple[Domain, slice]]:
        """Where each sequence of a batch lies: its domain and ``length + 1`` tokens there."""
        random = np.random.default_rng((self.seed, step))
        places = []
        for choice in random.choice(len(self.domains), sequences, p=self.probabilities):
            domain = self.domains[choice]
            last = domain.tokens.size - self.length - 1
            start = int(random.integers(last + 1))
            if domain.separators.size and random.random() < DOCUMENT_START_SHARE:
                start = min(int(random.choice(domain.separators)), last)
            places.append((domain, slice(start, start + self.length + 1)))
        return places

    def batch(self, step: int, sequences: int) -> NDArray[np.int64]:
        """:func:`tokens_at` the places of a step."""
        return tokens_at(self.places(step, sequences))


def tokens_at(places: list[tuple[Domain, slice]]) -> NDArray[np.int64]:
    """A batch, int64 ``[sequences, length + 1]``: inputs and, shifted by one, targets."""
    return np.stack([domain.tokens[place] for domain, place in places]).astype(np.int64)


class DeviceTokens:
    """All domains' tokens in one tensor on a device, which gathers batches there."""

    def __init__(self, domains: list[Domain], length: int, device: torch.device) -> None:
        sizes = [domain.tokens.size for domain in domains]
        self._starts = dict(zip((domain.name for domain in domains), np.cumsum([0, *sizes]).tolist(), strict=False))
        tokens = np.concatenate([domain.tokens for domain in domains]).astype(np.int16)
        self._tokens = torch.from_numpy(tokens).to(device)
        self._offsets = torch.arange(length + 1, device=device)

    def at(self, places: list[tuple[Domain, slice]]) -> Tensor:
        """:func:`tokens_at` these places, on the device."""
        starts = torch.tensor([self._starts[domain.name] + place.start for domain, place in places])
        if self._tokens.is_cuda:
            starts = starts.pin_memory().to(self._tokens.device, non_blocking=True)
        return self._tokens[starts[:, None] + self._offsets].long()


def estimates_at(places: list[tuple[Domain, slice]], by_domain: dict[str, NDArray[np.float16]]) -> NDArray[np.float32]:
    """Entropy estimates of the targets of :func:`tokens_at`, float32 ``[sequences, length]``, from those of whole
    domains ``[tokens]``."""
    return np.stack([by_domain[domain.name][place][1:] for domain, place in places]).astype(np.float32)


def validation_windows(domain: Domain, length: int, count: int) -> NDArray[np.int64]:
    """Evenly spaced windows of a domain, int64 ``[at most count, length + 1]``."""
    windows = max(1, min(count, (domain.tokens.size - 1) // length))
    length = min(length, domain.tokens.size - 1)
    starts = np.linspace(0, domain.tokens.size - length - 1, windows).astype(np.int64)
    return np.stack([domain.tokens[s : s + length + 1] for s in starts]).astype(np.int64)
