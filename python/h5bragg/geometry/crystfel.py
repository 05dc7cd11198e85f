# SPDX-License-Identifier: MIT
"""Read CrystFEL geometry files (.geom): many panels, in frames or in stacks of modules.

docs/geometry.md, "CrystFEL geometry files", says what is read and what is ignored.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import GeometryError
from .crystfel_layout import find_layout
from .crystfel_mask import read_mask
from .crystfel_panel import place_panels
from .crystfel_text import CrystfelText, parse_crystfel
from .crystfel_values import read_quantity
from .detector import Geometry
from .flat_fit import fit_flat_detector
from .units import Quantity, wavelength_of_energy_m, wavelength_of_voltage_m

_BEAM: dict[str, tuple[Quantity, str | None]] = {
    "wavelength": ("length", None),
    "photon_energy": ("energy", "eV"),
    "electron_voltage": ("voltage", None),
}


def read_crystfel(path: Path, *, shape: tuple[int, ...] | None = None) -> Geometry:
    """Read the detector from a CrystFEL geometry file.

    Parameters
    ----------
    path : Path
    shape : tuple of int or None
        Shape of the data of one frame, (slow, fast) or (module, slow, fast); None takes the
        smallest that holds all panels.

    Raises
    ------
    GeometryError
        A value is missing, unusable or to be read from the data files.
    """
    text = parse_crystfel(path.read_text(encoding="utf-8", errors="replace"))
    layout = find_layout(text.panels, shape)
    placed = place_panels(text)
    wavelength_m = _wavelength_m(text)
    mask = read_mask(text, layout, placed, path.parent)
    panels = [
        place.panel(layout.rows(name), layout.blocks[name].fast) for name, place in placed.items()
    ]
    if len(panels) == 1:
        flat = fit_flat_detector(panels[0], layout.frame_shape, wavelength_m)
        if flat is not None:
            return Geometry.from_flat_detector(flat, mask=mask)
    return Geometry.from_panels(
        panels, shape=layout.frame_shape, wavelength_m=wavelength_m, mask=mask
    )


def _wavelength_m(text: CrystfelText) -> float:
    """Return the wavelength; 0, unknown, if the file leaves it to the data files or is silent."""
    given = [key for key in _BEAM if key in text.detector]
    if not given:
        return 0.0
    if len(given) > 1:
        raise GeometryError(f"the geometry says {' and '.join(given)}: keep one")
    key = given[0]
    quantity, unit = _BEAM[key]
    value = read_quantity(text.detector[key], key, quantity=quantity, default_unit=unit)
    if value is None:
        return 0.0
    if not value > 0:
        raise GeometryError(f"{key} is {text.detector[key]!r}: it must be positive")
    if quantity == "length":
        return value
    if quantity == "energy":
        return wavelength_of_energy_m(value)
    return wavelength_of_voltage_m(value)
