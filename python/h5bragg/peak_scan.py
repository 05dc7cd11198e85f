# SPDX-License-Identifier: MIT
"""Peaks of many frames: those that h5bragg stores from their chunks, others from their pixels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .codec import inspect
from .errors import ChunkError, ParameterError
from .frame_source import InputError
from .frames import FrameSequence
from .geometry import Geometry
from .hdf5_frames import Hdf5Source
from .mask_bits import is_masked, mask_codes
from .output_file import output_hdf5
from .params import ErrorModel, SparsifyParams, effective_params
from .peak_table import PeakTable
from .peaks import NO_PEAKS, PeakParams, Peaks, find_peaks
from .sparse_dataset import SparseDataset, is_sparse
from .threads import ordered_map

Progress = Callable[[int], None]
_CXI_VERSION = 160


@dataclass(frozen=True)
class _Chunk:
    """Frames of one chunk that h5bragg has written, or one other frame."""

    first: int
    nframes: int
    sparse: SparseDataset | None = None
    start: int = 0


@dataclass(frozen=True, eq=False)
class PeakView:
    """A frame and its peaks, to look at.

    Parameters
    ----------
    pixels : ndarray
        Shape (slow, fast).
    valid : ndarray of bool
        Likewise: False for masked pixels.
    geometry : Geometry
    params : SparsifyParams
        Of the background.
    wanted : PeakParams
    peaks : Peaks
    """

    pixels: NDArray[Any]
    valid: NDArray[np.bool_]
    geometry: Geometry
    params: SparsifyParams
    wanted: PeakParams
    peaks: Peaks


class PeakScan:
    """The peaks of a sequence of frames, one frame after the other.

    Parameters
    ----------
    frames : FrameSequence
        The input.  Frames that h5bragg has compressed are not made dense.
    geometry : callable
        Gives the detector of other frames; called once, if there are any.
    wanted : PeakParams
        What is a peak.
    error_model : {"poisson", "azimuthal", "hybrid"}
        Of the background of other frames, see `SparsifyParams`.
    """

    def __init__(
        self,
        frames: FrameSequence,
        geometry: Callable[[], Geometry],
        wanted: PeakParams,
        *,
        error_model: ErrorModel = "poisson",
    ) -> None:
        self._frames, self._wanted = frames, wanted
        self._make_geometry, self._error_model = geometry, error_model
        self._chunks = list(_chunks(frames))
        self._masked: dict[int, Geometry | None] = {}
        self._lock = Lock()
        self._background: tuple[Geometry, SparsifyParams] | None = None
        if any(chunk.sparse is None for chunk in self._chunks):
            self._find_background()  # what is missing is missed at once

    def peaks(self, *, threads: int | None = None) -> Iterator[Peaks]:
        """Yield the peaks of every frame in order.

        Raises
        ------
        InputError
            A frame cannot be read.
        ParameterError
            Peaks are asked for that are weaker than what chunks store exactly.
        """
        with ordered_map(self._find, self._chunks, threads=threads) as results:
            for found in results:
                yield from found

    def view(self, index: int) -> PeakView:
        """Return one frame with its peaks.

        Raises
        ------
        ParameterError
            There is no such frame.
        """
        if not 0 <= index < len(self._frames):
            raise ParameterError(
                f"frame {index} is not in the input: give one from 0 to {len(self._frames) - 1}"
            )
        chunk = next(c for c in self._chunks if c.first <= index < c.first + c.nframes)
        peaks = self._find(chunk)[index - chunk.first]
        pixels = self._frames.read(index).pixels
        stored = chunk.sparse.read_chunk(chunk.start) if chunk.sparse else None
        if stored is not None and stored.is_encoded:
            info = inspect(stored.data)
            geometry, params = self._mask_of(chunk, stored.data) or info.geometry, info.params
        else:
            geometry, params = self._find_background()
        valid = ~is_masked(pixels, mask_codes(params, pixels.dtype))
        if geometry.mask is not None:
            valid &= ~geometry.mask
        return PeakView(pixels, valid, geometry, params, self._wanted, peaks)

    def _find(self, chunk: _Chunk) -> list[Peaks]:
        if chunk.sparse is None:
            return [self._of_pixels(self._frames.read(chunk.first).pixels)]
        stored = chunk.sparse.read_chunk(chunk.start)
        if stored is None:
            return [NO_PEAKS] * chunk.nframes
        if not stored.is_encoded:
            return [self._of_pixels(frame) for frame in chunk.sparse.decode_chunk(chunk.start)]
        try:
            geometry = self._mask_of(chunk, stored.data)
            return [
                find_peaks(stored.data, geometry, peaks=self._wanted, frame=k)
                for k in range(chunk.nframes)
            ]
        except ChunkError as error:
            raise InputError(f"{chunk.sparse.where}, frame {chunk.start}: {error}") from error

    def _of_pixels(self, pixels: NDArray[Any]) -> Peaks:
        geometry, params = self._find_background()
        return find_peaks(pixels, geometry, params, peaks=self._wanted)

    def _find_background(self) -> tuple[Geometry, SparsifyParams]:
        """Return the detector of dense frames, and how to find their background."""
        with self._lock:
            if self._background is None:
                geometry = _with_file_mask(self._make_geometry(), self._frames)
                params = effective_params(
                    None, geometry.polarization, error_model=self._error_model
                )
                # Of frames that nobody stores, peaks may be as weak as one likes.
                snr_pick = min(params.snr_pick, self._wanted.snr_pick)
                self._background = geometry, replace(params, snr_pick=snr_pick)
            return self._background

    def _mask_of(self, chunk: _Chunk, data: bytes) -> Geometry | None:
        """Return a geometry with the mask of the chunk's file, if that has one."""
        source, _ = self._frames.locate(chunk.first)
        with self._lock:
            if id(source) not in self._masked:
                mask = source.pixel_mask
                self._masked[id(source)] = (
                    None if mask is None else inspect(data).geometry.with_mask(mask != 0)
                )
            return self._masked[id(source)]


