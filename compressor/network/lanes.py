"""The network over all lanes of a block, on all cores: groups of lanes side by side, or one that two cores share."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from llmzip.network.model import Model, inputs_of
from llmzip.settings import available_cores

CHUNK_ROWS = 256
"""Rows of one network call for a group while compressing."""
SHARED_LANES = 8
"""So few lanes are decoded in one group that two cores share: weights pass once for all of them."""


def _usable(cores: int | None) -> int:
    return min(cores or available_cores(), available_cores())


def lane_groups(lanes: int, cores: int | None = None) -> list[slice]:
    """Cut a power of two of lanes into groups whose networks run side by side, a thread each; no influence on what is
    coded. ``cores`` None means all."""
    count = min(lanes, 1 << (_usable(cores).bit_length() - 1))
    return [slice(first, first + lanes // count) for first in range(0, lanes, lanes // count)]


def active_in(group: slice, active: int) -> int:
    """Lanes of ``group`` among the first ``active``."""
    return min(max(active - group.start, 0), group.stop - group.start)


def known_frequencies(
    model: Model, grid: NDArray[np.int32], groups: list[slice], side: NDArray[np.int8] | None, kernel: str | None
) -> Iterator[list[NDArray[np.int32]]]:
    """Yield what the network says before each step of known tokens ``grid`` ``[lanes, steps]``.

    A thread for each group computes the next chunk meanwhile.

    Returns:
        For each step, cumulative frequencies ``[lanes of the group, V + 1]`` of each group.
    """
    lanes, steps = grid.shape
    chunk = max(1, CHUNK_ROWS * len(groups) // lanes)
    predictors = [model.predictor(lanes // len(groups), chunk, side, kernel) for _ in groups]
    inputs = inputs_of(model, grid)
    with ThreadPoolExecutor(len(groups)) as pool:

        def predict(start: int) -> list[Future[NDArray[np.int32]]]:
            parts = [np.ascontiguousarray(inputs[group, start : start + chunk]) for group in groups]
            return [pool.submit(predictor, part) for predictor, part in zip(predictors, parts, strict=True)]

        pending = predict(0)
        for start in range(0, steps, chunk):
            length = min(chunk, steps - start)
            by_step = [job.result().reshape(lanes // len(groups), length, -1) for job in pending]
            if start + chunk < steps:
                pending = predict(start + chunk)
            for t in range(length):
                yield [part[:, t] for part in by_step]


class LaneNetwork:
    """The network over lanes that are being decoded; a context manager.

    While one group's tokens are decoded, the network already reads the other groups' new ones.

    Args:
        cores: how many to use; None for all.

    Attributes:
        groups: lanes of each group.
    """

    def __init__(
        self, model: Model, lanes: int, side: NDArray[np.int8] | None, kernel: str | None, cores: int | None
    ) -> None:
        few = lanes <= SHARED_LANES
        self.groups = [slice(0, lanes)] if few else lane_groups(lanes, cores)
        shared = few and _usable(cores) > 1
        each = lanes // len(self.groups)
        self._predictors = [model.predictor(each, 1, side, kernel, shared) for _ in self.groups]
        self._resources = contextlib.ExitStack()
        self._pool: ThreadPoolExecutor | None = None
        start = np.full(each, model.start_token, np.int32)
        self._pending: list[Callable[[], NDArray[np.int32]]] = [
            functools.partial(predictor, start[:, None]) for predictor in self._predictors
        ]

    def __enter__(self) -> LaneNetwork:
        for predictor in self._predictors:
            self._resources.enter_context(predictor)
        if len(self.groups) > 1:
            self._pool = self._resources.enter_context(ThreadPoolExecutor(len(self.groups)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def frequencies(self, group: int) -> NDArray[np.int32]:
        """What follows the last tokens of a group's lanes, cumulative ``[lanes of the group, V + 1]``."""
        return self._pending[group]()

    def read(self, group: int, tokens: NDArray[np.int32]) -> None:
        """Feed the next token of every lane of a group, ``[lanes of the group]``."""
        predictor, column = self._predictors[group], tokens[:, None].copy()
        if self._pool:
            self._pending[group] = self._pool.submit(predictor, column).result
        else:
            self._pending[group] = functools.partial(predictor, column)
