# SPDX-License-Identifier: MIT
"""Run a function over many items in a few threads, results in order, memory bounded."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Generic, TypeVar

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


class OrderedResults(Generic[Result]):
    """What `ordered_map` returns: an iterator, and a context manager that ends the work.

    Leaving it waits for the items that have begun.  So does the end, or an error of an item.  But
    nobody waits where Python collects one that nobody has left: that may be at any moment in any
    thread, whatever locks it holds.

    Parameters
    ----------
    function, items
        See `ordered_map`.
    workers : int
        Threads.
    """

    def __init__(
        self, function: Callable[[Any], Result], items: Iterable[Any], workers: int
    ) -> None:
        self._function, self._items = function, iter(items)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="h5bragg")
        self._most = workers + 2
        self._pending: deque[Future[Result]] = deque()

    def __iter__(self) -> OrderedResults[Result]:
        """Return itself."""
        return self

    def __next__(self) -> Result:
        """Return the result of the next item."""
        try:
            for item in islice(self._items, self._most - len(self._pending)):
                self._pending.append(self._pool.submit(self._function, item))
            if self._pending:
                return self._pending.popleft().result()
        except BaseException:
            self.close()
            raise
        self.close()
        raise StopIteration

    def close(self) -> None:
        """Drop the items that have not begun, and wait for the others."""
        self._items = iter(())
        # The last first: an item that begins in the meantime may wait for those before it.
        while self._pending:
            self._pending.pop().cancel()
        self._pool.shutdown()

    def __enter__(self) -> OrderedResults[Result]:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int | None = None
) -> OrderedResults[Result]:
    """Apply a function to items in threads and give the results in the order of the items.

    Two items more than threads are in flight at most, so a slow consumer never fills the memory.
    The function should release the GIL for most of its time, as the C library does.

    Parameters
    ----------
    function : callable
    items : iterable
    threads : int or None
        None means one a CPU, at most 16.

    Returns
    -------
    OrderedResults
        An iterator; whoever may stop before its end uses ``with``.

    Raises
    ------
    Exception
        Whatever the function raises, at the item's turn; items not begun are dropped.

    Examples
    --------
    >>> with ordered_map(abs, [-1, 2, -3], threads=2) as results:
    ...     list(results)
    [1, 2, 3]
    """
    workers = max(1, min(usable_cpus(), _MOST_THREADS) if threads is None else threads)
    return OrderedResults(function, items, workers)


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
