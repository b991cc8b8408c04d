"""What the network's kernel is on this machine, and what it reaches."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from llmzip.core import _native, available_cores
from llmzip.network.architecture import StackConfig
from llmzip.network.model import Model

_ROWS_PER_CALL = {"restoring 1 lane": (1, 1), "restoring 8 lanes": (8, 1), "compressing": (8, 32)}
_SECONDS = 0.5
_FILLING_STEPS = 256
"""Of a call that fills attention's window, as it is in all but a text's first tokens."""


def weights_per_token(config: StackConfig, vocabulary: int) -> int:
    """Weights that a token is multiplied by."""
    layer = 4 * config.width * config.width + 2 * config.width * config.hidden
    return len(config.layers) * layer + config.width * vocabulary


def measure_machine(model: Model) -> dict[str, Any]:
    """The kernel in use, the others that this machine has, cores, and for each way to run the network microseconds a
    token and 10^9 operations of its products a second, attention and all else counted as time."""
    operations = 2 * weights_per_token(model.config.decoder, model.config.vocabulary)
    speeds = {}
    before = model.predictor(1, _FILLING_STEPS, None)
    for _ in range(-(-model.config.decoder.window // _FILLING_STEPS)):
        before.states(np.full((1, _FILLING_STEPS), model.line_token, np.int32))
    for name, (lanes, steps) in _ROWS_PER_CALL.items():
        predictor = model.predictor(lanes, steps, None)
        tokens = np.full((lanes, steps), model.line_token, np.int32)
        predictor.start_from(before)
        predictor(tokens)
        calls, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < _SECONDS:
            predictor(tokens)
            calls += 1
        seconds = elapsed / (calls * lanes * steps)
        speeds[name] = {
            "microseconds_per_token": round(seconds * 1e6, 1),
            "gops": round(operations / seconds / 1e9, 1),
        }
    return {
        "kernel": _native.kernel_in_use(),
        "kernels": _native.kernels(),
        "cores": available_cores(),
        "network": speeds,
    }
