# SPDX-License-Identifier: MIT
"""Encode frames into chunks and take chunks apart, without HDF5 (docs/format.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._clib import check, ffi, library
from .chunk_bytes import (
    MOST_NBYTES,
    check_expected,
    check_frame_number,
    check_nbytes,
    chunk_buffer,
    read_info,
)
from .errors import CorruptChunkError, GeometryError, ParameterError
from .geometry import Geometry
from .geometry.c_geometry import CGeometry
from .geometry.panel import panel_from_c
from .params import SparsifyParams, check_params, effective_params, params_from_c, params_to_c
from .pixels import DTYPES, check_shape, is_big_endian, pixel_type

Fill = Literal["noise", "mean"]
_FILLS: dict[str, str] = {"noise": "H5BRAGG_FILL_NOISE", "mean": "H5BRAGG_FILL_MEAN"}


@dataclass(frozen=True, kw_only=True)
class ChunkInfo:
    """What a chunk says of itself, see `inspect`.

    Parameters
    ----------
    format_version : int
        Version of the chunk format.
    nframes : int
        Frames in the chunk.
    shape : tuple of int
        Shape that `decode` returns: (slow, fast) for one frame, else (frame, slow, fast).
    dtype : numpy.dtype
        Pixel type in native byte order.
    file_big_endian : bool
        The HDF5 file type is big-endian.
    nbins : int
        Radial bins used.
    sparse_frames, lossless_frames : int
        Frames stored as exact pixels and background, and frames stored whole.
    chunk_nbytes, frames_nbytes : int
        Size of the chunk and of the dense frames.
    picked_pixels, masked_pixels : int
        Pixels of sparse frames stored exactly, be they picked or in a tile that is kept or that
        lies on no one panel, and pixels stored as a mask code.
    params : SparsifyParams
        Parameters of the encoder, rounded to the steps in which the format stores them.
    geometry : Geometry
        Detector of the encoder, without its mask.
    """

    format_version: int
    nframes: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    file_big_endian: bool
    nbins: int
    sparse_frames: int
    lossless_frames: int
    chunk_nbytes: int
    frames_nbytes: int
    picked_pixels: int
    masked_pixels: int
    params: SparsifyParams
    geometry: Geometry

    @property
    def ratio(self) -> float:
        """How many times smaller the chunk is than its dense frames."""
        return self.frames_nbytes / self.chunk_nbytes


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SparseFrame:
    """One frame of a chunk in its parts, see `unpack`.

    Parameters
    ----------
    index : ndarray of uint32
        Shape (n,): slow * nx + fast of the pixels stored exactly (picked ones, and all valid ones
        of tiles that are kept or lie on no one panel), ascending.
    intensity : ndarray
        Shape (n,), pixel type of the frame: the counts of these pixels.
    mask : ndarray of uint8
        Shape (slow, fast): 0 for valid pixels, else 1 + number of the mask code.
    background_mean, background_std : ndarray of float32
        Shape (nbins,): mean and standard deviation of a ring's pixels of unit normalisation.
    shape : tuple of int
        Frame shape (slow, fast).
    is_lossless : bool
        The frame is stored whole; then `index` is empty.
    chunk : bytes-like
        The chunk that the frame is of, not copied.
    frame : int
        Its number in the chunk.
    """

    index: NDArray[np.uint32]
    intensity: NDArray[Any]
    mask: NDArray[np.uint8]
    background_mean: NDArray[np.float32]
    background_std: NDArray[np.float32]
    shape: tuple[int, int]
    is_lossless: bool
    chunk: Any
    frame: int = 0

    def __repr__(self) -> str:
        """Sum the frame up in one line."""
        return (
            f"<SparseFrame {self.shape[0]} x {self.shape[1]}, {len(self.index)} exact pixels, "
            f"{np.count_nonzero(self.mask)} masked, {len(self.background_mean)} rings"
            f"{', lossless' if self.is_lossless else ''}>"
        )


def encode(frames: ArrayLike, geometry: Geometry, params: SparsifyParams | None = None) -> bytes:
    """Sparsify frames into one self-describing chunk.

    Parameters
    ----------
    frames : array_like of uint8, uint16, uint32, int16 or int32
        Shape (slow, fast) or (frame, slow, fast), any byte order and memory layout.
    geometry : Geometry
        Detector of the same frame shape.
    params : SparsifyParams or None
        None means the defaults, with the polarization that the geometry names.

    Returns
    -------
    bytes
        The same input gives the same bytes on every machine.

    Raises
    ------
    ParameterError
        Pixel type or parameters are not usable.
    GeometryError
        The frames have not the geometry's shape, or it is not usable.

    Examples
    --------
    >>> import h5bragg, numpy as np
    >>> geometry = h5bragg.Geometry.flat(shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1,
    ...                                  beam_center_px=(30, 40), wavelength_m=1e-10)
    >>> frame = np.random.default_rng(1).poisson(3, (64, 80)).astype("uint16")
    >>> frame[10, 20] = 500
    >>> restored = h5bragg.decode(h5bragg.encode(frame, geometry))
    >>> restored.shape, int(restored[10, 20])
    ((64, 80), 500)
    """
    array = np.asarray(frames)
    kind = pixel_type(array.dtype)
    check_shape(array, geometry)
    settings = params_to_c(
        effective_params(params, geometry.polarization),
        file_big_endian=is_big_endian(array.dtype),
    )
    check_params(settings, kind, array.dtype.name)
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    nframes = native.size // (geometry.shape[0] * geometry.shape[1])
    used = ffi.new("size_t *")
    with CGeometry(geometry) as c_geometry:
        capacity = library().h5bragg_bound(kind, nframes, c_geometry)
        if not capacity:
            raise GeometryError(
                f"{nframes} frames of shape {geometry.shape} do not fit one chunk: encode fewer"
            )
        out = np.empty(capacity, np.uint8)
        status = library().h5bragg_encode(
            ffi.from_buffer(native), kind, nframes, c_geometry, settings,
            ffi.from_buffer(out), capacity, used,
        )  # fmt: skip
    check(status, f"cannot encode {array.dtype.name} frames of shape {array.shape}")
    return out[: used[0]].tobytes()


def decode(
    chunk: Any,
    *,
    out: NDArray[Any] | None = None,
    fill: Fill = "noise",
    max_nbytes: int = MOST_NBYTES,
) -> NDArray[Any]:
    """Densify a chunk: its bytes are all that is needed.

    Parameters
    ----------
    chunk : bytes-like
        What `encode` returned or HDF5 stored.
    out : ndarray or None
        C-contiguous array of the chunk's dtype (native byte order) and shape to decode into,
        which spares the cost of fresh memory; None makes a new one.
    fill : {"noise", "mean"}
        What discarded pixels become: noise as the detector would have counted it, or the nearest
        integer to the mean of their ring, which leaves local counts aside.
    max_nbytes : int
        Most bytes to make room for, 4 GiB if not given: few bytes of a chunk may stand for many
        of its frames, so give what you expect of chunks from strangers.  It does not matter where
        `out` is given.

    Returns
    -------
    ndarray
        Shape (slow, fast) for one frame, else (frame, slow, fast); `out` if it was given.

    Raises
    ------
    ChunkError
        The bytes are no chunk, or damaged, or its frames take more than `max_nbytes`: see
        `h5bragg.errors` for the class of each.
    ParameterError
        `out` or `fill` does not suit.
    """
    buffer = chunk_buffer(chunk)
    info = read_info(buffer)
    dtype = DTYPES[info.pixel_type]
    shape = _frames_shape(info)
    if out is None:
        check_nbytes(info, max_nbytes)
        out = np.empty(shape, dtype)
    else:
        _check_out(out, dtype, shape)
    return _decode_into(buffer, out, fill)


def decode_expected(chunk: Any, out: NDArray[Any], *, fill: Fill = "noise") -> None:
    """Decode a chunk that must hold the frames that `out` has room for.

    Parameters
    ----------
    chunk : bytes-like
    out : ndarray
        Shape (frame, slow, fast), C-contiguous, of native byte order.
    fill : {"noise", "mean"}
        See `decode`.

    Raises
    ------
    ChunkError
        The bytes are no chunk, or damaged; `ForeignChunkError` if its frames are others.
    ParameterError
        `fill` does not suit.
    """
    buffer = chunk_buffer(chunk)
    check_expected(read_info(buffer), out.shape, out.dtype)
    _decode_into(buffer, out, fill)


def _decode_into(buffer: Any, out: NDArray[Any], fill: Fill) -> NDArray[Any]:
    if not isinstance(fill, str) or fill not in _FILLS:
        raise ParameterError(f"fill={fill!r} is not usable: give 'noise' or 'mean'")
    how = ffi.typeof("h5bragg_fill").relements[_FILLS[fill]]
    target = ffi.from_buffer(out, require_writable=True)
    check(library().h5bragg_decode(buffer, len(buffer), target, out.nbytes, how))
    return out


def inspect(chunk: Any) -> ChunkInfo:
    """Read what a chunk says of itself, after verifying its checksum.

    Parameters
    ----------
    chunk : bytes-like

    Raises
    ------
    ChunkError
        The bytes are no chunk, or damaged.

    Examples
    --------
    >>> import h5bragg
    >>> h5bragg.inspect(b"not a chunk at all")
    Traceback (most recent call last):
    ...
    h5bragg.errors.NotAChunkError: these bytes are not an h5bragg chunk
    """
    buffer = chunk_buffer(chunk)
    info = read_info(buffer)
    panels = ffi.new("h5bragg_panel[]", max(1, info.npanels))
    check(library().h5bragg_inspect_panels(buffer, len(buffer), panels, info.npanels))
    try:
        geometry = Geometry.from_panels(
            [panel_from_c(panels[i]) for i in range(info.npanels)],
            shape=(info.ny, info.nx),
            distance_m=info.distance_m,
            wavelength_m=info.wavelength_m,
        )
    except GeometryError as error:
        raise CorruptChunkError(f"the chunk's geometry is impossible: {error}") from error
    return ChunkInfo(
        format_version=info.format_version,
        nframes=info.nframes,
        shape=_frames_shape(info),
        dtype=DTYPES[info.pixel_type],
        file_big_endian=bool(info.params.file_big_endian),
        nbins=info.nbins,
        sparse_frames=info.sparse_frames,
        lossless_frames=info.lossless_frames,
        chunk_nbytes=info.chunk_nbytes,
        frames_nbytes=info.frames_nbytes,
        picked_pixels=info.picked_pixels,
        masked_pixels=info.masked_pixels,
        params=params_from_c(info.params),
        geometry=geometry,
    )


def unpack(chunk: Any, frame: int = 0, *, max_nbytes: int = MOST_NBYTES) -> SparseFrame:
    """Take one frame of a chunk apart without densifying it.

    Parameters
    ----------
    chunk : bytes-like
    frame : int
        Number of the frame in the chunk.
    max_nbytes : int
        Most bytes that the dense frames of the chunk may have, see `decode`.

    Raises
    ------
    ChunkError
        The bytes are no chunk, or damaged, or its frames take more than `max_nbytes`.
    ParameterError
        The chunk has no such frame.
    """
    buffer = chunk_buffer(chunk)
    info = read_info(buffer)
    check_frame_number(frame, info.nframes)
    check_nbytes(info, max_nbytes)
    index = np.empty(max(1, info.picked_pixels), np.uint32)
    value = np.empty(len(index), np.int64)
    mask = np.zeros((info.ny, info.nx), np.uint8)
    mean = np.zeros(max(1, info.nbins), np.float32)
    std = np.zeros(len(mean), np.float32)
    sparse = ffi.new("h5bragg_sparse *")
    sparse.capacity = len(index)
    sparse.index = ffi.from_buffer("uint32_t[]", index)
    sparse.value = ffi.from_buffer("int64_t[]", value)
    sparse.mask = ffi.from_buffer("uint8_t[]", mask)
    sparse.mean = ffi.from_buffer("float[]", mean)
    sparse.std = ffi.from_buffer("float[]", std)
    check(library().h5bragg_unpack(buffer, len(buffer), frame, sparse))
    return SparseFrame(
        index=index[: sparse.npicked],
        intensity=value[: sparse.npicked].astype(DTYPES[info.pixel_type]),
        mask=mask,
        background_mean=mean[: info.nbins],
        background_std=std[: info.nbins],
        shape=(info.ny, info.nx),
        is_lossless=bool(sparse.is_lossless),
        chunk=chunk,
        frame=frame,
    )


def _check_out(out: NDArray[Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Refuse an output array that the chunk cannot be decoded into directly."""
    one_frame = (1, *shape) if len(shape) == 2 else shape
    if out.dtype != dtype or out.shape not in (shape, one_frame):
        raise ParameterError(
            f"out is {out.dtype} of shape {out.shape}: the chunk holds {dtype} of shape {shape}"
        )
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ParameterError("out must be C-contiguous and writeable")


def _frames_shape(info: Any) -> tuple[int, ...]:
    frame = (info.ny, info.nx)
    return frame if info.nframes == 1 else (info.nframes, *frame)
