"""Whether text is of the kind that a model is adapted to: a writer's choice, as archives name their model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmzip.network.model import Model, network_code_lengths

SAMPLE_BYTES = 16 << 10
"""Of a text's start, that are looked at."""
_RUN_BYTES = 8
_LEAST_SHARE = 0.3
"""Of a text's runs of 8 bytes that the primer has: from this on, text is of the kind (docs/experiments.md)."""
_LEAST_RUNS = 64
_MOST_OF_BASE = 1.0
"""Of the bits that the base's network needs, for a network that was changed: text of the kind needed 0.99 at most, text
that only resembled it 1.04 at least (docs/experiments.md)."""


def suited_model(model: Model, start: bytes) -> Model:
    """The model, or its base where ``start``, the first bytes of a text, has little in common with its primer, or where
    the network was changed and codes them worse."""
    if model.base is None:
        return model
    start = start[:SAMPLE_BYTES]
    if model.primer is not None:
        own = _runs(start)
        if own.size >= _LEAST_RUNS and np.isin(own, _runs(model.primer.text)).mean() < _LEAST_SHARE:
            return model.base
    if model.changes_network and start:
        tokens = model.tokenizer.encode(start)[None]  # whole: a changed network does better before its window is full
        bits, bits_of_base = (float(network_code_lengths(each, tokens).sum()) for each in (model, model.base))
        if bits > _MOST_OF_BASE * bits_of_base:
            return model.base
    return model


def _runs(text: bytes) -> NDArray[np.uint64]:
    """Every run of 8 bytes, as a number."""
    data = np.frombuffer(text + bytes(-len(text) % _RUN_BYTES), np.uint8)
    runs = np.lib.stride_tricks.sliding_window_view(data, _RUN_BYTES)[: max(0, len(text) - _RUN_BYTES + 1)]
    return np.ascontiguousarray(runs).view(np.uint64).ravel()
