# SPDX-License-Identifier: MIT
"""Run a function over many items in a few threads, results in order, memory bounded."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# More threads than this wait for HDF5, which one thread at a time may enter.
_MOST_THREADS = 16


def usable_cpus() -> int:
    """Return how many CPUs this process may use.

    Examples
    --------
    >>> usable_cpus() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int | None = None
) -> Iterator[Result]:
    """Apply a function to items in threads and yield the results in the order of the items.

    Two items more than threads are in flight at most, so a slow consumer never fills the memory.
    The function should release the GIL for most of its time, as the C library does.

    Parameters
    ----------
    function : callable
    items : iterable
    threads : int or None
        None means one a CPU, at most 16.

    Raises
    ------
    Exception
        Whatever the function raises, at the item's turn; items not begun are dropped.

    Examples
    --------
    >>> list(ordered_map(abs, [-1, 2, -3], threads=2))
    [1, 2, 3]
    """
    workers = max(1, min(usable_cpus(), _MOST_THREADS) if threads is None else threads)
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="h5bragg") as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= workers + 2:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            # The last first: an item that begins in the meantime may wait for those before it.
            for future in reversed(pending):
                future.cancel()


class Handover(Generic[Result]):
    """Passes a result of one item of `ordered_map` on to the next, which another thread may have.

    Items are begun in order, so whoever waits waits for one that has begun: every item must give,
    even if it fails, and give before it takes.

    Examples
    --------
    >>> handover = Handover()
    >>> handover.give(0, "")
    >>> def with_last(index):
    ...     handover.give(index + 1, "abc"[index])
    ...     return handover.take(index) + "abc"[index]
    >>> list(ordered_map(with_last, range(3), threads=2))
    ['a', 'ab', 'bc']
    """

    def __init__(self) -> None:
        self._futures: dict[int, Future[Result | None]] = {}

    def give(self, index: int, value: Result | None) -> None:
        """Leave a value for the item of this number; None if there is none."""
        self._futures.setdefault(index, Future()).set_result(value)

    def take(self, index: int) -> Result | None:
        """Return, once, the value that is left for the item of this number; wait for it."""
        value = self._futures.setdefault(index, Future()).result()
        del self._futures[index]
        return value
