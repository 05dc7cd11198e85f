# SPDX-License-Identifier: MIT
"""The C library's encoder in stages: what kernels count and choose goes in, chunks come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._clib import check, ffi, library
from .geometry import Geometry
from .geometry.c_geometry import CGeometry
from .params import SparsifyParams, check_params, effective_params, params_to_c
from .peaks import EncodedChunk, PeakParams, Peaks, peak_context, peaks_from_c
from .pixels import DTYPES, is_big_endian, pixel_type

NCOUNTS = 64
_MOST_THREADS = 1024
RULE_NBYTES = ffi.sizeof("h5bragg_cell_rule")
LARGE_NBYTES = ffi.sizeof("h5bragg_large_pixel")


@dataclass(frozen=True)
class Tiles:
    """What kernels need to know of a detector, see h5bragg_tiles in h5bragg.h.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of tiles.
    ncells : int
    has_local : bool
    most_sum : int
    codes : tuple of int
        Mask codes as unsigned numbers.
    cell : ndarray of uint16
        Shape (rows * columns,).
    mask : ndarray of uint8 or None
        Of the geometry, one byte a pixel.
    """

    shape: tuple[int, int]
    ncells: int
    has_local: bool
    most_sum: int
    codes: tuple[int, ...]
    cell: NDArray[np.uint16]
    mask: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Rules:
    """What the library says of a frame before its tiles are chosen, see h5bragg_rules."""

    is_ready: bool
    is_wide: bool
    nwithin: int


class Stages:
    """The encoder of one frame after the other, for one thread at a time.

    Parameters
    ----------
    kind : int
        h5bragg_pixel_type.
    nframes : int
        Frames of a chunk.
    geometry, params : cdata
        h5bragg_geometry and h5bragg_params, which are copied.
    peaks : PeakParams or None
        Also find these peaks.
    """

    def __init__(
        self,
        kind: int,
        nframes: int,
        geometry: Any,
        params: Any,
        *,
        peaks: PeakParams | None = None,
    ) -> None:
        handle = ffi.new("h5bragg_stages **")
        check(library().h5bragg_stages_make(kind, nframes, geometry, params, handle))
        self.handle = ffi.gc(handle[0], library().h5bragg_stages_free)
        self.nframes = nframes
        self.shape: tuple[int, int] = (geometry.ny, geometry.nx)
        self.dtype = DTYPES[kind]
        self.out = np.empty(library().h5bragg_bound(kind, 1, geometry), np.uint8)
        self._used = ffi.new("size_t *")
        self.wanted_peaks, self.npanels = peaks, int(geometry.npanels)
        if peaks is not None:
            status = library().h5bragg_stages_want_peaks(self.handle, peaks.to_c())
            check(status, peak_context(peaks, params.snr_pick))

    @staticmethod
    def of(
        geometry: Geometry,
        params: SparsifyParams | None,
        dtype: np.dtype[Any],
        *,
        nframes: int = 1,
        peaks: PeakParams | None = None,
    ) -> Stages:
        """Make stages for chunks of nframes frames; dtype is the pixel type of the HDF5 file.

        Raises
        ------
        ParameterError, GeometryError
            They cannot be used.
        """
        kind = pixel_type(dtype)
        settings = params_to_c(
            effective_params(params, geometry.polarization), file_big_endian=is_big_endian(dtype)
        )
        check_params(settings, kind, dtype.name)
        with CGeometry(geometry) as c_geometry:
            return Stages(kind, nframes, c_geometry, settings, peaks=peaks)

    def tiles(self) -> Tiles:
        """Return what kernels need to know."""
        found = ffi.new("h5bragg_tiles *")
        check(library().h5bragg_stages_tiles(self.handle, found))
        ntiles, npixels = found.nrows * found.ncolumns, self.shape[0] * self.shape[1]
        return Tiles(
            shape=(found.nrows, found.ncolumns),
            ncells=found.ncells,
            has_local=bool(found.has_local),
            most_sum=found.most_sum,
            codes=tuple(found.code[k] for k in range(found.ncodes)),
            cell=self._copy(found.cell, np.uint16, ntiles),
            mask=None if found.mask == ffi.NULL else self._copy(found.mask, np.uint8, npixels),
        )

    def encode(self, frames: Sequence[NDArray[Any]]) -> EncodedChunk:
        """Return the chunk of frames, encoded in this thread.

        Parameters
        ----------
        frames : sequence of ndarray
            C-contiguous, native byte order, as many as a chunk has.
        """
        packed = [self._begin()]
        for frame in frames:
            status = library().h5bragg_stages_pack(
                self.handle, ffi.from_buffer(frame), ffi.NULL, ffi.from_buffer(self.out),
                len(self.out), self._used, ffi.NULL,
            )  # fmt: skip
            check(status)
            packed.append(EncodedChunk(self._written(), self.peaks()))
        return _sealed(packed)

    def chunk(self, frames: Sequence[EncodedChunk]) -> EncodedChunk:
        """Return the chunk of several frames that `Jobs.pack` gave."""
        return _sealed([self._begin(), *frames])

    def peaks(self) -> tuple[Peaks, ...]:
        """Return the peaks of the frame that was encoded last; nothing if none are wanted."""
        if self.wanted_peaks is None:
            return ()
        pointer, count = ffi.new("h5bragg_peak **"), ffi.new("uint64_t *")
        found = ffi.cast("const h5bragg_peak **", pointer)
        check(library().h5bragg_stages_peaks(self.handle, found, count))
        return (peaks_from_c(pointer[0], count[0]),)

    def _begin(self) -> EncodedChunk:
        """Return the start of a chunk."""
        out = ffi.from_buffer(self.out)
        check(library().h5bragg_stages_begin(self.handle, out, len(self.out), self._used))
        return EncodedChunk(self._written(), ())

    def _written(self) -> NDArray[np.uint8]:
        written: NDArray[np.uint8] = self.out[: self._used[0]].copy()
        return written

    @staticmethod
    def _copy(pointer: Any, dtype: type, n: int) -> NDArray[Any]:
        nbytes = n * np.dtype(dtype).itemsize
        array: NDArray[Any] = np.frombuffer(ffi.buffer(pointer, nbytes), dtype).copy()
        return array


def _sealed(parts: Sequence[EncodedChunk]) -> EncodedChunk:
    """Join the parts of a chunk."""
    chunk = np.concatenate([part.data for part in parts])
    check(library().h5bragg_stages_seal(ffi.from_buffer(chunk), len(chunk)))
    return EncodedChunk(chunk, tuple(peaks for part in parts for peaks in part.peaks))


@dataclass(frozen=True)
class FrameMemory:
    """Where counts, rules and choices of a frame lie, see h5bragg_counts and h5bragg_chosen.

    Everything stays where it is for all frames that pass here; `above` is None with local counts,
    and the last two are where no peaks are wanted.
    """

    absent: NDArray[np.uint32]
    count: NDArray[np.uint32]
    large: NDArray[np.uint32]
    rule: NDArray[np.uint8]
    valid: NDArray[np.uint16]
    sum: NDArray[np.uint16]
    kept: NDArray[np.uint8]
    calm: NDArray[np.uint8]
    has_large: NDArray[np.uint8]
    largest: NDArray[np.uint8]
    exact: NDArray[np.uint8]
    above: NDArray[np.uint16] | None
    excess: NDArray[np.uint8]
    peak_limit: NDArray[np.uint8] | None = None
    peak_tile: NDArray[np.uint32] | None = None


_CHOSEN_TYPES = {
    "valid": "uint16_t[]", "sum": "uint16_t[]", "kept": "uint8_t[]", "calm": "uint8_t[]",
    "has_large": "uint8_t[]", "largest": "uint8_t[]", "exact": "uint8_t[]",
    "above": "uint16_t[]", "excess": "uint8_t[]", "peak_tile": "uint32_t[]",
}  # fmt: skip


class Pool:
    """Threads of the C library for `Jobs`, of any number of batches at a time, and for copies.

    Parameters
    ----------
    threads : int
        From 1024 on there are no more.
    """

    def __init__(self, threads: int) -> None:
        handle = ffi.new("h5bragg_pool **")
        check(library().h5bragg_pool_make(min(threads, _MOST_THREADS), handle))
        self.handle = ffi.gc(handle[0], library().h5bragg_pool_free)

    def copy(self, to: NDArray[Any], array: NDArray[Any]) -> None:
        """Copy an array to another of its shape and type, both C-contiguous.

        Threads of Python would wait for one another, each piece for the interpreter.
        """
        library().h5bragg_pool_copy(
            self.handle, ffi.from_buffer(to), ffi.from_buffer(array), to.nbytes
        )


class Jobs:
    """Frames of a batch on their way through the C library, see h5bragg_job.

    Parameters
    ----------
    stages : list of Stages
        One for each frame of a batch.
    memory : list of FrameMemory
        Likewise.
    pool : Pool
        Its threads do the work.
    """

    def __init__(self, stages: list[Stages], memory: list[FrameMemory], pool: Pool) -> None:
        self._stages, self._memory, self._pool = stages, memory, pool
        self._jobs = ffi.new("h5bragg_job[]", len(stages))
        self._counts = ffi.new("h5bragg_counts[]", len(stages))
        self._chosen = ffi.new("h5bragg_chosen[]", len(stages))
        for k, (stage, m) in enumerate(zip(stages, memory, strict=True)):
            job, counts, chosen = self._jobs[k], self._counts[k], self._chosen[k]
            job.stages, job.counts, job.chosen = (
                stage.handle,
                ffi.addressof(counts),
                ffi.addressof(chosen),
            )
            job.rule = ffi.cast("h5bragg_cell_rule *", ffi.from_buffer(m.rule))
            job.out, job.out_capacity = ffi.from_buffer(stage.out), len(stage.out)
            job.is_chunk = stage.nframes == 1
            if m.peak_limit is not None:
                job.peak_limit = ffi.from_buffer("uint8_t[]", m.peak_limit)
            counts.absent = ffi.from_buffer("uint32_t[]", m.absent)
            counts.count = ffi.from_buffer("uint32_t[]", m.count)
            counts.large = ffi.cast("h5bragg_large_pixel *", ffi.from_buffer(m.large))
            for name, kind in _CHOSEN_TYPES.items():
                array = getattr(m, name)
                if array is not None:
                    setattr(chosen, name, ffi.from_buffer(kind, array))

    def set_within(self, within: NDArray[np.uint32], nsquares: int) -> None:
        """Say where the distribution of calm tiles lies: rows of squares, then counters.

        Parameters
        ----------
        within : ndarray of uint32
            Shape (frames, 2 * nsquares + counters).
        nsquares : int
            Rows that there is room for.
        """
        self._within = within
        for chosen, words in zip(self._chosen, within, strict=True):
            chosen.squares = ffi.from_buffer("uint32_t[]", words)
            chosen.squares_high = chosen.squares + nsquares
            chosen.within = chosen.squares + 2 * nsquares

    def set_peak_tiles(self, counts: Sequence[int]) -> None:
        """Say how many tiles of each frame may have peaks; -1: any may."""
        for chosen, memory, count in zip(self._chosen, self._memory, counts, strict=False):
            is_listed = memory.peak_tile is not None and count >= 0
            chosen.peak_tile = (
                ffi.from_buffer("uint32_t[]", memory.peak_tile) if is_listed else ffi.NULL
            )
            chosen.npeak_tiles = max(count, 0)

    def model(
        self, totals: Sequence[int], negative: Sequence[int], nlarge: Sequence[int]
    ) -> list[Rules]:
        """Make backgrounds and rules of frames from their counts.

        Parameters
        ----------
        totals, negative, nlarge : sequence of int
            See h5bragg_counts; a frame whose large pixels are not all there has -1 of them, and is
            for the C library alone.
        """
        for k, (total, is_negative, n) in enumerate(zip(totals, negative, nlarge, strict=True)):
            counts = self._counts[k]
            counts.total, counts.has_negative, counts.nlarge = total, is_negative, max(n, 0)
            self._jobs[k].is_by_itself = n < 0
        check(library().h5bragg_jobs_model(self._jobs, len(totals), self._pool.handle))
        found = [self._jobs[k].rules for k in range(len(totals))]
        return [Rules(bool(r.is_ready), bool(r.is_wide), r.nwithin) for r in found]

    def leave_alone(self, k: int) -> Rules:
        """Leave a frame to the C library after all; return what its rules are then."""
        self._jobs[k].rules.is_ready = 0
        return Rules(is_ready=False, is_wide=False, nwithin=0)

    def pack(self, frames: Sequence[NDArray[Any]]) -> tuple[list[EncodedChunk], int]:
        """Return chunks, or frames of chunks of several, and how many C encoded by itself.

        Parameters
        ----------
        frames : sequence of ndarray
            C-contiguous, native byte order.
        """
        for k, frame in enumerate(frames):
            self._jobs[k].frame = ffi.from_buffer(frame)
        check(library().h5bragg_jobs_pack(self._jobs, len(frames), self._pool.handle))
        jobs = [self._jobs[k] for k in range(len(frames))]
        packed = [
            EncodedChunk(data, stages.peaks())
            for stages, data in zip(self._stages, self._joined(jobs), strict=False)
        ]
        return packed, sum(job.is_by_itself for job in jobs)

    def _joined(self, jobs: Sequence[Any]) -> list[NDArray[np.uint8]]:
        """Copy what was packed, all in one call: each may wait for Python's lock at its end."""
        ends = np.cumsum([job.out_nbytes for job in jobs])
        joined = np.empty(ends[-1], np.uint8)
        out = ffi.from_buffer("uint8_t[]", joined)
        check(library().h5bragg_jobs_join(self._jobs, len(jobs), self._pool.handle, out))
        return np.split(joined, ends[:-1])
