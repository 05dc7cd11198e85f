# SPDX-License-Identifier: MIT
"""The sigma-clipped background of a frame, ring by ring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._clib import check, ffi, library
from .errors import GeometryError
from .geometry import Geometry
from .geometry.c_geometry import CGeometry
from .params import SparsifyParams, check_params, effective_params, params_to_c
from .pixels import check_shape, pixel_type

_RING = np.dtype(
    [
        ("radius_m", np.float64),
        ("two_theta_rad", np.float64),
        ("mean", np.float64),
        ("std", np.float64),
        ("sem", np.float64),
        ("count", np.uint32),
        ("npixels", np.uint32),
    ]
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Background:
    """Sigma-clipped background of a frame, ring by ring from the beam outwards; shapes (nbins,).

    Values are normalised: counts divided by the pixel's normalisation (polarization, solid angle).

    Parameters
    ----------
    radius_m, two_theta_rad : ndarray of float64
        Middle of the ring: distance * tan(2 theta), and 2 theta.
    mean, std, sem : ndarray of float64
        Mean of a ring, standard deviation of one pixel, standard error of the mean.
    count, npixels : ndarray of uint32
        Valid pixels left by the sigma-clip, and before it.
    """

    radius_m: NDArray[np.float64]
    two_theta_rad: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    sem: NDArray[np.float64]
    count: NDArray[np.uint32]
    npixels: NDArray[np.uint32]


def background(
    frame: ArrayLike, geometry: Geometry, params: SparsifyParams | None = None
) -> Background:
    """Find the sigma-clipped background of one frame, as the encoder does.

    Parameters
    ----------
    frame : array_like of uint8, uint16, uint32, int16 or int32
        Shape (slow, fast).
    geometry : Geometry
        Detector of the same shape.
    params : SparsifyParams or None
        None means the defaults, with the polarization that the geometry names.

    Raises
    ------
    ParameterError, GeometryError
        As for `encode`.

    Examples
    --------
    >>> import h5bragg, numpy as np
    >>> geometry = h5bragg.Geometry.flat(shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1,
    ...                                  beam_center_px=(30, 40), wavelength_m=1e-10)
    >>> rings = h5bragg.background(np.full((64, 80), 7, "uint16"), geometry)
    >>> bool(abs(rings.mean - 7).max() < 0.2), int(rings.npixels.sum())
    (True, 5120)
    """
    array = np.asarray(frame)
    kind = pixel_type(array.dtype)
    check_shape(array, geometry)
    if array.ndim != 2:
        raise GeometryError(f"a background is of one frame, not of an array {array.shape}")
    settings = params_to_c(effective_params(params, geometry.polarization))
    check_params(settings, kind, array.dtype.name)
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    with CGeometry(geometry) as c_geometry:
        nbins = library().h5bragg_nbins(c_geometry, settings)
        rings = ffi.new("h5bragg_ring[]", max(1, nbins))
        status = library().h5bragg_background(
            ffi.from_buffer(native), kind, c_geometry, settings, rings, nbins
        )
    check(status, repr(geometry))
    table = np.frombuffer(ffi.buffer(rings), _RING)[:nbins]
    return Background(**{name: np.ascontiguousarray(table[name]) for name in _RING.names or ()})
