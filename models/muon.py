"""Muon in stacks: matrices of one shape are orthogonalised together, which a GPU does in a few large products.

In bfloat16 as in :class:`torch.optim.Muon`, but in float32 on processors without instructions for it, which take a
hundred times as long (:func:`working_type`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def working_type(device: torch.device) -> torch.dtype:
    """What Newton-Schulz iterations are fast and exact enough in on a device."""
    is_native = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if is_native else torch.float32


def orthogonalised(
    stack: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float, dtype: torch.dtype
) -> Tensor:
    """Matrices ``[count, rows, columns]`` with singular values near 1, by Newton-Schulz iterations in ``dtype``."""
    a, b, c = coefficients
    x = stack.to(dtype)
    flip = x.shape[-2] > x.shape[-1]
    if flip:
        x = x.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if flip else x


SHAPES_COMPILED = 64
"""Shapes that iterations may be compiled for, each anew; by default torch gives up after eight."""


class StackedMuon(torch.optim.Muon):
    """:class:`torch.optim.Muon`, whose state it shares: a run may go on with either."""

    def __init__(self, parameters: Sequence[Tensor], compiled: bool = False, **settings: Any) -> None:
        super().__init__(parameters, **settings)
        self._orthogonalised = orthogonalised
        if compiled:
            limits = torch._dynamo.config
            limits.recompile_limit = max(limits.recompile_limit, SHAPES_COMPILED)
            self._orthogonalised = torch.compile(orthogonalised, dynamic=False)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Step all matrices that have a gradient."""
        for group in self.param_groups:
            matrices: dict[torch.Size, list[Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    matrices.setdefault(matrix.shape, []).append(matrix)
            for shape, alike in matrices.items():
                self._step_alike(group, shape, alike)

    def _step_alike(self, group: dict[str, Any], shape: torch.Size, matrices: list[Tensor]) -> None:
        gradients: list[Tensor] = [matrix.grad for matrix in matrices if matrix.grad is not None]
        momenta = [self._momentum(matrix) for matrix in matrices]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        ahead = torch.stack(torch._foreach_lerp(gradients, momenta, group["momentum"]))
        dtype = working_type(ahead.device)
        updates = self._orthogonalised(ahead, group["ns_coefficients"], group["ns_steps"], group["eps"], dtype)
        torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
        rate = group["lr"] * math.sqrt(max(1, shape[0] / shape[1]))
        torch._foreach_add_(matrices, list(updates.to(matrices[0].dtype).unbind(0)), alpha=-rate)

    def _momentum(self, matrix: Tensor) -> Tensor:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        momentum: Tensor = state["momentum_buffer"]
        return momentum
