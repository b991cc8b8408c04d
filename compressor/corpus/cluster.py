"""Tasks on a Dask cluster: one that is there, or one of this machine's cores."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from llmzip.core import available_cores

if TYPE_CHECKING:
    from distributed import Client

OUTSTANDING = 4096
"""Tasks that the scheduler knows of at a time: enough for thousands of cores, little enough for its memory."""
RETRIES = 2
"""How often a task is tried again after an error of reading or writing. What a lost worker did is done again anyway, by
another, as long as it was not the same task that several workers were lost over (Dask's ``allowed-failures``)."""
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Workforce:
    """Who does the work.

    Attributes:
        client: a Dask client that is there already, or None.
        scheduler: a scheduler's address. Without one, a cluster of this machine's processes does the work, or this
            process alone where there is one task.
        workers: how many processes; None for one for each core.
    """

    client: Client | None = None
    scheduler: str | None = None
    workers: int | None = None

    def each(
        self, function: Callable[..., _Result], items: Sequence[_Item], *others: Any, names: Sequence[str]
    ) -> Iterator[tuple[_Item, _Result | BaseException]]:
        """``function(item, *others)`` of every item, in the order in which they are done; what went wrong in its place.

        Args:
            names: of the tasks, for the scheduler: each once.

        Raises:
            OSError: no scheduler answers at the address.
        """
        if len(items) < 2 and self.client is None and self.scheduler is None:
            for item in items:
                try:
                    yield item, function(item, *others)
                except Exception as error:
                    yield item, error
            return
        with self.connected(len(items)) as client:
            yield from _each(client, function, items, others, names)

    @contextlib.contextmanager
    def connected(self, tasks: int) -> Iterator[Client]:
        """A client of the cluster that is to do so many tasks."""
        if self.client is not None:
            yield self.client
            return
        from distributed import Client, LocalCluster  # takes a second, which one task does not need

        if self.scheduler is not None:
            with Client(self.scheduler, set_as_default=False) as client:
                yield client
        else:
            workers = min(self.workers or available_cores(), tasks)
            with (
                LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
                ) as cluster,
                Client(cluster, set_as_default=False) as client,
            ):
                yield client


def _each(
    client: Client, function: Callable[..., _Result], items: Sequence[_Item], others: Sequence[Any],
    names: Sequence[str],
) -> Iterator[tuple[_Item, _Result | BaseException]]:  # fmt: skip
    from distributed import as_completed

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
