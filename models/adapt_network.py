"""Adapt a network to a text: low-rank changes of its matrices, gains of their rows, another output bias.

All of the network stays as it is in the model file. A matrix is seen with its change as it will be merged, rounded to
six bits; the gradient passes the rounding by the low-rank way alone, so that no gradient of a whole matrix is computed.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from llmzip.models.export import restore_network
from llmzip.models.network import EncoderAugmentedDecoder
from llmzip.network.adapted_file import LOW_RANK_BITS, merge_low_rank
from llmzip.network.architecture import HIDDEN_BITS, INT8_MAX, largest_weight
from llmzip.network.model import Model

LENGTH = 2048
"""Tokens of a sequence, and of a step: twice the window, so that it is trained where its window is full too."""
FACTOR_RATE, GAIN_RATE, BIAS_RATE = 0.06, 0.001, 0.005
_WARM_STEPS = 8
_MOST_JUDGED = 12
"""Sequences of the text apart that tell whether training helped."""
_STEPS_WORTH_COMPILING = 50
"""Compiling takes some 50 s, and saves nearly half of a step's 3.5 s."""
_GAIN_LIMIT = 0.5

LowRank = tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.int32]]


@dataclass(frozen=True)
class NetworkChange:
    """What training changed, in the integers of an adapted model file.

    Attributes:
        low_rank: by weight, ``left``, ``right`` and ``multiplier``.
        differences: by array, what is added.
        gain: share of the bits of the text apart that it saves.
    """

    low_rank: dict[str, LowRank]
    differences: dict[str, NDArray[np.int32]]
    gain: float


class AdaptedLinear(nn.Module):
    """A matrix of six-bit weights with a low-rank change, ``[..., in] -> [..., out]``.

    Args:
        weight: the float image, ``[out, in]``.
        integers: the same as the file has it.
    """

    integers: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, integers: NDArray[np.int8], rank: int) -> None:
        super().__init__()
        whole = torch.from_numpy(integers.astype(np.float32))
        self.register_buffer("integers", whole)
        self.register_buffer("scale", (weight * whole).sum(1) / whole.square().sum(1).clamp_min(1))
        self.left = nn.Parameter(torch.zeros(len(whole), rank))
        self.right = nn.Parameter(torch.randn(rank, whole.shape[1]) / math.sqrt(rank))
        self.gain = nn.Parameter(torch.zeros(len(whole)))

    def forward(self, x: Tensor) -> Tensor:
        limit = largest_weight(6)
        with torch.no_grad():
            merged = torch.addmm(self.integers, self.left, self.right).round_().clamp_(-limit, limit)
        low = F.linear(F.linear(x, self.right), self.left)
        return (F.linear(x, merged) + (low - low.detach())) * (self.scale * (1 + self.gain))

    @torch.no_grad()
    def quantised(self) -> tuple[NDArray[np.int8], NDArray[np.int8], int]:
        """``left``, ``right`` and their multiplier, as :func:`merge_low_rank` takes them."""
        left, left_step = _to_int8(self.left)
        right, right_step = _to_int8(self.right)
        return left, right, round(left_step * right_step * 2**LOW_RANK_BITS)

    @torch.no_grad()
    def settle(self) -> None:
        """Be from now on what the adapted file will give."""
        merged = merge_low_rank(self.integers.numpy().astype(np.int8), *self.quantised())
        self.integers.copy_(torch.from_numpy(merged.astype(np.float32)))
        self.left.zero_()


def _to_int8(factor: Tensor) -> tuple[NDArray[np.int8], float]:
    step = max(float(factor.abs().max()), 1e-9) / INT8_MAX
    return (factor / step).round().numpy().astype(np.int8), step


def _replace_matrices(network: EncoderAugmentedDecoder, model: Model, rank: int) -> dict[str, list[AdaptedLinear]]:
    """Put adapted matrices in the places of the decoder's and of the head's; returns them by weight."""
    read = model.file.read
    replaced: dict[str, list[AdaptedLinear]] = {}

    def replace(parent: nn.Module, attribute: str, name: str, integers: NDArray[np.int8]) -> None:
        adapted = AdaptedLinear(cast(Tensor, getattr(parent, attribute).weight).detach(), integers, rank)
        setattr(parent, attribute, adapted)
        replaced.setdefault(name, []).append(adapted)

    weights = {name: read(f"decoder.{name}_weight") for name in ("in", "out", "up", "down")}
    for layer in range(len(model.config.decoder.layers)):
        mixer, mlp = network.decoder.mixers[layer], network.decoder.mlps[layer]
        replace(mixer, "project", "decoder.in_weight", weights["in"][layer])
        replace(mixer, "out", "decoder.out_weight", weights["out"][layer])
        replace(mlp, "up", "decoder.up_weight", weights["up"][layer])
        replace(mlp, "out", "decoder.down_weight", weights["down"][layer])
    replace(network, "head", "head_weight", read("head_weight"))
    return replaced


