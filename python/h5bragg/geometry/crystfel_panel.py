# SPDX-License-Identifier: MIT
"""Where a panel of a CrystFEL geometry lies in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError
from .crystfel_text import CrystfelText, Fields
from .crystfel_values import read_direction, read_number, read_quantity
from .panel import Panel, half_turn


@dataclass(frozen=True)
class PlacedPanel:
    """A panel in CrystFEL's lab frame: x to the left and y up as seen along the beam, z along it.

    Parameters
    ----------
    corner_px, slow_px, fast_px : ndarray
        First corner of the first pixel and the steps to the next pixel, (x, y, z) in pixels.
    pixel_m : float
        Length that is called a pixel.
    """

    corner_px: NDArray[np.float64]
    slow_px: NDArray[np.float64]
    fast_px: NDArray[np.float64]
    pixel_m: float

    def corners_px(self, rows: range, ncolumns: int) -> NDArray[np.float64]:
        """Return the first corner of every pixel of some rows: shape (3, slow, fast), in pixels."""
        corners: NDArray[np.float64] = (
            self.corner_px[:, None, None]
            + self.slow_px[:, None, None] * np.asarray(rows)[:, None]
            + self.fast_px[:, None, None] * np.arange(ncolumns)
        )
        return corners

    def panel(self, rows: tuple[int, int], columns: tuple[int, int]) -> Panel:
        """Return the same place as a `Panel` of some rows and columns of the frame."""
        vectors = (self.corner_px, self.slow_px, self.fast_px)
        return Panel(rows, columns, *(half_turn(vector * self.pixel_m) for vector in vectors))


def place_panels(text: CrystfelText) -> dict[str, PlacedPanel]:
    """Find out where every panel lies.

    Parameters
    ----------
    text : CrystfelText

    Raises
    ------
    GeometryError
        A value is missing or unusable, or must be read from the data files.
    """
    shift_m = [_shift_m(text.detector, axis) for axis in "xy"]
    return {
        name: _place(name, fields, text.detector, shift_m) for name, fields in text.panels.items()
    }


def _place(name: str, fields: Fields, detector: Fields, shift_m: list[float]) -> PlacedPanel:
    resolution = read_number(fields, name, "res")
    if not resolution > 0:
        raise GeometryError(f"{name}/res is {resolution:g} pixels a metre: it must be positive")
    offset_m = read_number(fields, name, "coffset", 0.0)
    distance_m = _camera_length_m({**detector, **fields}) + offset_m
    if not distance_m > 0:
        raise GeometryError(f"{name} has clen + coffset = {distance_m:g} m: it must be positive")
    corner_px = [
        read_number(fields, name, f"corner_{axis}") + shift * resolution
        for axis, shift in zip("xy", shift_m, strict=True)
    ]
    return PlacedPanel(
        np.array([*corner_px, distance_m * resolution]),
        read_direction(fields, name, "ss"),
        read_direction(fields, name, "fs"),
        1 / resolution,
    )


def _camera_length_m(fields: Fields) -> float:
    """Return the distance along the beam that offsets of panels count from."""
    if "clen" not in fields:
        raise GeometryError("the geometry does not say clen: add a line such as 'clen = 0.08 m'")
    length_m = read_quantity(fields["clen"], "clen", quantity="length", default_unit="m")
    if length_m is None:
        raise GeometryError(
            f"clen is to be read from {fields['clen']} of the data: write its value in place of "
            "it, such as 'clen = 80 mm'"
        )
    return length_m


def _shift_m(detector: Fields, axis: str) -> float:
    """Return how far the whole detector is shifted."""
    key = f"detector_shift_{axis}"
    shift_m = read_quantity(detector.get(key, "0"), key, quantity="length", default_unit="m")
    if shift_m is None:
        raise GeometryError(
            f"{key} is to be read from {detector[key]} of the data: write its value in place of "
            "it, such as '0.1 mm'"
        )
    return shift_m
