"""Tasks on a Dask cluster: one that is there, or one of this machine's cores."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from distributed import Client, LocalCluster, as_completed

from llmzip.core import available_cores

OUTSTANDING = 4096
"""Tasks that the scheduler knows of at a time: enough for thousands of cores, little enough for its memory."""
RETRIES = 2
"""How often a task is tried again after an error of reading or writing. What a lost worker did is done again anyway, by
another, as long as it was not the same task that several workers were lost over (Dask's ``allowed-failures``)."""
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@contextlib.contextmanager
def connected(scheduler: str | None = None, workers: int | None = None) -> Iterator[Client]:
    """A client of the scheduler at an address, or of a cluster of ``workers`` processes that ends with it.

    Args:
        workers: where there is no scheduler; None for one for each core.

    Raises:
        OSError: no scheduler answers at the address.
    """
    if scheduler is not None:
        with Client(scheduler, set_as_default=False) as client:
            yield client
        return
    with (
        LocalCluster(
            n_workers=workers or available_cores(), threads_per_worker=1, processes=True, dashboard_address=None,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):  # fmt: skip
        yield client


def each(
    client: Client, function: Callable[..., _Result], items: Sequence[_Item], *others: Any, names: Sequence[str]
) -> Iterator[tuple[_Item, _Result | BaseException]]:
    """``function(item, *others)`` of every item, in the order in which they are done; what went wrong in its place.

    Args:
        names: of the tasks, for the scheduler: each once.
    """
    waiting = iter(zip(items, names, strict=True))
    items_by_key: dict[Any, _Item] = {}

    def submit() -> Any:
        for item, name in waiting:
            future = client.submit(function, item, *others, key=f"llmzip-{name}", pure=False, retries=RETRIES)
            items_by_key[future.key] = item
            return future
        return None

    first = [future for _ in range(OUTSTANDING) if (future := submit()) is not None]
    running = as_completed(first, loop=client.loop)
    del first
    for future in running:
        item = items_by_key.pop(future.key)
        failure = future.exception() if future.status != "finished" else None
        result = failure if failure is not None else future.result()
        following = submit()
        if following is not None:
            running.add(following)
        yield item, result
