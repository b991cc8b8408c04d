"""Whether text is of the kind that a model is adapted to: a writer's choice, as archives name their model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmzip.network.model import Model

SAMPLE_BYTES = 16 << 10
"""Of a text's start, that are looked at."""
_RUN_BYTES = 8
_LEAST_SHARE = 0.3
"""Of a text's runs of 8 bytes that the primer has: from this on, text is of the kind (docs/experiments.md)."""
_LEAST_RUNS = 64


def suited_model(model: Model, start: bytes) -> Model:
    """The model, or its base where ``start``, the first bytes of a text, has little in common with its primer."""
    if model.base is None or model.primer is None:
        return model
    own = _runs(start[:SAMPLE_BYTES])
    if own.size < _LEAST_RUNS:
        return model
    return model if np.isin(own, _runs(model.primer.text)).mean() >= _LEAST_SHARE else model.base


def _runs(text: bytes) -> NDArray[np.uint64]:
    """Every run of 8 bytes, as a number."""
    data = np.frombuffer(text + bytes(-len(text) % _RUN_BYTES), np.uint8)
    runs = np.lib.stride_tricks.sliding_window_view(data, _RUN_BYTES)[: max(0, len(text) - _RUN_BYTES + 1)]
    return np.ascontiguousarray(runs).view(np.uint64).ravel()