def _sequences(tokens: NDArray[np.integer]) -> Tensor:
    """Runs of ``LENGTH + 1`` tokens, int64; one shorter run where there are fewer tokens."""
    length = min(LENGTH + 1, tokens.size)
    count = tokens.size // length
    return torch.from_numpy(tokens[: count * length].astype(np.int64).reshape(count, length))


def _losses(network: EncoderAugmentedDecoder, batch: Tensor) -> Tensor:
    logits = network.logits(network.hidden_states(batch[:, :-1]))
    return F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


@torch.no_grad()
def _mean_loss(network: EncoderAugmentedDecoder, sequences: Tensor) -> float:
    network.eval()
    return float(np.mean([float(_losses(network, sequence[None])) for sequence in sequences]))


def _pays_to_compile(steps: int) -> bool:
    return steps >= _STEPS_WORTH_COMPILING and shutil.which(os.environ.get("CXX", "g++")) is not None


def adapt_network(
    model: Model, tokens: NDArray[np.integer], apart: NDArray[np.integer], rank: int, steps: int,
    tell: Callable[[int], None],
) -> NetworkChange | None:  # fmt: skip
    """Train for so many steps; None where text that was not trained on does not get smaller.

    Args:
        tokens: of the text.
        apart: tokens of more of it, which are not trained on: at least 2.
        tell: is told of steps that are done.
    """
    torch.manual_seed(1)
    network = restore_network(model)
    matrices = _replace_matrices(network, model, rank)
    network.output_bias.requires_grad_(True)
    bias_before = network.output_bias.detach().clone()
    every = [matrix for matrices_of in matrices.values() for matrix in matrices_of]
    optimizer = torch.optim.Adam(
        [
            {"params": [p for m in every for p in (m.left, m.right)], "rate": FACTOR_RATE},
            {"params": [m.gain for m in every], "rate": GAIN_RATE},
            {"params": [network.output_bias], "rate": BIAS_RATE},
        ],
        betas=(0.9, 0.98),
    )
    sequences, judged = _sequences(tokens), _sequences(apart)
    judged = judged[:: -(-len(judged) // _MOST_JUDGED)]
    sequences = sequences[torch.randperm(len(sequences))]
    before = _mean_loss(network, judged)
    if _pays_to_compile(steps):
        network.decoder.compile_for(sequences.shape[1] - 1)
    network.train()
    for step in range(steps):
        _losses(network, sequences[step % len(sequences)][None]).backward()
        factor = min(1.0, (step + 1) / _WARM_STEPS) * (1 - step / steps)
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for matrix in every:
                matrix.gain.clamp_(-_GAIN_LIMIT, _GAIN_LIMIT)
        tell(1)
    change = _change_of(model, network, matrices, bias_before)
    for matrix in every:
        matrix.settle()
    gain = 1 - _mean_loss(network, judged) / before
    return NetworkChange(*change, gain) if gain > 0 else None


@torch.no_grad()
def _change_of(
    model: Model, network: EncoderAugmentedDecoder, matrices: dict[str, list[AdaptedLinear]], bias_before: Tensor
) -> tuple[dict[str, LowRank], dict[str, NDArray[np.int32]]]:
    low_rank: dict[str, LowRank] = {}
    differences: dict[str, NDArray[np.int32]] = {}
    for name, layers in matrices.items():
        lefts, rights, multipliers = zip(*(layer.quantised() for layer in layers), strict=True)
        stacked = name.startswith("decoder.")
        low_rank[name] = (
            np.stack(lefts) if stacked else lefts[0],
            np.stack(rights) if stacked else rights[0],
            np.array(multipliers, np.int32),
        )
        multiplier = f"{name.removesuffix('_weight')}_multiplier"
        gains = torch.stack([layer.gain for layer in layers]).double().numpy()
        present = model.file.read(multiplier)
        differences[multiplier] = np.round(present * gains.reshape(present.shape)).astype(np.int32)
    moved = (network.output_bias - bias_before).double() * 2**HIDDEN_BITS
    differences["output_bias"] = moved.round().to(torch.int32).numpy()
    return low_rank, differences
