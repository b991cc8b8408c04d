"""Where training runs: one processor, one GPU, or the workers of ``torchrun``, and how fast products are there."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import torch
import torch.distributed as dist

PEAK_WIDTH = {"cuda": 8192, "cpu": 512}
"""Rows and columns of the products that the peak is measured with."""
PEAK_PRODUCTS = 8
HEAD_MEMORY_SHARE = 0.25
"""Of a GPU's memory, for the logits that exist at once."""
HEAD_ROWS_ON_CPU = 1024
LOGIT_BYTES = 12
"""What a logit takes while its loss and gradient are computed."""


@dataclass(frozen=True)
class Worker:
    """One of ``world`` processes that train together, and its device."""

    rank: int
    world: int
    device: torch.device

    @classmethod
    def join(cls) -> Worker:
        """This process as ``torchrun`` started it, or alone."""
        rank, world = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
        device = torch.device("cpu")
        if torch.cuda.is_available():
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(device)
            torch.set_float32_matmul_precision("high")
        if world > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(rank, world, device)

    @property
    def first(self) -> bool:
        return self.rank == 0

    def wait(self) -> None:
        """Go on when all workers have come here."""
        if self.world > 1:
            dist.barrier()

    def from_first(self, value: float) -> float:
        """The first worker's ``value``."""
        if self.world == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return float(shared)

    def leave(self) -> None:
        if self.world > 1:
            dist.destroy_process_group()


def multiplies_bfloat16(device: torch.device) -> bool:
    """Any GPU, and CPUs with AVX-512 BF16 or AMX, multiply bfloat16 fast."""
    return device.type == "cuda" or bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the hardware multiplies it fast."""
    return torch.autocast(device.type, torch.bfloat16, enabled=multiplies_bfloat16(device))


def peak_operations(device: torch.device) -> float:
    """Operations a second of large matrix products, the fastest of a few, in the type that training uses."""
    width = PEAK_WIDTH[device.type]
    dtype = torch.bfloat16 if multiplies_bfloat16(device) else torch.float32
    left, right = (torch.randn(width, width, device=device).to(dtype) for _ in range(2))
    fastest = float("inf")
    for _ in range(PEAK_PRODUCTS):
        _synchronise(device)
        started = time.perf_counter()
        left @ right
        _synchronise(device)
        fastest = min(fastest, time.perf_counter() - started)
    return 2.0 * width**3 / fastest


def head_rows(device: torch.device, vocabulary: int) -> int:
    """Positions whose logits may exist at once: those of a whole batch where memory allows it."""
    if device.type != "cuda":
        return HEAD_ROWS_ON_CPU
    memory = torch.cuda.get_device_properties(device).total_memory
    return max(HEAD_ROWS_ON_CPU, int(HEAD_MEMORY_SHARE * memory / (LOGIT_BYTES * vocabulary)))


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
