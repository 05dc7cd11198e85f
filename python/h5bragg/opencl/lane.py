# SPDX-License-Identifier: MIT
"""One batch of frames at a time on its way through the device: the stages, one after the other.

Several lanes side by side keep the bus, the kernels and the CPUs busy at the same time: driver.py.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Executor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..peaks import EncodedChunk
from ..stages import LARGE_NBYTES, RULE_NBYTES, FrameMemory, Jobs, Pool, Rules, Stages
from .driver import Frames, Steps, Turns
from .kernels import BY_FRAME, GROUP_SIZE
from .lane_queue import LaneQueue
from .layout import NHEADER, TILE_NBYTES, Layout, uint4
from .memory import Session
from .peak_marks import PeakMarks

Result = TypeVar("Result")
# A part of the steps.
Part = Generator[Callable[[], bool], None, Result]

_HAS_NEGATIVE, _NLARGE = 2, 3
# The next lane begins when so many frames, and bytes, are left to upload: the bus has no gap then.
_NBEHIND, _BEHIND_NBYTES = 6, 100 << 20
# Pixels without a counter that are fetched before it is known how many there are: one of so many.
_EXPECTED_LARGE_SHARE = 512


class Lane:
    """Queue and memory of a batch.

    Parameters
    ----------
    session : Session
    layout : Layout
    stages : list of Stages
        One for each frame of a batch.
    shared : tuple
        Buffers with the cells of tiles and the mask.
    pool : Pool
        For what the C library does.
    waiters : Executor or None
        A thread that waits for it; None: the one that leads the lane.
    uploads : Turns
        Of the lanes that share the bus: others wait, and so what is small gets through, too.
    profile : bool
        Add up how long kernels take, as the device says.
    """

    def __init__(
        self,
        session: Session,
        layout: Layout,
        stages: list[Stages],
        shared: tuple[Any, Any],
        *,
        pool: Pool,
        waiters: Executor | None,
        uploads: Turns,
        profile: bool = False,
    ) -> None:
        self._session, self._layout, self._waiters = session, layout, waiters
        self._uploads = uploads
        self._stages = stages[0]
        self._cells, self._mask = shared
        self._profile = profile
        self._nexpected_large = min(layout.npixels // _EXPECTED_LARGE_SHARE, layout.large_room)
        self.queue = LaneQueue(session, profile=profile)
        self._kernels = {
            kernel.function_name: kernel for kernel in session.program(layout.dtype).all_kernels()
        }
        self._has_doubles = "find_wide_boxes" in self._kernels
        n, room, nbytes = layout.nframes, layout.room, layout.npixels * layout.dtype.itemsize
        self._nbehind = max(_NBEHIND, -(-_BEHIND_NBYTES // nbytes))
        self._frames = session.buffer(n * nbytes)
        self._plane = session.buffer(n * layout.plane_nbytes)
        self._tiles = session.buffer(n * room * TILE_NBYTES)
        self._squares = session.buffer(4 * n * room)
        self._hits = session.buffer(4 * n * room if layout.tiles.has_local else 0)
        self._above = session.buffer(0 if layout.tiles.has_local else 2 * n * room)
        self._counts = session.buffer(4 * n * layout.counts_nwords)
        self._large = session.buffer(LARGE_NBYTES * n * layout.large_room)
        self._rules = session.buffer(RULE_NBYTES * n * (layout.tiles.ncells + 1))
        self._groups = session.buffer(8 * n * (room // GROUP_SIZE))
        self._totals = session.buffer(8 * n)
        self._is_wide = session.buffer(4 * n)
        self._exact = session.buffer(16 * n * room)
        self._excess = session.buffer(0 if layout.tiles.has_local else 16 * n * room)
        self._within: Any = None
        self._within_room = 0
        self._zero_plane()
        # What comes back.
        pin = self.queue.pinned
        self._host_counts = pin((n, layout.counts_nwords), np.uint32)
        self._host_large = pin((n, layout.large_room, LARGE_NBYTES // 4), np.uint32)
        self._host_rules = pin((n, layout.tiles.ncells + 1, RULE_NBYTES), np.uint8)
        self._host_tiles = pin((n, TILE_NBYTES * room), np.uint8)
        self._host_above = pin((n, 0 if layout.tiles.has_local else room), np.uint16)
        self._host_exact = pin((n, 16 * room), np.uint8)
        self._host_excess = pin((n, 0 if layout.tiles.has_local else 16 * room), np.uint8)
        self._host_totals = pin((n, 2), np.uint32)
        self._host_wide = pin((n,), np.uint32)
        wanted = stages[0].wanted_peaks
        self._peaks = None if wanted is None else PeakMarks(self, session, layout, stages[0])
        self._host_within: NDArray[np.uint32] = np.empty((n, 0), np.uint32)
        memory = [self._memory(k) for k in range(n)]
        self._jobs = Jobs(stages, memory, pool)
        self.kernel_ns = 0
        self.nalone = 0

    def steps(self, frames: Frames) -> Steps:
        """Encode a batch.

        Yields
        ------
        callable
            Tells whether the next step can be done.

        Returns
        -------
        list of EncodedChunk
        """
        yield from self._count(frames)
        rules = yield from self._model(len(frames))
        if any(r.is_ready for r in rules):
            yield from self._choose(rules)
        return (yield from self._wait_for(lambda: self._pack(frames)))

    def _count(self, frames: Frames) -> Part[None]:
        """Upload, when it is this lane's turn, and go through the pixels."""
        layout, nframes = self._layout, len(frames)
        yield self._uploads.is_free
        with self._uploads:
            self.queue.fill(self._counts, 4 * nframes * layout.counts_nwords)
            uploads = [
                self.queue.copy(self._frames, frame, dst_offset=k * frame.nbytes)
                for k, frame in enumerate(frames)
            ]
            kernel = self.launch(
                "count_tiles", nframes, self._frames, self._mask, self._cells, *self.constants(),
                self._codes(), np.uint32(layout.large_room), self._plane, self._tiles,
                self._squares, self._counts, self._large,
            )  # fmt: skip
            self.queue.copy(self._host_counts[:nframes], self._counts)
            expected = [self._nexpected_large] * nframes
            self.queue.fetch_starts(self._host_large, self._large, expected, LARGE_NBYTES)
            yield from self.queue.until(uploads[-min(nframes, self._nbehind)])
        yield from self.queue.until_done()
        self._note(kernel)

    def _model(self, nframes: int) -> Part[list[Rules]]:
        """Fetch the pixels that have no counter, and make the rules of frames."""
        header = self._host_counts[:nframes, : _NLARGE + 1].tolist()
        room = self._layout.large_room
        nlarge = [words[_NLARGE] if words[_NLARGE] <= room else -1 for words in header]
        for k, n in enumerate(nlarge):
            if n < 0:
                self._host_rules[k] = 0  # kernels must not see what is left of another frame
        if max(nlarge) > self._nexpected_large:
            self.queue.fetch_starts(self._host_large, self._large, nlarge, LARGE_NBYTES)
            yield from self.queue.until_done()
        totals = [low | high << 32 for low, high, *_ in header]
        negative = [words[_HAS_NEGATIVE] for words in header]
        rules = yield from self._wait_for(lambda: self._jobs.model(totals, negative, nlarge))
        for k, found in enumerate(rules):
            if found.is_wide and not self._has_doubles:
                rules[k] = self._jobs.leave_alone(k)
        return rules

    def _choose(self, rules: list[Rules]) -> Part[None]:
        """Choose tiles by the rules, and fetch what was chosen."""
        layout, nframes = self._layout, len(rules)
        self._make_within(max(r.nwithin for r in rules))
        self.queue.copy(self._rules, self._host_rules[:nframes])
        self.queue.fill(self._within, 4 * nframes * (2 * layout.nsquares + self._within_room))
        constants = self.constants()
        wide = self._host_wide[:nframes]
        wide[:] = [r.is_wide for r in rules]
        self.queue.copy(self._is_wide, wide)
        events = []
        if layout.tiles.has_local and not wide.all():
            events.append(
                self.launch("find_boxes", nframes, self._plane, self._cells, self._rules,
                             *constants, self._is_wide, self._hits)
            )  # fmt: skip
        if layout.tiles.has_local and wide.any():
            events.append(
                self.launch("find_wide_boxes", nframes, self._frames, self._mask, self._cells,
                             self._rules, *constants, self._is_wide, self._tiles, self._hits)
            )  # fmt: skip
        events.append(
            self.launch(
                "choose_tiles", nframes, self._frames, self._mask, self._cells, self._rules,
                *constants, self._is_wide, self._hits, self._squares, self._counts,
                self._plane, self._tiles, self._above, self._within, np.uint32(layout.nsquares),
                np.uint32(self._within_room), self._groups,
            )
        )  # fmt: skip
        events.append(
            self.launch("number_groups", nframes, constants[0], self._groups, self._totals, width=1)
        )
        events.append(
            self.launch("list_pixels", nframes, self._plane, self._cells, self._rules,
                         *constants, self._tiles, self._above, self._groups, self._exact,
                         self._excess)
        )  # fmt: skip
        if self._peaks is not None:
            events.append(self._peaks.find(nframes, self._plane, self._cells, self._tiles))
        self.queue.copy(self._host_totals[:nframes], self._totals)
        yield from self.queue.until_done()
        self._note(*events)
        if self._peaks is not None:
            self._jobs.set_peak_tiles(self._peaks.fetch(nframes))
        self.queue.copy(self._host_tiles[:nframes], self._tiles)
        self.queue.copy(self._host_within[:nframes], self._within)
        if not layout.tiles.has_local:
            self.queue.copy(self._host_above[:nframes], self._above)
        nexact, nexcess = self._host_totals[:nframes].T.tolist()
        self.queue.fetch_starts(self._host_exact, self._exact, nexact, 16)
        self.queue.fetch_starts(self._host_excess, self._excess, nexcess, 1)
        yield from self.queue.until_done()

    def _pack(self, frames: Frames) -> list[EncodedChunk]:
        """Let the C library make chunks of all frames."""
        packed, nalone = self._jobs.pack(frames)
        self.nalone += nalone
        n = self._stages.nframes
        if n == 1:
            return packed
        return [self._stages.chunk(packed[i : i + n]) for i in range(0, len(packed), n)]

    def _memory(self, k: int) -> FrameMemory:
        """Where things of a frame come to lie."""
        layout, words, tiles = self._layout, self._host_counts[k], self._host_tiles[k]
        room, cells = layout.room, layout.tiles.ncells
        return FrameMemory(
            absent=words[NHEADER : NHEADER + cells],
            count=words[layout.counts_first :],
            large=self._host_large[k],
            rule=self._host_rules[k],
            valid=tiles[: 2 * room].view(np.uint16),
            sum=tiles[2 * room : 4 * room].view(np.uint16),
            kept=tiles[4 * room : 5 * room],
            calm=tiles[5 * room : 6 * room],
            has_large=tiles[6 * room : 7 * room],
            largest=tiles[7 * room :],
            exact=self._host_exact[k],
            above=None if layout.tiles.has_local else self._host_above[k],
            excess=self._host_excess[k],
            peak_limit=None if self._peaks is None else self._peaks.limits[k],
            peak_tile=None if self._peaks is None else self._peaks.tiles[k],
        )

    def _make_within(self, ncounters: int) -> None:
        """Make room for counters, if there is not enough."""
        if self._within is not None and ncounters <= self._within_room:
            return
        self._within_room = ncounters + ncounters // 4
        nwords = 2 * self._layout.nsquares + self._within_room
        self._within = self._session.buffer(4 * self._layout.nframes * nwords)
        within = self.queue.pinned((self._layout.nframes, nwords), np.uint32)
        self._host_within = within
        self._jobs.set_within(within, self._layout.nsquares)

    def _zero_plane(self) -> None:
        """Empty the plane: the zeros around the pixels stay."""
        self.queue.fill(self._plane, self._layout.nframes * self._layout.plane_nbytes)
        self.queue.finish()

    def constants(self) -> tuple[Any, Any]:
        """Return what kernels call frame_shape and tile_options."""
        tiles = self._layout.tiles
        options = (tiles.has_local, tiles.most_sum, tiles.mask is not None, tiles.ncells)
        return uint4(*self._layout.shape, *tiles.shape), uint4(*options)

    def _codes(self) -> Any:
        codes = self._layout.tiles.codes
        return uint4(len(codes), *codes, *[0] * (3 - len(codes)))

    def launch(self, name: str, nframes: int, *arguments: Any, width: int | None = None) -> Any:
        """Enqueue a kernel over all tiles of a batch, or so many work-groups a frame.

        Where there is a kernel that takes whole frames, it is enqueued instead.
        """
        by_frame = self._kernels.get(name + BY_FRAME)
        if by_frame is not None:
            return self.queue.launch(by_frame, (1, nframes), (1, 1), *arguments)
        ngroups = self._layout.room // GROUP_SIZE if width is None else width
        size = (ngroups * GROUP_SIZE, nframes)
        return self.queue.launch(self._kernels[name], size, (GROUP_SIZE, 1), *arguments)

    def _wait_for(self, call: Callable[[], Result]) -> Part[Result]:
        """Let another thread wait for the C library, if there is one."""
        if self._waiters is None:
            return call()
        future = self._waiters.submit(call)
        yield future.done
        return future.result()

    def _note(self, *events: Any) -> None:
        """Add up how long kernels took, if that is wanted."""
        if self._profile:
            self.kernel_ns += sum(_elapsed_ns(event) for event in events)


def _elapsed_ns(event: Any) -> int:
    """How long a kernel took, as the device says."""
    event.wait()  # some drivers know the times of an event no earlier, its queue being done
    elapsed: int = event.profile.end - event.profile.start
    return elapsed
