# SPDX-License-Identifier: MIT
"""CGeometry: a Geometry as the C functions take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._clib import ffi
from .panel import fill_panel

if TYPE_CHECKING:
    from .detector import Geometry


class CGeometry:
    """An h5bragg_geometry and the memory it points into, for the time of a `with` block."""

    def __init__(self, geometry: Geometry) -> None:
        self._panels = ffi.new("h5bragg_panel[]", len(geometry.panels))
        for struct, panel in zip(self._panels, geometry.panels, strict=True):
            fill_panel(struct, panel)
        self._mask = ffi.NULL
        if geometry.mask is not None:
            self._mask = ffi.from_buffer("uint8_t[]", geometry.mask.view(np.uint8))
        self._struct = ffi.new("h5bragg_geometry *")
        self._struct.ny, self._struct.nx = geometry.shape
        self._struct.distance_m = geometry.distance_m
        self._struct.wavelength_m = geometry.wavelength_m
        self._struct.npanels = len(geometry.panels)
        self._struct.panels = self._panels
        self._struct.mask = self._mask

    def __enter__(self) -> Any:
        """Return the pointer, valid until the block ends."""
        return self._struct

    def __exit__(self, *exception: object) -> None:
        """Nothing to release: the memory goes with this object."""
