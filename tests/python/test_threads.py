# SPDX-License-Identifier: MIT
"""Items mapped in threads: in order, few at a time, errors at their turn."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from h5bragg.threads import Handover, ordered_map, usable_cpus


@pytest.mark.parametrize("threads", [1, 2, 7, None])
def test_results_come_in_the_order_of_the_items(threads: int | None) -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0)
        return item * item

    assert list(ordered_map(slow_first, range(50), threads=threads)) == [i * i for i in range(50)]
    assert usable_cpus() >= 1


def test_few_items_are_begun_before_their_results_are_taken() -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            begun.append(item)
            yield item

    results = ordered_map(abs, items(), threads=3)
    assert next(results) == 0
    assert len(begun) <= 3 + 2


def test_an_error_comes_at_its_turn_and_ends_the_work() -> None:
    seen: list[int] = []

    def work(item: int) -> int:
        seen.append(item)
        if item == 5:
            raise ValueError("five")
        return item

    results = ordered_map(work, range(1000), threads=2)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(results)
    assert len(seen) < 20


def test_what_is_left_is_waited_for() -> None:
    ended: list[int] = []

    def work(item: int) -> int:
        if item:
            time.sleep(0.05)
        ended.append(item)
        return item

    with ordered_map(work, range(9), threads=2) as results:
        assert next(results) == 0
    count = len(ended)
    time.sleep(0.1)
    assert len(ended) == count < 9
    assert list(results) == []


def test_nobody_waits_for_what_is_collected() -> None:
    """It may be collected in a thread that holds a lock which the items, or threading, want."""
    may_end = threading.Event()

    def work(item: int) -> int:
        if item:
            may_end.wait(timeout=30)
        return item

    results = ordered_map(work, range(9), threads=2)
    assert next(results) == 0
    cycle: list[Any] = [results]
    cycle.append(cycle)
    pool = weakref.ref(results._pool)
    del results, cycle
    start = time.monotonic()
    with getattr(threading, "_shutdown_locks_lock", threading.Lock()):  # until Python 3.12
        gc.collect()
    assert time.monotonic() - start < 10
    assert pool() is None
    may_end.set()


def test_work_runs_in_other_threads_at_the_same_time() -> None:
    barrier = threading.Barrier(2, timeout=30)

    def meet(_item: int) -> int:
        barrier.wait()
        return threading.get_ident()

    idents = set(ordered_map(meet, range(2), threads=2))
    assert len(idents) == 2
    assert threading.get_ident() not in idents


@pytest.mark.parametrize("threads", [1, 3])
def test_items_hand_over_to_the_next_even_if_they_fail(threads: int) -> None:
    handover: Handover[int] = Handover()
    handover.give(0, None)

    def with_last(item: int) -> tuple[int, int | None]:
        value = None
        try:
            time.sleep(0.001 * (7 * item % 5))
            if item == 30:
                raise ValueError("item 30")
            value = item
        finally:
            handover.give(item + 1, value)
        return item, handover.take(item)

    results = ordered_map(with_last, range(60), threads=threads)
    assert [next(results) for _ in range(30)] == [(0, None), *((i, i - 1) for i in range(1, 30))]
    with pytest.raises(ValueError, match="item 30"):
        next(results)
