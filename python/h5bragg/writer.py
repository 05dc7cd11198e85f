# SPDX-License-Identifier: MIT
"""Compress input frames into one NXmx-style HDF5 file, encoding on a GPU or on all CPUs."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from . import nxmx_file
from .chunk_totals import ChunkTotals
from .codec import decode
from .compression_task import check_unchanged, task_head
from .errors import GeometryError, ParameterError
from .filter import Bragg
from .frame_arrays import keep_frame_arrays
from .frame_source import InputError
from .frame_writer import FrameWriter
from .frames import FrameSequence
from .geometry import Geometry
from .hdf5_frames import Hdf5Source
from .mask_bits import MaskBits, is_masked, mask_codes
from .output_file import check_output, output_hdf5
from .params import SparsifyParams, effective_params
from .partial_file import KeptChunk, PartialFile, open_partial
from .peak_table import RESULT_PATH, PeakTable
from .peaks import EncodedChunk, PeakParams, Peaks, find_peaks
from .read_back import read_back
from .threads import ordered_map

Progress = Callable[[int], None]
_log = logging.getLogger("h5bragg")


@dataclass
class _Rotation:
    """Rotation angles of the frames, as far as the inputs know them."""

    angles_deg: list[float | None] = field(default_factory=list)
    widths_deg: list[float | None] = field(default_factory=list)

    def add(self, angle_deg: float | None, width_deg: float | None) -> None:
        """Take one more frame into account."""
        self.angles_deg.append(angle_deg)
        self.widths_deg.append(width_deg)

    def pairs(self, start: int, stop: int) -> list[tuple[float, float]]:
        """Return angle and width of some frames, NaN for those that are not known."""
        columns = (self.angles_deg[start:stop], self.widths_deg[start:stop])
        angles, widths = ([math.nan if x is None else x for x in column] for column in columns)
        return list(zip(angles, widths, strict=True))

    def select(self, numbers: Iterable[int]) -> _Rotation:
        """Return the angles of some frames."""
        pairs = [(self.angles_deg[k], self.widths_deg[k]) for k in numbers]
        return _Rotation([angle for angle, _ in pairs], [width for _, width in pairs])

    def write(self, file: h5py.File, frames: FrameSequence) -> None:
        """Write the angles of all frames in the file, if every one is known."""
        known = [angle for angle in self.angles_deg if angle is not None]
        angles = known if len(known) == len(self.angles_deg) else []
        first = frames.first
        axis = first.rotation if isinstance(first, Hdf5Source) else None
        is_other = len(frames.sources) > 1 or len(self.angles_deg) < len(frames)
        if axis is not None and axis.path in file and is_other:
            nxmx_file.extend_rotation(file, axis.path, angles)
        nxmx_file.write_rotation(file, angles, self.widths_deg[0], first.experiment.axis)


@dataclass
class CompressionTotals(ChunkTotals):
    """What `compress` has written.

    Parameters
    ----------
    peaks : int or None
        Peaks of the frames that were written; None if none were wanted.
    left_out_frames : int
        Frames with fewer peaks than were wanted.
    """

    peaks: int | None = None
    left_out_frames: int = 0


class _Run:
    """Frames on their way into a dataset, and what is found out about them by the way."""

    def __init__(
        self,
        frames: FrameSequence,
        partial: PartialFile,
        data: h5py.Dataset,
        codes: tuple[int, ...],
        progress: Progress,
    ) -> None:
        self._frames, self._partial, self._data = frames, partial, data
        self._progress = progress
        self._nwritten = 0
        self.table: PeakTable | None = None
        self.totals, self.bits, self.rotation = CompressionTotals(), MaskBits(codes), _Rotation()

    def write_kept(
        self, geometry: Geometry, wanted: PeakParams | None, *, threads: int | None
    ) -> None:
        """Write the chunks that an earlier run has made."""

        def read(kept: KeptChunk) -> tuple[KeptChunk, EncodedChunk, NDArray[Any]]:
            chunk = self._partial.read(kept)
            peaks: tuple[Peaks, ...] = ()
            if wanted is not None:
                frames = range(len(kept.rotation))
                peaks = tuple(find_peaks(chunk, geometry, peaks=wanted, frame=k) for k in frames)
            pixels = decode(chunk).reshape(-1, *self._frames.shape)
            return kept, EncodedChunk(np.frombuffer(chunk, np.uint8), peaks), pixels

        with ordered_map(read, self._partial.kept, threads=threads) as results:
            for kept, chunk, pixels in results:
                if self._is_hit(chunk):
                    offset = (self._nwritten, *(0,) * (self._data.ndim - 1))
                    self._data.id.write_direct_chunk(offset, chunk.data)
                for angles, frame in zip(kept.rotation, pixels, strict=False):
                    self.rotation.add(*(None if math.isnan(angle) else angle for angle in angles))
                    self.bits.add(frame)  # mask codes come back exactly
                self._count(chunk, len(kept.rotation))

    def write_new(
        self,
        geometry: Geometry,
        params: SparsifyParams,
        wanted: PeakParams | None,
        *,
        device: str,
        threads: int | None,
    ) -> None:
        """Encode and write the other frames."""
        numbers = range(self._partial.nframes, len(self._frames))
        if not numbers:
            return
        with (
            FrameWriter(
                self._data,
                geometry,
                params,
                device=device,
                threads=threads,
                start=self._nwritten,
                on_chunk=self._keep,
                peaks=wanted,
                min_peaks=self.table.min_peaks if self.table else 0,
            ) as writer,
            ordered_map(self._frames.read, numbers, threads=threads) as frames,
        ):
            for frame in frames:
                self.rotation.add(frame.angle_deg, frame.width_deg)
                writer.write(frame.pixels, copy=writer.wants_copies)
                self.bits.add(frame.pixels)

    def finish(self, file: h5py.File) -> None:
        """Write what was found out; a dataset from which frames were left out shrinks."""
        rotation, numbers = self.rotation, np.arange(len(self._frames))
        if self.table is not None:
            self.table.close()
            self.totals.peaks = self.table.npeaks
            if self.table.nhits < self.table.nframes:
                self.totals.left_out_frames = self.table.nframes - self.table.nhits
                numbers = self.table.hits
                rotation = rotation.select(numbers)
                self._data.resize(self.table.nhits, axis=0)
        own = (nxmx_file.DATA_PATH, *([RESULT_PATH] if self.table else []))
        keep_frame_arrays(file, self._frames, numbers, own=own)
        rotation.write(file, self._frames)

    def _keep(self, chunk: EncodedChunk) -> None:
        """Put a chunk that has just been written into the partial file, too."""
        start = self._partial.nframes
        nframes = min(self._data.chunks[0], len(self._frames) - start)
        rotation = self.rotation.pairs(start, start + nframes)
        if len(rotation) < nframes:
            return  # reading failed, and zeros stand for the frames that are missing
        self._partial.append(chunk.data, rotation)
        self._count(chunk, nframes)

    def _is_hit(self, chunk: EncodedChunk) -> bool:
        least = self.table.min_peaks if self.table else 0
        return not least or len(chunk.peaks[0]) >= least

    def _count(self, chunk: EncodedChunk, nframes: int) -> None:
        if self.table is not None:
            for peaks in chunk.peaks[:nframes]:
                self.table.add(peaks)
        if self._is_hit(chunk):
            self._nwritten += nframes
            self.totals.add_chunk(chunk.data, nframes=nframes)
        self._progress(nframes)


def compress(
    frames: FrameSequence,
    output: Path,
    *,
    geometry: Geometry,
    params: SparsifyParams | None = None,
    frames_per_chunk: int = 1,
    device: str = "auto",
    threads: int | None = None,
    force: bool = False,
    resume: bool = False,
    keep_partial: bool = True,
    verify: bool = False,
    protected: Iterable[Path] = (),
    progress: Progress = lambda _: None,
    peaks: PeakParams | None = None,
    min_peaks: int = 0,
) -> CompressionTotals:
    """Compress frames into a new file; it appears under its name when it is complete.

    Until then every chunk is also kept in a partial file beside it (partial_file.py), from which a
    later run can go on.

    Parameters
    ----------
    frames : FrameSequence
        The input; metadata is taken from its first file.
    output : Path
        File to write.
    geometry : Geometry
        Detector of the same frame shape.
    params : SparsifyParams or None
        None means the defaults, with the polarization that the geometry names.
    frames_per_chunk : int
        Frames that are encoded together; one suits random access.
    device : str
        Where to encode, see `FrameWriter`.
    threads : int or None
        Encoding threads; None means one a CPU.
    force : bool
        Replace a file of that name and, without `resume`, a partial file.
    resume : bool
        Go on with the partial file of a run that did not finish, if there is one.  The output is
        that of an undisturbed run.
    keep_partial : bool
        Leave the partial file, if frames are in it, where the run fails.
    verify : bool
        Read all frames back and compare them with the input before the file takes its name, see
        `read_back`.
    protected : iterable of Path
        Files beside the input that the output must not replace.
    progress : callable
        Called, in a thread, with the number of frames that have just been written, and once more
        with those that have been compared.
    peaks : PeakParams or None
        Also find the peaks of all frames, and put them into the file (peak_table.py).
    min_peaks : int
        Leave out frames with fewer peaks; one frame a chunk.

    Returns
    -------
    CompressionTotals
        How the frames were stored.

    Raises
    ------
    InputError, OutputError, GeometryError, ParameterError
        Input, output, detector or parameters are not usable; no output is left behind, but the
        partial file if frames are in it.  An input that changed meanwhile is not usable.
    DeviceError
        There is no such device, or it fails; likewise.
    ReadBackError
        With `verify`: the file does not hold the frames; it is kept as OUTPUT.failed.
    """
    if tuple(geometry.shape) != frames.shape:
        raise GeometryError(
            f"{frames.first.path} holds frames of shape {frames.shape}, but the geometry is for "
            f"{tuple(geometry.shape)}: give the geometry of this detector"
        )
    if frames_per_chunk < 1:
        raise ParameterError(f"{frames_per_chunk} frames a chunk are not usable: give 1 or more")
    if min_peaks and (peaks is None or frames_per_chunk > 1):
        raise ParameterError(
            f"{frames_per_chunk} frames a chunk and no frames with fewer than {min_peaks} peaks do "
            "not go together: encode frames one by one"
        )
    inputs = (*frames.files, *protected)
    check_output(output, force=force, inputs=inputs)
    params = effective_params(params, geometry.polarization)
    codes = mask_codes(params, frames.dtype)
    file_mask = frames.first.pixel_mask
    geometry = _with_uncoded_mask(geometry, file_mask, frames, codes)
    bragg = Bragg(geometry, params)
    frames_per_chunk = min(frames_per_chunk, len(frames))
    head = task_head(frames, bragg, frames_per_chunk=frames_per_chunk)

    def check(written: Path) -> None:
        if verify:
            read_back(
                written,
                nxmx_file.DATA_PATH,
                frames,
                numbers=None if run.table is None else run.table.hits.tolist(),
                threads=threads,
                progress=progress,
            )

    with (
        open_partial(output, head, resume=resume, force=force, keep=keep_partial) as partial,
        output_hdf5(output, force=force, inputs=inputs, check=check) as file,
    ):
        if isinstance(frames.first, Hdf5Source):
            nxmx_file.copy_metadata(frames.first, file)
        data = nxmx_file.create_data(
            file,
            nframes=len(frames),
            dtype=frames.dtype,
            bragg=bragg,
            stack_shape=frames.stack_shape,
            frames_per_chunk=frames_per_chunk,
            may_shrink=min_peaks > 0,
        )
        run = _Run(frames, partial, data, codes, progress)
        if partial.kept:
            _log.info("%s: %d of %d frames are there", partial.path, partial.nframes, len(frames))
        if peaks is not None:
            run.table = PeakTable(file, peaks, min_peaks=min_peaks)
        run.write_kept(geometry, peaks, threads=threads)
        run.write_new(geometry, params, peaks, device=device, threads=threads)
        if run.table is not None and not run.table.nhits:
            raise InputError(
                f"no frame has {min_peaks} peaks: lower --min-peaks, or look at the frames with "
                "'h5bragg peaks'"
            )
        nxmx_file.write_metadata(
            file, geometry, frames.first.experiment, stack_shape=frames.stack_shape
        )
        mask = run.bits.pixel_mask(file_mask, frames.shape)
        nxmx_file.write_pixel_mask(file, mask.reshape(frames.stack_shape))
        run.finish(file)
        check_unchanged(head)
    return run.totals


def _with_uncoded_mask(
    geometry: Geometry,
    file_mask: NDArray[np.uint32] | None,
    frames: FrameSequence,
    codes: tuple[int, ...],
) -> Geometry:
    """Return the geometry with a mask where masked pixels do not show their mask code.

    Frames whose masked pixels all hold a code need no mask in the chunk, and their geometry fits
    the filter's cd_values.
    """
    mask = np.zeros(frames.shape, bool) if geometry.mask is None else geometry.mask.copy()
    if file_mask is not None:
        mask |= file_mask != 0
    if not mask.any():
        return geometry.with_mask(None)
    uncoded = mask & ~is_masked(frames.read(0).pixels, codes)
    return geometry.with_mask(mask if uncoded.any() else None)
