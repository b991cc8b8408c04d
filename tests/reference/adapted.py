"""An adapted model file as docs/format.md has it, in plain Python; nothing here comes from the program."""

from __future__ import annotations

import json
import math
import zlib

import numpy as np
from numpy.typing import NDArray

from tests.reference.network import Integers


def read_adapted(data: bytes, base: dict[str, Integers]) -> tuple[dict[str, Integers], str, bytes | None, int]:
    """The model's arrays from those of its base, the base's fingerprint, the primer and its profile."""
    assert data[:8] == b"LLMZADA1"
    start = 12 + int.from_bytes(data[8:12], "little")
    header = json.loads(data[12:start])
    own: dict[str, NDArray] = {}
    for listed in header["tensors"]:
        at, kind, shape = start + listed["offset"], np.dtype(listed["dtype"]), listed["shape"]
        size = math.prod(shape) * kind.itemsize
        stored = data[at : at + listed.get("deflated_bytes", size)]
        plain = zlib.decompress(stored) if "deflated_bytes" in listed else stored
        own[listed["name"]] = np.frombuffer(plain, kind).reshape(shape).astype(np.int64)
    arrays = dict(base)
    for name in base:
        if f"difference.{name}" in own:
            arrays[name] = base[name] + own[f"difference.{name}"] * 2 ** header["shifts"].get(name, 0)
        if f"low_rank.{name}.left" in own:
            arrays[name] = _merged(base[name], *(own[f"low_rank.{name}.{part}"] for part in ("left", "right")),
                                   own[f"low_rank.{name}.multiplier"])  # fmt: skip
    primer = own["primer"].astype(np.uint8).tobytes() if "primer" in own else None
    return arrays, header["base"], primer, header["primer_profile"]


def _merged(weight: Integers, left: Integers, right: Integers, multipliers: Integers) -> Integers:
    if weight.ndim == 2:
        return _merged(weight[None], left[None], right[None], multipliers)[0]
    merged = weight.copy()
    for layer, multiplier in enumerate(multipliers.tolist()):
        for o in range(weight.shape[1]):
            for i in range(weight.shape[2]):
                total = sum(int(a) * int(b) for a, b in zip(left[layer][o], right[layer][:, i], strict=True))
                changed = int(weight[layer][o][i]) + ((multiplier * total + 2**19) >> 20)
                merged[layer][o][i] = max(-31, min(31, changed))
    return merged
