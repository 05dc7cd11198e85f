# SPDX-License-Identifier: MIT
"""When a reciprocal lattice point diffracts, and where on the detector.

Lab frame of imgCIF: the beam runs along -z, the crystal rotates about +x, the detector's fast axis
is +x and its slow axis -y.  Vectors are three arrays (x, y, z), in 1/angstrom.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scene import BEAM_PX, DISTANCE_M, PIXEL_M, WAVELENGTH_A

Array = NDArray[np.float64]
Vectors = tuple[Array, Array, Array]


def diffracting_angle(points: Vectors, branch: Array) -> Array:
    """Return the rotation that brings points onto the Ewald sphere, in radians; nan: none does.

    A point that is rotated by phi touches the sphere where its z is wavelength / 2 * |point|^2.

    Parameters
    ----------
    points : three ndarrays
        At rotation angle 0.
    branch : ndarray
        +1 or -1: on the way out of the sphere or into it.
    """
    x, y, z = points
    radius_square = y * y + z * z
    length_square = x * x + radius_square
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = 0.5 * WAVELENGTH_A * length_square / np.sqrt(radius_square)
        return np.asarray(np.arctan2(y, z) + branch * np.arccos(cosine))


def diffracted_beam(points: Vectors, angle: Array) -> Vectors:
    """Return the diffracted wave vectors of points at rotation angles in radians."""
    x, y, z = points
    cosine, sine = np.cos(angle), np.sin(angle)
    return x, y * cosine - z * sine, y * sine + z * cosine - 1 / WAVELENGTH_A


def where_on_detector(
    beam: Vectors, origin_m: Vectors | None = None, depth_m: Array | float = 0.0
) -> tuple[Array, Array]:
    """Return where beams are recorded, in pixels along (slow, fast).

    Parameters
    ----------
    beam : three ndarrays
        Directions, of any length.
    origin_m : three ndarrays or None
        Where in the crystal each starts.
    depth_m : ndarray
        How deep below its surface the sensor absorbs it.
    """
    x, y, z = beam
    from_x, from_y, from_z = origin_m or (0.0, 0.0, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        path = (-DISTANCE_M - depth_m - from_z) / z
        slow = BEAM_PX[0] - (from_y + path * y) / PIXEL_M
        fast = BEAM_PX[1] + (from_x + path * x) / PIXEL_M
    return slow, fast
