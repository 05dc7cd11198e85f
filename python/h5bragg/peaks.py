# SPDX-License-Identifier: MIT
"""Bragg peaks of a frame, or of what a chunk stores of it (docs/peaks.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._clib import check, ffi, library
from .chunk_bytes import MOST_NBYTES, check_frame_number, check_nbytes, chunk_buffer, read_info
from .codec import SparseFrame
from .errors import GeometryError, ParameterError
from .geometry import Geometry
from .geometry.c_geometry import CGeometry
from .params import SparsifyParams, check_params, effective_params, params_to_c
from .pixels import check_shape, pixel_type

# An h5bragg_peak.
_PEAK = np.dtype(
    [
        ("slow_px", np.float64),
        ("fast_px", np.float64),
        ("intensity", np.float64),
        ("sigma", np.float64),
        ("background", np.float64),
        ("radius_m", np.float64),
        ("resolution_a", np.float64),
        ("maximum", np.int64),
        ("slow", np.uint32),
        ("fast", np.uint32),
        ("npixels", np.uint32),
        ("nhigh", np.uint32),
    ]
)


@dataclass(frozen=True, kw_only=True)
class PeakParams:
    """What is a peak.

    Parameters
    ----------
    snr_pick : float
        Its largest pixel, and `connected` others, are above the background by this many sigma (the
        largest by the quantile that `SparsifyParams.snr_pick` means); not less than
        `SparsifyParams.snr_pick`, as weaker pixels are not stored exactly.
    patch : int
        Edge of the square of pixels, 3 or 5, of which that is the largest and over which is summed.
    connected : int
        How many other pixels of the patch must be above `snr_pick`, at most 8 or 24; 0 takes
        single pixels as well.

    Raises
    ------
    ParameterError
        A value is out of range.

    Examples
    --------
    >>> from h5bragg import PeakParams
    >>> PeakParams(patch=3).snr_pick
    4.0
    """

    snr_pick: float = 4.0
    patch: int = 5
    connected: int = 2

    def __post_init__(self) -> None:
        """Refuse what no frame allows."""
        if not isinstance(self.snr_pick, Real) or not 1 / 512 <= self.snr_pick <= 127:
            raise ParameterError(
                f"snr_pick={self.snr_pick!r} is not usable: give a number above 0, at most 127"
            )
        if not isinstance(self.patch, Integral) or self.patch not in (3, 5):
            raise ParameterError(f"patch={self.patch!r} is not usable: give 3 or 5")
        if not isinstance(self.connected, Integral) or not 0 <= self.connected < self.patch**2:
            raise ParameterError(
                f"connected={self.connected!r} is not usable: give 0 to {self.patch**2 - 1}"
            )

    def to_c(self) -> Any:
        """Return the h5bragg_peak_params."""
        return ffi.new(
            "h5bragg_peak_params *",
            {"snr_pick": self.snr_pick, "patch": self.patch, "connected": self.connected},
        )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Peaks:
    """The peaks of one frame; shapes (n,).

    Peaks come in the order of their tiles of 4 x 4 pixels, row by row.  Sums are over the pixels
    of a peak's patch that are stored exactly.

    Parameters
    ----------
    slow_px, fast_px : ndarray of float64
        Centre of mass of what is above the background; the centre of pixel (0, 0) is (0.5, 0.5).
    intensity, sigma : ndarray of float64
        Counts above the background, and their standard deviation: that of the background and of
        the peak's own counts.
    background : ndarray of float64
        Counts of a pixel at the largest one.
    radius_m : ndarray of float64
        distance * tan(2 theta); infinite from 90 degrees on.
    resolution_a : ndarray of float64
        In angstrom; 0 where the geometry knows no wavelength.
    maximum : ndarray of int64
        Counts of the largest pixel.
    slow, fast : ndarray of uint32
        Where that is.
    npixels, nhigh : ndarray of uint32
        Pixels that are summed, and how many of them are above the threshold.
    """

    slow_px: NDArray[np.float64]
    fast_px: NDArray[np.float64]
    intensity: NDArray[np.float64]
    sigma: NDArray[np.float64]
    background: NDArray[np.float64]
    radius_m: NDArray[np.float64]
    resolution_a: NDArray[np.float64]
    maximum: NDArray[np.int64]
    slow: NDArray[np.uint32]
    fast: NDArray[np.uint32]
    npixels: NDArray[np.uint32]
    nhigh: NDArray[np.uint32]

    @property
    def snr(self) -> NDArray[np.float64]:
        """Intensity over its standard deviation."""
        snr: NDArray[np.float64] = self.intensity / self.sigma
        return snr

    def __len__(self) -> int:
        """Return the number of peaks."""
        return len(self.intensity)

    def __repr__(self) -> str:
        """Sum the peaks up in one line."""
        return f"<Peaks: {len(self)}, together {self.intensity.sum():.6g} counts>"

    def __getitem__(self, selection: Any) -> Peaks:
        """Return some of the peaks, as NumPy selects: a slice, a mask or indices."""
        return Peaks(**{field.name: getattr(self, field.name)[selection] for field in fields(self)})


def find_peaks(
    source: SparseFrame | ArrayLike | bytes,
    geometry: Geometry | None = None,
    params: SparsifyParams | None = None,
    *,
    peaks: PeakParams | None = None,
    frame: int = 0,
    max_nbytes: int = MOST_NBYTES,
) -> Peaks:
    """Find the Bragg peaks of one frame.

    A frame, its chunk and its `SparseFrame` have the same peaks, to the last bit: they are found in
    what a chunk stores exactly.  Of a chunk nothing else is decoded.

    Parameters
    ----------
    source : SparseFrame, bytes-like or array_like
        What `unpack` returned; a chunk; or a frame of shape (slow, fast).
    geometry : Geometry or None
        Detector of the same shape, which a frame needs.  A chunk knows its own; only the mask is
        used then, as a chunk does not know which pixels were under it.
    params : SparsifyParams or None
        How the background of a frame is found and what a chunk would store of it; None means the
        defaults, with the polarization that the geometry names.  A chunk knows its own.
    peaks : PeakParams or None
        What is a peak; None means the defaults.
    frame : int
        Number of the frame in a chunk.
    max_nbytes : int
        Most bytes that the frames of a chunk may stand for, see `decode`.

    Raises
    ------
    ParameterError
        Parameters or pixel type are not usable; peaks are asked for that are weaker than what is
        stored exactly; or the chunk has no such frame.
    GeometryError
        The geometry is missing, or not that of the frame.
    ChunkError
        The bytes are no chunk, or damaged, or its frames take more than `max_nbytes`.

    Examples
    --------
    >>> import h5bragg, numpy as np
    >>> geometry = h5bragg.Geometry.flat(shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1,
    ...                                  beam_center_px=(30, 40), wavelength_m=1e-10)
    >>> frame = np.random.default_rng(1).poisson(3, (64, 80)).astype("uint16")
    >>> frame[10:12, 20:23] += np.array([[20, 90, 20], [10, 40, 10]], "uint16")
    >>> peaks = h5bragg.find_peaks(frame, geometry)
    >>> len(peaks), [round(float(x), 1) for x in (peaks.slow_px[0], peaks.fast_px[0])]
    (1, [10.8, 21.5])
    >>> again = h5bragg.find_peaks(h5bragg.encode(frame, geometry))
    >>> bool(again.intensity[0] == peaks.intensity[0])
    True
    """
    wanted = peaks or PeakParams()
    if isinstance(source, SparseFrame):
        return _of_chunk(source.chunk, geometry, wanted, source.frame, max_nbytes)
    if isinstance(source, bytes | bytearray | memoryview) or np.ndim(source) == 1:
        return _of_chunk(source, geometry, wanted, frame, max_nbytes)
    if geometry is None:
        raise GeometryError("peaks of a frame need its geometry: give it, or a chunk, which has it")
    return _of_frame(np.asarray(source), geometry, params, wanted)


@dataclass(frozen=True, eq=False)
class EncodedChunk:
    """A chunk, or the part of one that is a frame, with the peaks that the encoder has found.

    Parameters
    ----------
    data : ndarray of uint8
        Shape (n,), contiguous.  Not bytes: those can only be filled with Python's lock held, which
        threads that encode need for other things.
    peaks : tuple of Peaks
        One a frame; empty if none were wanted.

    Examples
    --------
    >>> chunk = EncodedChunk(np.frombuffer(b"chunk", np.uint8), ())
    >>> len(chunk), chunk.peaks, bytes(chunk)
    (5, (), b'chunk')
    """

    data: NDArray[np.uint8]
    peaks: tuple[Peaks, ...] = ()

    def __len__(self) -> int:
        """Return how many bytes it has."""
        return len(self.data)

    def __bytes__(self) -> bytes:
        """Return its bytes."""
        return self.data.tobytes()

    def __eq__(self, other: object) -> bool:
        """Tell whether it has these bytes."""
        if isinstance(other, EncodedChunk | bytes | bytearray):
            return bytes(self) == bytes(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]


def peaks_from_c(pointer: Any, count: int) -> Peaks:
    """Copy an array of h5bragg_peak."""
    buffer = ffi.buffer(pointer, count * _PEAK.itemsize) if count else b""
    table = np.frombuffer(buffer, np.uint8).copy().view(_PEAK)  # fields would be copied one by one
    return Peaks(**{name: table[name] for name in _PEAK.names or ()})


# Of a frame that has none.
NO_PEAKS = peaks_from_c(None, 0)


def _of_frame(
    array: NDArray[Any], geometry: Geometry, params: SparsifyParams | None, wanted: PeakParams
) -> Peaks:
    kind = pixel_type(array.dtype)
    check_shape(array, geometry)
    if array.ndim != 2:
        raise GeometryError(f"peaks are of one frame, not of an array {array.shape}")
    settings = params_to_c(effective_params(params, geometry.polarization))
    check_params(settings, kind, array.dtype.name)
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    with CGeometry(geometry) as c_geometry, _peak_list() as found:
        status = library().h5bragg_find_peaks(
            ffi.from_buffer(native), kind, c_geometry, settings, wanted.to_c(), found
        )
        check(status, peak_context(wanted, settings.snr_pick))
        return peaks_from_c(found.peak, found.npeaks)


def _of_chunk(
    chunk: Any, geometry: Geometry | None, wanted: PeakParams, frame: int, max_nbytes: int
) -> Peaks:
    buffer = chunk_buffer(chunk)
    info = read_info(buffer)
    check_frame_number(frame, info.nframes)
    check_nbytes(info, max_nbytes)
    mask = ffi.NULL
    if geometry is not None and geometry.mask is not None:
        shape = (info.ny, info.nx)
        if tuple(geometry.shape) != shape:
            raise GeometryError(
                f"the chunk holds frames of shape {shape}, but the geometry is for "
                f"{tuple(geometry.shape)}: give the geometry of these frames"
            )
        mask = ffi.from_buffer("uint8_t[]", geometry.mask.view(np.uint8))
    with _peak_list() as found:
        status = library().h5bragg_find_peaks_chunk(
            buffer, len(buffer), frame, mask, wanted.to_c(), found
        )
        check(status, peak_context(wanted, info.params.snr_pick))
        return peaks_from_c(found.peak, found.npeaks)


def peak_context(wanted: PeakParams, stored: float) -> str:
    """Name what an error is about."""
    if wanted.snr_pick < stored:
        return f"peaks of {wanted.snr_pick:g} sigma where {stored:g} sigma are stored"
    return "cannot find peaks"


@contextmanager
def _peak_list() -> Iterator[Any]:
    """Give an h5bragg_peak_list, which is freed at the end."""
    found = ffi.new("h5bragg_peak_list *")
    try:
        yield found
    finally:
        library().h5bragg_peak_list_free(found)
