# SPDX-License-Identifier: MIT
"""Units of geometry files against pint, an independent table."""

import pytest

from h5bragg import GeometryError
from h5bragg.geometry.units import to_si, wavelength_of_energy_m


@pytest.mark.parametrize(
    ("unit", "quantity", "si"),
    [
        *((unit, "length", "m") for unit in ("m", "mm", "um", "nm", "angstrom", "meters", "cm")),
        *((unit, "length", "m") for unit in ("micron", "micrometer", "millimetre", "pm", "km")),
        *((unit, "angle", "rad") for unit in ("deg", "degrees", "rad", "mrad")),
        *((unit, "energy", "eV") for unit in ("eV", "keV", "MeV")),
    ],
)
def test_unit_converts_as_in_pint(unit: str, quantity, si: str) -> None:
    pint = pytest.importorskip("pint")
    assert to_si(1.7, unit, quantity) == pytest.approx(pint.Quantity(1.7, unit).to(si).magnitude)


@pytest.mark.parametrize("unit", ["\u00b5m", "\u03bcm", " um ", "UM"])
def test_micrometre_is_known_in_all_its_spellings(unit: str) -> None:
    assert to_si(1, unit, "length") == 1e-6


@pytest.mark.parametrize(("unit", "quantity"), [("eV", "length"), ("m", "angle"), ("", "length")])
def test_unit_of_another_quantity_is_refused(unit: str, quantity) -> None:
    with pytest.raises(GeometryError, match="no unit of"):
        to_si(1, unit, quantity)


def test_energy_must_be_positive_to_have_a_wavelength() -> None:
    assert wavelength_of_energy_m(8047.8) == pytest.approx(1.5406e-10, rel=1e-4)
    with pytest.raises(GeometryError, match="no wavelength"):
        wavelength_of_energy_m(0)
