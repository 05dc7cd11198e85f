# SPDX-License-Identifier: MIT
"""Numbers and units of geometry files: metres, radians and electronvolts come of them."""

from __future__ import annotations

import math
from typing import Literal

from ..errors import GeometryError

Quantity = Literal["length", "angle", "energy", "voltage"]

# h * c / e in eV m, exact in the SI of 2019.
_HC_EV_M = 6.62607015e-34 * 299792458 / 1.602176634e-19
_ELECTRON_REST_EV = 510998.95

_PREFIXES = {"": 0, "k": 3, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12}
_WORDS = {"": 0, "kilo": 3, "centi": -2, "milli": -3, "micro": -6, "nano": -9, "pico": -12}
_DEGREE_RAD = math.pi / 180

# 1e-6 as a float literal is exact to the last bit where 10 ** -6 may not be.
_FACTORS: dict[Quantity, dict[str, float]] = {
    "length": {
        **{f"{prefix}m": float(f"1e{power}") for prefix, power in _PREFIXES.items()},
        **{
            f"{prefix}{word}": float(f"1e{power}")
            for prefix, power in _WORDS.items()
            for word in ("meter", "metre")
        },
        "micron": 1e-6,
        "a": 1e-10,
        "ang": 1e-10,
        "angstrom": 1e-10,
        "ångström": 1e-10,
        "å": 1e-10,
    },
    "angle": {
        "rad": 1.0,
        "radian": 1.0,
        "mrad": 1e-3,
        "urad": 1e-6,
        "deg": _DEGREE_RAD,
        "degree": _DEGREE_RAD,
        "°": _DEGREE_RAD,
    },
    "energy": {"ev": 1.0, "kev": 1e3, "mev": 1e6},
    "voltage": {"v": 1.0, "kv": 1e3},
}


def to_si(value: float, unit: str, quantity: Quantity) -> float:
    """Convert a length to metres, an angle to radians, an energy to electronvolts or a voltage.

    Parameters
    ----------
    value : float
    unit : str
        Name or symbol, singular or plural, as NeXus files and CBF headers write it.
    quantity : {"length", "angle", "energy", "voltage"}

    Raises
    ------
    GeometryError
        The unit is none of this quantity.

    Examples
    --------
    >>> from h5bragg.geometry.units import to_si
    >>> to_si(75, "um", "length"), to_si(0.98, "Angstroms", "length"), to_si(12.4, "keV", "energy")
    (7.5e-05, 9.8e-11, 12400.0)
    """
    # The micro sign and the Greek letter mu look alike and both occur.
    name = unit.strip().rstrip(".").replace("\u00b5", "u").replace("\u03bc", "u").casefold()
    factors = _FACTORS[quantity]
    factor = factors.get(name, factors.get(name.removesuffix("s")))
    if factor is None:
        raise GeometryError(f"{unit!r} is no unit of {quantity} that h5bragg knows")
    return value * factor


def finite_number(text: str, name: str) -> float:
    """Read a number of a text file.

    Parameters
    ----------
    text : str
    name : str
        What it is, for the message.

    Raises
    ------
    GeometryError
        It is not a finite number.

    Examples
    --------
    >>> from h5bragg.geometry.units import finite_number
    >>> finite_number("7.5e-05", "PixelSize1 in the PONI file")
    7.5e-05
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise GeometryError(f"{name} is {text!r}, not a number")
    return number


def wavelength_of_energy_m(energy_ev: float) -> float:
    """Convert a photon energy in electronvolts to a wavelength in metres.

    Examples
    --------
    >>> from h5bragg.geometry.units import wavelength_of_energy_m
    >>> round(wavelength_of_energy_m(12398.42) * 1e10, 6)
    1.0
    """
    if not energy_ev > 0:
        raise GeometryError(f"a photon energy of {energy_ev} eV has no wavelength")
    return _HC_EV_M / energy_ev


def wavelength_of_voltage_m(voltage: float) -> float:
    """Convert the accelerating voltage of electrons to their wavelength in metres.

    With the kinetic energy E = e * voltage, (p c)^2 = E^2 + 2 E m c^2.

    Examples
    --------
    >>> from h5bragg.geometry.units import wavelength_of_voltage_m
    >>> round(wavelength_of_voltage_m(200e3) * 1e10, 5)
    0.02508
    """
    return _HC_EV_M / math.sqrt(voltage * (voltage + 2 * _ELECTRON_REST_EV))
