# SPDX-License-Identifier: MIT
"""Compress input frames into one NXmx-style HDF5 file, encoding on a GPU or on all CPUs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from . import nxmx_file
from .chunk_totals import ChunkTotals
from .errors import GeometryError, ParameterError
from .filter import Bragg
from .frame_source import Frame
from .frame_writer import FrameWriter
from .frames import FrameSequence
from .geometry import Geometry
from .hdf5_frames import Hdf5Source
from .mask_bits import MaskBits, is_masked, mask_codes
from .output_file import output_hdf5
from .params import SparsifyParams, effective_params
from .threads import ordered_map

Progress = Callable[[int], None]


@dataclass
class _Rotation:
    """Rotation angles of the frames, as far as the inputs know them."""

    angles_deg: list[float | None] = field(default_factory=list)
    width_deg: float | None = None

    def add(self, frame: Frame) -> None:
        """Take one more frame into account."""
        if not self.angles_deg:
            self.width_deg = frame.width_deg
        self.angles_deg.append(frame.angle_deg)

    def write(self, file: h5py.File, frames: FrameSequence) -> None:
        """Write the angles of all inputs, if every frame has one."""
        known = [angle for angle in self.angles_deg if angle is not None]
        angles = known if len(known) == len(frames) else []
        first = frames.first
        axis = first.rotation if isinstance(first, Hdf5Source) else None
        if axis is not None and axis.path in file and len(frames.sources) > 1:
            nxmx_file.extend_rotation(file, axis.path, angles)
        nxmx_file.write_rotation(file, angles, self.width_deg, first.experiment.axis)


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
    progress: Progress = lambda _: None,
) -> ChunkTotals:
    """Compress frames into a new file; it appears under its name when it is complete.

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
        Replace a file of that name.
    progress : callable
        Called, in a thread, with the number of frames that have just been written.

    Returns
    -------
    ChunkTotals
        How the frames were stored.

    Raises
    ------
    InputError, OutputError, GeometryError, ParameterError
        Input, output, detector or parameters are not usable; no output is left behind.
    DeviceError
        There is no such device, or it fails; likewise.
    """
    if tuple(geometry.shape) != frames.shape:
        raise GeometryError(
            f"{frames.first.path} holds frames of shape {frames.shape}, but the geometry is for "
            f"{tuple(geometry.shape)}: give the geometry of this detector"
        )
    if frames_per_chunk < 1:
        raise ParameterError(f"{frames_per_chunk} frames a chunk are not usable: give 1 or more")
    params = effective_params(params, geometry.polarization)
    codes = mask_codes(params, frames.dtype)
    file_mask = frames.first.pixel_mask
    geometry = _with_uncoded_mask(geometry, file_mask, frames, codes)
    bragg = Bragg(geometry, params)
    with output_hdf5(output, force=force, inputs=frames.files) as file:
        if isinstance(frames.first, Hdf5Source):
            nxmx_file.copy_metadata(frames.first, file)
        data = nxmx_file.create_data(
            file,
            nframes=len(frames),
            dtype=frames.dtype,
            bragg=bragg,
            stack_shape=frames.stack_shape,
            frames_per_chunk=min(frames_per_chunk, len(frames)),
        )
        totals, bits, rotation = ChunkTotals(), MaskBits(codes), _Rotation()
        starts = iter(range(0, len(frames), data.chunks[0]))

        def count(chunk: bytes) -> None:
            nframes = min(data.chunks[0], len(frames) - next(starts))
            totals.add_chunk(chunk, nframes=nframes)
            progress(nframes)

        with FrameWriter(
            data, geometry, params, device=device, threads=threads, on_chunk=count
        ) as writer:
            for frame in ordered_map(frames.read, range(len(frames)), threads=threads):
                writer.write(frame.pixels, copy=False)
                bits.add(frame.pixels)
                rotation.add(frame)
        nxmx_file.write_metadata(
            file, geometry, frames.first.experiment, stack_shape=frames.stack_shape
        )
        mask = bits.pixel_mask(file_mask, frames.shape)
        nxmx_file.write_pixel_mask(file, mask.reshape(frames.stack_shape))
        rotation.write(file, frames)
    return totals


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
