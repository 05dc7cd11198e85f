# SPDX-License-Identifier: MIT
"""Read the values of CrystFEL geometry files: numbers, lengths with units, directions."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError
from .crystfel_text import Fields
from .units import Quantity, finite_number, to_si

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(rf"([+-]?{_NUMBER})\s*([^\W\d_]*)")
_TERM = re.compile(rf"([+-])({_NUMBER})?([xyz])")


def read_quantity(
    text: str, where: str, *, quantity: Quantity, default_unit: str | None
) -> float | None:
    """Return a number with a unit in SI units; None if it is a place in the data files.

    Parameters
    ----------
    text : str
    where : str
        Name of the value, for the message.
    quantity : {"length", "angle", "energy", "voltage"}
    default_unit : str or None
        None insists on a unit.

    Raises
    ------
    GeometryError
        It is neither.

    Examples
    --------
    >>> from h5bragg.geometry.crystfel_values import read_quantity
    >>> read_quantity("80 mm", "clen", quantity="length", default_unit="m")
    0.08
    """
    if text.startswith("/"):
        return None
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise GeometryError(f"{where} is {text!r}, neither a number nor a place in the data")
    unit = found[2] or default_unit
    if unit is None:
        raise GeometryError(f"{where} is {text!r}, without a unit: add it")
    value = to_si(float(found[1]), unit, quantity)
    if not math.isfinite(value):
        raise GeometryError(f"{where} is {text!r}, which is no usable number")
    return value


def read_number(fields: Fields, owner: str, key: str, default: float | None = None) -> float:
    """Return a plain number of a panel or a bad region.

    Raises
    ------
    GeometryError
        It is missing, and there is no default, or it is not a finite number.
    """
    text = fields.get(key)
    if text is None:
        if default is None:
            raise GeometryError(f"{owner} does not say {key}: add {owner}/{key} = ...")
        return default
    return finite_number(text, f"{owner}/{key}")


def read_index(fields: Fields, owner: str, key: str) -> int:
    """Return a row or column, a whole number that may be written as 3.0.

    Raises
    ------
    GeometryError
        It is missing or not a whole number from 0 on.
    """
    number = read_number(fields, owner, key)
    if number < 0 or number != int(number):
        raise GeometryError(f"{owner}/{key} is {fields[key]!r}: a whole number from 0 on is needed")
    return int(number)


def read_bits(fields: Fields, owner: str, key: str) -> int:
    """Return bits written in decimal or as 0x..., 0 where there are none.

    Raises
    ------
    GeometryError
        It is not a whole number from 0 on.
    """
    text = fields.get(key, "0")
    try:
        bits = int(text, 0) if text.lower().startswith("0x") else int(text)
    except ValueError:
        bits = -1
    if not 0 <= bits < 2**63:
        raise GeometryError(f"{owner}/{key} is {text!r}: give bits such as 0x01")
    return bits


def read_direction(fields: Fields, owner: str, key: str) -> NDArray[np.float64]:
    """Return a direction such as ``+0.99x -0.01y``: (x, y, z), in pixels.

    Raises
    ------
    GeometryError
        It is missing or written otherwise.

    Examples
    --------
    >>> from h5bragg.geometry.crystfel_values import read_direction
    >>> read_direction({"fs": "0.5x - .1y +z"}, "m0", "fs").tolist()
    [0.5, -0.1, 1.0]
    """
    text = fields.get(key)
    if text is None:
        raise GeometryError(f"{owner} does not say {key}: add {owner}/{key} = ...")
    plain = re.sub(r"\s", "", text)
    signed = plain if plain[:1] in ("+", "-") else f"+{plain}"
    direction = np.zeros(3)
    for sign, size, axis in _TERM.findall(signed):
        direction["xyz".index(axis)] += float(f"{sign}{size or 1}")
    if not re.fullmatch(rf"(?:{_TERM.pattern})+", signed):
        raise GeometryError(f"{owner}/{key} is {text!r}, not a direction such as '+1.0x -0.01y'")
    return direction
