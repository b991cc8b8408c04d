"""Side information refined for the text at hand by gradient descent: slow to encode, as fast to decode."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from llmzip.network.architecture import INT8_MAX, SIDE_STEPS_PER_UNIT
from llmzip.network.model import Model
from llmzip.models.export import restore_network
from llmzip.models.network import EncoderAugmentedDecoder
from llmzip.models.train import LN2

SEQUENCES = 4
"""Sequences of a step."""
IGNORED = -100
"""A target that costs nothing."""
RATE = 0.06

_restored = lru_cache(maxsize=1)(restore_network)


def coded_bits(network: EncoderAugmentedDecoder, inputs: Tensor, targets: Tensor, side: Tensor | None) -> Tensor:
    """Ideal code length of all ``targets`` ``[rows, T]`` with side information ``[1, numbers]``, or without."""
    total = torch.zeros(())
    with torch.autocast("cpu", torch.bfloat16):
        for row, target in zip(inputs.split(SEQUENCES), targets.split(SEQUENCES), strict=True):
            numbers = None if side is None else side.expand(len(row), -1)
            logits = network.logits(network.hidden_states(row, numbers))
            losses = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="sum", ignore_index=IGNORED)
            total = total + losses / LN2
    return total


def descend(
    parameters: list[Tensor], bits: Callable[[Tensor, Tensor], Tensor], inputs: Tensor, targets: Tensor,
    rate: float, steps: int,
) -> None:  # fmt: skip
    """Lower ``bits`` of random sequences of a piece, scaled to the whole piece, by Adam."""
    optimizer = torch.optim.Adam(parameters, lr=rate)
    random = np.random.default_rng(0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - step / steps)
        rows = torch.from_numpy(random.permutation(len(inputs))[:SEQUENCES])
        optimizer.zero_grad()
        (bits(inputs[rows], targets[rows]) * len(inputs) / len(rows)).backward()
        optimizer.step()


def as_stored(side: Tensor) -> NDArray[np.int8]:
    numbers: NDArray[np.int8] = (
        (side * SIDE_STEPS_PER_UNIT).round().clamp(-INT8_MAX, INT8_MAX).to(torch.int8).numpy()[0]
    )
    return numbers


def refined(
    network: EncoderAugmentedDecoder, inputs: Tensor, targets: Tensor, start: Tensor, steps: int, weight: float = 1
) -> Tensor:
    """Numbers ``[1, n]`` refined for a piece from ``start``: ``weight`` times its bits and their own, noise in place of
    rounding."""
    side = start.clone().requires_grad_()

    def bits(rows: Tensor, wanted: Tensor) -> Tensor:
        noisy = side + (torch.rand_like(side) - 0.5) / SIDE_STEPS_PER_UNIT
        share = len(rows) / len(inputs)
        return weight * coded_bits(network, rows, wanted, noisy) + share * network.prior.bits(noisy).sum()

    descend([side], bits, inputs, targets, RATE, steps)
    return side.detach()


def refine_by_gradient(
    model: Model, inputs: NDArray[np.int32], targets: NDArray[np.int32], cold: int, start: NDArray[np.int8],
    steps: int, weight: float,
) -> NDArray[np.int8]:  # fmt: skip
    """Side information int8 ``[side_numbers]`` refined from ``start`` on ``targets`` int32 ``[rows, T]``.

    The first ``cold`` of each row do not count; the block has ``weight`` times as many as the others.
    """
    torch.manual_seed(0)
    wanted = torch.from_numpy(targets.astype(np.int64))
    wanted[:, :cold] = IGNORED
    first = torch.from_numpy(start)[None].float() / SIDE_STEPS_PER_UNIT
    return as_stored(refined(_restored(model), torch.from_numpy(inputs.astype(np.int64)), wanted, first, steps, weight))
