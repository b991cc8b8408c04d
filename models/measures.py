"""Measures around the paper, one function each: accounting, entropy of hidden states, bounds, fits, flatness."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from torch import Tensor, nn

from llmzip.models.train import LN2


def normalised_loss(cross_entropy: float, numbers: int, bits: float, tokens: int) -> float:
    """Cross-entropy and the stored numbers' cost in nats a token (arXiv 2511.10618).

    Args:
        cross_entropy: nats a token, given the numbers.
        bits: of each number.
        tokens: that share one set of numbers.
    """
    return cross_entropy + numbers * bits * LN2 / tokens


def bits_per_byte(cross_entropy: float, numbers: int, bits: float, tokens: int, bytes_per_token: float) -> float:
    """``n b / (tokens * bytes per token)`` and the rest: what a text costs in all, in bits per byte."""
    return normalised_loss(cross_entropy, numbers, bits, tokens) / LN2 / bytes_per_token


@torch.no_grad()
def hidden_state_entropies(blocks: nn.ModuleList, run: Callable[[], object]) -> NDArray[np.float64]:
    """Entropy of the outputs of each block in bits (arXiv 2504.03794): that of the spectrum of their covariance.

    Args:
        blocks: modules whose output is ``[..., width]``.
        run: a forward pass through them.

    Returns:
        ``[blocks]``, from 0 (one direction) to ``log2(width)``.
    """
    outputs: list[Tensor] = []
    hooks = [block.register_forward_hook(lambda _m, _i, out: outputs.append(out.detach().float())) for block in blocks]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    entropies = []
    for states in outputs:
        flat = states.flatten(0, -2)
        variances = torch.linalg.eigvalsh(torch.cov(flat.T).double()).clamp_min(0)
        shares = variances / variances.sum()
        entropies.append(float(-(shares * shares.clamp_min(1e-300).log2()).sum()))
    return np.array(entropies)


class Skipped(nn.Module):
    """Stands in for a residual layer that is pruned: adds nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


def generalisation_bound(
    empirical_bits: float, model_bytes: int, tokens: int, vocabulary: int, smoothing: float, confidence: float = 0.95
) -> float:
    """An upper bound on the expected bits a token from the model's size (arXiv 2312.17173), at token level.

    Occam's bound for a prior of ``2^-bits``, over steps of a martingale with bounded loss (arXiv 2407.18158):
    predictions are mixed with ``smoothing`` of the uniform distribution, so that a token costs at most
    ``log2(vocabulary / smoothing)``.

    Args:
        empirical_bits: mean bits a token over the ``tokens`` of training, with that smoothing.
        model_bytes: size of the model as a prefix-free description.
    """
    span = math.log2(1 + (1 - smoothing) * vocabulary / smoothing)
    complexity = 8 * model_bytes * LN2 + 2 * math.log(max(2, 8 * model_bytes)) + math.log(1 / (1 - confidence))
    return empirical_bits + span * math.sqrt(complexity / (2 * tokens))


def smoothed_bits(surprisal: NDArray[np.float64], vocabulary: int, smoothing: float) -> NDArray[np.float64]:
    """Bits of tokens whose predictions are mixed with ``smoothing`` of the uniform distribution."""
    probability: NDArray[np.float64] = (1 - smoothing) * 2.0**-surprisal + smoothing / vocabulary
    return -np.log2(probability)


POWER_LAW_POINTS = 4
"""The fewest losses that a power law with a floor can be fitted to."""


def fit_power_law(steps: NDArray[np.float64], losses: NDArray[np.float64]) -> tuple[float, float, float]:
    """Fit ``loss = floor + scale * steps^-exponent``; returns (floor, scale, exponent).

    Used for a run's early curve (as in arXiv 2405.10938) and for the losses of runs of several sizes.

    Raises:
        ValueError: fewer than :data:`POWER_LAW_POINTS` points.
    """
    if len(steps) < POWER_LAW_POINTS:
        raise ValueError("a power law with a floor needs at least four points")
    steps, losses = np.asarray(steps, float), np.asarray(losses, float)

    def residuals(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        floor, log_scale, exponent = parameters
        predicted: NDArray[np.float64] = floor + np.exp(log_scale) * (steps / steps[0]) ** -exponent
        return np.log(np.maximum(predicted, 1e-9)) - np.log(losses)

    start = [0.5 * losses[-1], math.log(max(losses[0] - 0.5 * losses[-1], 1e-6)), 0.3]
    floor, log_scale, exponent = least_squares(
        residuals, start, bounds=([0, -20, 0.01], [losses.min(), 20, 2])
    ).x  # fmt: skip
    return float(floor), float(math.exp(log_scale) * steps[0] ** exponent), float(exponent)


def hessian_trace(loss: Callable[[], Tensor], parameters: Sequence[Tensor], samples: int, seed: int = 0) -> float:
    """Trace of the loss's Hessian by Hutchinson's estimator: a measure of flatness (arXiv 2210.14199)."""
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    for _ in range(samples):
        gradients = torch.autograd.grad(loss(), parameters, create_graph=True)
        probes = [2.0 * torch.randint(0, 2, p.shape, generator=generator) - 1 for p in parameters]
        along = sum((g * v).sum() for g, v in zip(gradients, probes, strict=True))
        assert isinstance(along, Tensor)
        products = torch.autograd.grad(along, parameters)
        total += sum(float((p * v).sum()) for p, v in zip(products, probes, strict=True))
    return total / samples
