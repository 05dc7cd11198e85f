# SPDX-License-Identifier: MIT
"""Run a function over many items in a few threads, results in order, memory bounded."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

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
            for future in pending:
                future.cancel()