def write_cxi(
    scan: PeakScan,
    frames: FrameSequence,
    output: Path,
    *,
    wanted: PeakParams,
    min_peaks: int = 0,
    threads: int | None = None,
    force: bool = False,
    progress: Progress = lambda _: None,
) -> PeakTable:
    """Write the peaks of frames into a CXI file.

    Where all frames are in HDF5 files it also shows those that are in the list, as a virtual
    dataset: CrystFEL then takes this one file as input.

    Parameters
    ----------
    scan : PeakScan
        Of the frames.
    frames : FrameSequence
    output : Path
        File to write.
    wanted : PeakParams
        That of the scan.
    min_peaks : int
        Leave out frames with fewer peaks; they are listed.
    threads : int or None
        None means one a CPU.
    force : bool
        Replace a file of that name.
    progress : callable
        Called with the number of frames that have just been done.

    Returns
    -------
    PeakTable
        What was written.

    Raises
    ------
    InputError, OutputError, ParameterError
        See `PeakScan.peaks`; or the output cannot be written.
    """
    with output_hdf5(output, force=force, inputs=frames.files) as file:
        file["cxi_version"] = _CXI_VERSION
        table = PeakTable(file, wanted, min_peaks=min_peaks)
        for found in scan.peaks(threads=threads):
            table.add(found)
            progress(1)
        table.close()
        sources = file["entry_1/result_1"].create_group("input")
        sources["file"] = [str(source.path) for source in frames.sources]
        sources["nframes"] = [source.nframes for source in frames.sources]
        _link_frames(file, frames, table, output)
    return table


def _chunks(frames: FrameSequence) -> Iterator[_Chunk]:
    """Yield what to read at a time."""
    first = 0
    for source in frames.sources:
        datasets = source.datasets if isinstance(source, Hdf5Source) else []
        sizes = [1 if data.ndim == 2 else len(data) for data in datasets] or [source.nframes]
        for number, size in enumerate(sizes):
            if datasets and is_sparse(datasets[number]):
                sparse = SparseDataset(datasets[number])
                for start in sparse.starts():
                    count = min(sparse.frames_per_chunk, sparse.nframes - start)
                    yield _Chunk(first + start, count, sparse, start)
            else:
                yield from (_Chunk(first + k, 1) for k in range(size))
            first += size


def _with_file_mask(geometry: Geometry, frames: FrameSequence) -> Geometry:
    """Add the mask of the first file to that of a geometry."""
    found = frames.first.pixel_mask
    if found is None:
        return geometry
    if tuple(geometry.shape) != found.shape:
        raise InputError(
            f"{frames.first.path} holds frames of shape {found.shape}, but the geometry is for "
            f"{tuple(geometry.shape)}: give the geometry of this detector"
        )
    mask = found != 0 if geometry.mask is None else geometry.mask | (found != 0)
    return geometry.with_mask(mask)


def _link_frames(file: h5py.File, frames: FrameSequence, table: PeakTable, output: Path) -> None:
    """Show the frames of the list, if HDF5 can: they stay in their files."""
    are_hdf5 = all(isinstance(source, Hdf5Source) for source in frames.sources)
    if not are_hdf5 or not table.nhits:
        return
    layout = h5py.VirtualLayout((table.nhits, *frames.stack_shape), _file_dtype(frames))
    folder = Path(os.path.abspath(output)).parent  # noqa: PTH100  (as in output_file)
    at = 0
    for run in np.split(table.hits, np.flatnonzero(np.diff(table.hits) != 1) + 1):
        for data, start, count in _pieces(frames, int(run[0]), len(run)):
            path = os.path.relpath(data.file.filename, folder)
            source = h5py.VirtualSource(path, data.name, data.shape, data.dtype)
            layout[at : at + count] = source if data.ndim == 2 else source[start : start + count]
            at += count
    group = file["entry_1"].create_group("data_1")
    group.attrs.update({"NX_class": np.bytes_("NXdata"), "signal": np.bytes_("data")})
    group.create_virtual_dataset("data", layout)


def _file_dtype(frames: FrameSequence) -> np.dtype[np.generic]:
    """Return the pixel type of the first file as it is in there."""
    source = frames.first
    assert isinstance(source, Hdf5Source)
    dtype: np.dtype[np.generic] = source.datasets[0].dtype
    return dtype


def _pieces(
    frames: FrameSequence, start: int, count: int
) -> Iterator[tuple[h5py.Dataset, int, int]]:
    """Yield dataset, first frame and number of frames of what a run of frames is in."""
    while count:
        source, local = frames.locate(start)
        assert isinstance(source, Hdf5Source)
        data, first = source.locate(local)
        n = min(count, 1 if data.ndim == 2 else len(data) - first)
        yield data, first, n
        start, count = start + n, count - n
