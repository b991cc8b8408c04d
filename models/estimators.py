"""Entropy of each token from an encoder-augmented model (arXiv 2511.10618), in several ways.

Every function takes the text as one row of tokens and works through it in windows, each read by the encoder first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from llmzip.models.data import Domain
from llmzip.models.export import restore_network
from llmzip.models.train import LN2
from llmzip.network.model import Model

SHIFT_WINDOW = 48
BATCH_TOKENS = 8192


class EncoderAugmented(Protocol):
    """What the estimators ask of a model."""

    def encode(self, tokens: Tensor) -> Tensor: ...

    def hidden_states(self, tokens: Tensor, side: Tensor | None = None) -> Tensor: ...

    def logits(self, states: Tensor) -> Tensor: ...


def windows(tokens: NDArray[np.integer], start_token: int, length: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield consecutive windows of ``tokens``: their place, inputs and targets, both int64 ``[1, <= length]``."""
    targets = torch.from_numpy(np.asarray(tokens, np.int64))[None]
    inputs = F.pad(targets, (1, 0), value=start_token)[:, :-1].clone()
    for begin in range(0, targets.shape[1], length):
        part = slice(begin, min(begin + length, targets.shape[1]))
        yield part, inputs[:, part], targets[:, part]


def _losses(model: EncoderAugmented, inputs: Tensor, targets: Tensor, side: Tensor | None) -> Tensor:
    logits = model.logits(model.hidden_states(inputs, side)).float()
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)


def _by_window(
    tokens: NDArray[np.integer], start_token: int, length: int, estimate: Callable[[Tensor, Tensor], Tensor]
) -> NDArray[np.float64]:
    out = np.zeros(len(tokens))
    for part, inputs, targets in windows(tokens, start_token, length):
        out[part] = estimate(inputs, targets)[0].double().numpy()
    return out


@torch.no_grad()
def surprisal(
    model: EncoderAugmented, tokens: NDArray[np.integer], start_token: int, length: int, aided: bool
) -> NDArray[np.float64]:
    """Bits of each token ``[T]``; ``aided``: given what the encoder read, whose cost is not in it."""
    return _by_window(
        tokens, start_token, length,
        lambda inputs, targets: _losses(model, inputs, targets, model.encode(targets) if aided else None) / LN2,
    )  # fmt: skip


@torch.no_grad()
def shift_difference(
    model: EncoderAugmented, tokens: NDArray[np.integer], start_token: int, length: int = SHIFT_WINDOW
) -> NDArray[np.float64]:
    """Bits of each token ``[T]`` from the difference between windows shifted by one.

    A window that ends one token later holds the new token's information and has lost that of the one it left behind:
    ``e[t] = B[t] - B[t - 1] + e[t - length]``, from the first window's own bits on.
    """
    if len(tokens) <= length:
        return surprisal(model, tokens, start_token, length, aided=True)
    padded = torch.from_numpy(np.concatenate([[start_token], np.asarray(tokens, np.int64)]))
    rows = padded.unfold(0, length + 1, 1)
    totals, first = [], np.zeros(length)
    batch = max(1, BATCH_TOKENS // length)
    for begin in range(0, len(rows), batch):
        part = rows[begin : begin + batch]
        losses = _losses(model, part[:, :-1], part[:, 1:], model.encode(part[:, 1:])) / LN2
        if begin == 0:
            first = losses[0].double().numpy()
        totals.append(losses.sum(-1).double())
    differences = np.diff(torch.cat(totals).numpy())
    out = np.concatenate([first, differences])
    for t in range(length, len(out)):
        out[t] += out[t - length]
    return out


@torch.no_grad()
def occlusion(
    model: EncoderAugmented, tokens: NDArray[np.integer], start_token: int, length: int, distance: str = "l1"
) -> NDArray[np.float64]:
    """How far logits move when the stored numbers are taken away ``[T]``: ``l1`` or ``cosine``, min-max normalised."""

    def moved(inputs: Tensor, targets: Tensor) -> Tensor:
        side = model.encode(targets)
        aided, occluded = (
            model.logits(model.hidden_states(inputs, numbers)).float() for numbers in (side, torch.zeros_like(side))
        )
        if distance == "cosine":
            return 1 - F.cosine_similarity(aided, occluded, dim=-1)
        return (aided - occluded).abs().mean(-1)

    return min_max_normalised(_by_window(tokens, start_token, length, moved))


def gradient_times_input(
    model: EncoderAugmented, tokens: NDArray[np.integer], start_token: int, length: int
) -> NDArray[np.float64]:
    """Magnitude of ``sum of z * dL/dz`` for each token's loss ``[T]``, min-max normalised.

    The sum is the loss's derivative along z: one pass forward gives it for all tokens at once.
    """

    def attributed(inputs: Tensor, targets: Tensor) -> Tensor:
        side = model.encode(targets)
        slope: Tensor = torch.func.jvp(lambda z: _losses(model, inputs, targets, z), (side,), (side,))[1]
        return slope.abs()

    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no forward derivative
        return min_max_normalised(_by_window(tokens, start_token, length, attributed))


def encoder_estimate(name: str, model: Model, tokens: NDArray[np.integer]) -> NDArray[np.float64]:
    """One of :data:`llmzip.cli.options.ENCODER_ESTIMATORS` for ``tokens`` ``[T]``.

    ``shift`` is in bits, the others are 0 .. 1.
    """
    network, start, window = restore_network(model), model.start_token, model.config.encoder.window
    if name == "shift":
        return shift_difference(network, tokens, start)
    if name == "gradient":
        return gradient_times_input(network, tokens, start, window)
    return occlusion(network, tokens, start, window, "cosine" if name == "occlusion-cosine" else "l1")


def min_max_normalised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``values`` moved and scaled to 0 .. 1; all zero where they are all alike."""
    spread = np.ptp(values) if values.size else 0.0
    return np.zeros_like(values) if spread == 0 else (values - values.min()) / spread


def corpus_estimates(
    model: EncoderAugmented, name: str, domains: list[Domain], start_token: int, length: int, cache: Path
) -> dict[str, NDArray[np.float16]]:
    """Aided surprisal of every token of every domain in nats, float16 ``[tokens]``, kept on disk under ``name``."""
    cache.mkdir(parents=True, exist_ok=True)
    estimates = {}
    for domain in tqdm(domains, desc="entropy estimates", unit="domain", disable=None):
        kept = cache / f"estimates-{name}-{domain.name}.npy"
        if not kept.exists() or np.load(kept, mmap_mode="r").size != domain.tokens.size:
            bits = surprisal(model, domain.tokens, start_token, length, aided=True)
            with kept.with_suffix(".tmp").open("wb") as out:
                np.save(out, (bits * LN2).astype(np.float16))
            kept.with_suffix(".tmp").replace(kept)
        estimates[domain.name] = np.load(kept)
    return estimates
