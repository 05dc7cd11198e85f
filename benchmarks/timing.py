# SPDX-License-Identifier: MIT
"""Time several things in turn, so that what else the machine does meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import numpy as np
from filter_call import FilterCall
from numpy.typing import NDArray

Timed = Callable[[], float]  # seconds


def timed_filter(call: FilterCall, flags: int, data: NDArray[np.uint8]) -> Timed:
    """Time one call of a filter, as HDF5 does it: the result is new memory."""

    def run() -> float:
        size, buffer = call.prepare(data)
        start = time.perf_counter()
        _, result = call.run(flags, size, buffer)
        elapsed = time.perf_counter() - start
        call.release(result)
        return elapsed

    return run


def timed_copy(data: NDArray[np.uint8]) -> Timed:
    """Time a copy into memory that is there already."""
    target = np.zeros_like(data)
    return timed_call(lambda: np.copyto(target, data))


def timed_call(call: Callable[[], object]) -> Timed:
    """Time any function; what it returns is freed outside of the time."""

    def run() -> float:
        start = time.perf_counter()
        result = call()
        elapsed = time.perf_counter() - start
        del result
        return elapsed

    return run


def medians(
    runs: dict[str, Timed], rounds: int, *, slow: Collection[str] = (), slow_every: int = 3
) -> dict[str, float]:
    """Milliseconds, median over interleaved rounds after one that does not count.

    Those named in `slow` take part in every third round only.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for k in range(rounds + 1):
        for name, run in runs.items():
            if name in slow and k > 1 and k % slow_every != 1:
                continue
            elapsed = run()
            if k:
                times[name].append(1e3 * elapsed)
    return {name: float(np.median(values)) for name, values in times.items()}
