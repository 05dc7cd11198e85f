# SPDX-License-Identifier: MIT
"""One thread leads lanes: each a step further when it can, whatever becomes of the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from h5bragg.opencl.driver import Driver, Frames, Turns
from h5bragg.peaks import EncodedChunk


def chunk(number: int) -> EncodedChunk:
    return EncodedChunk(np.full(3, number, np.uint8))


def batch(number: int) -> Frames:
    return [np.full((1, 1), number)]


class Gates:
    """A lane whose batches wait until the test lets them go on, or makes them fail."""

    def __init__(self, gates: dict[int, Future[None]]) -> None:
        self.gates = gates

    def steps(self, frames: Frames) -> Generator[Callable[[], bool], None, list[EncodedChunk]]:
        number = int(frames[0][0, 0])
        yield self.gates[number].done
        self.gates[number].result()
        return [chunk(number)]


def test_a_batch_that_waits_does_not_hold_up_others() -> None:
    gates: dict[int, Future[None]] = {k: Future() for k in range(6)}
    driver = Driver([Gates(gates), Gates(gates)])
    futures = [driver.submit(batch(k)) for k in range(6)]
    for k in range(1, 6):  # the other lane takes them one after the other
        gates[k].set_result(None)
        assert futures[k].result(timeout=10) == [chunk(k)]
        assert not futures[0].done()
    gates[0].set_result(None)
    assert futures[0].result(timeout=10) == [chunk(0)]
    driver.close()


def test_no_more_lanes_than_turns_at_a_time() -> None:
    turns, begun, gates = Turns(2), [], {k: Future[None]() for k in range(6)}

    class Uploads:
        def steps(self, frames: Frames) -> Generator[Callable[[], bool], None, list[EncodedChunk]]:
            number = int(frames[0][0, 0])
            yield turns.is_free
            with turns:
                begun.append(number)
                yield gates[number].done
                gates[number].result()
            return [chunk(number)]

    driver = Driver([Uploads() for _ in range(4)])
    futures = [driver.submit(batch(k)) for k in range(6)]
    for k in range(6):  # in the order in which they came; one that fails is over, too
        if k == 3:
            gates[k].set_exception(OSError("lost"))
        else:
            gates[k].set_result(None)
        assert isinstance(futures[k].exception(timeout=10), OSError) == (k == 3)
        assert begun == list(range(len(begun)))
        assert len(begun) <= k + 3
    driver.close()
    assert turns.is_free()


def test_errors_of_a_batch_are_its_own() -> None:
    gates: dict[int, Future[None]] = {k: Future() for k in range(3)}
    driver = Driver([Gates(gates)])
    futures = [driver.submit(batch(k)) for k in range(3)]
    gates[0].set_exception(OSError("lost"))
    gates[1].set_result(None)
    with pytest.raises(OSError, match="lost"):
        futures[0].result(timeout=10)
    assert futures[1].result(timeout=10) == [chunk(1)]
    gates[2].set_result(None)
    driver.close()
    assert futures[2].result(timeout=0) == [chunk(2)]


def test_an_error_before_the_first_step_is_one_of_the_batch() -> None:
    class Broken:
        def steps(self, frames: Frames) -> Generator[Callable[[], bool], None, Any]:
            raise OSError(f"cannot begin with {len(frames)}")

    driver = Driver([Broken()])
    futures = [driver.submit(batch(k)) for k in range(2)]
    for future in futures:
        with pytest.raises(OSError, match="cannot begin with 1"):
            future.result(timeout=10)
    driver.close()


def test_an_error_in_looking_is_an_error_of_the_batch() -> None:
    class Blind:
        def steps(self, frames: Frames) -> Generator[Callable[[], bool], None, Any]:
            def look() -> bool:
                raise OSError("cannot tell")

            if frames[0][0, 0] == 0:
                yield look
            return [chunk(7)]

    driver = Driver([Blind()])
    first, second = driver.submit(batch(0)), driver.submit(batch(1))
    with pytest.raises(OSError, match="cannot tell"):
        first.result(timeout=10)
    assert second.result(timeout=10) == [chunk(7)]
    driver.close()


def test_close_waits_for_what_was_given() -> None:
    gates: dict[int, Future[None]] = {k: Future() for k in range(2)}
    driver = Driver([Gates(gates)])
    futures = [driver.submit(batch(k)) for k in range(2)]
    futures[1].cancel()
    timer = threading.Timer(0.1, gates[0].set_result, [None])
    timer.start()
    driver.close()
    assert futures[0].result(timeout=0) == [chunk(0)]
    assert futures[1].cancelled()
