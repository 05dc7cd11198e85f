# SPDX-License-Identifier: MIT
"""Read the detector from a mini-CBF header (PILATUS_1.2 convention of Dectris)."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import GeometryError
from .detector import Geometry
from .file_head import read_head
from .units import to_si

# Beamlines put whole CIF templates between the header and the pixels.
_MAX_HEADER_NBYTES = 1 << 20
_BINARY_MARK = b"--CIF-BINARY-FORMAT-SECTION--"

Fields = dict[str, list[str]]


def read_mini_cbf(path: Path) -> Geometry:
    """Read the detector from a mini-CBF frame, compressed or not.

    Raises
    ------
    GeometryError
        The header lacks a field, or the detector is swung out by a 2theta arm.
    """
    text = _header_text(path)
    fields = _fields(text)
    _refuse_swing(fields)
    pixel_fast_m, pixel_slow_m = _lengths(fields, "Pixel_size", 2)
    (distance_m,) = _lengths(fields, "Detector_distance", 1)
    (wavelength_m,) = _lengths(fields, "Wavelength", 1, default_unit="A")
    beam_fast, beam_slow = _numbers(fields, "Beam_xy", 2)
    for name, value in (("Detector_distance", distance_m), ("Wavelength", wavelength_m)):
        if not value > 0:
            raise GeometryError(f"{name} in the CBF header is {value:g} m: it must be positive")
    return Geometry.flat(
        shape=(
            _dimension(text, "Second"),
            _dimension(text, "Fastest"),
        ),
        pixel_size_m=(pixel_slow_m, pixel_fast_m),
        distance_m=distance_m,
        beam_center_px=(beam_slow, beam_fast),
        wavelength_m=wavelength_m,
        polarization=_numbers(fields, "Polarization", 1)[0] if "Polarization" in fields else None,
    )


def _header_text(path: Path) -> str:
    """Return everything before the pixels, and the MIME header that describes them."""
    head = read_head(path, _MAX_HEADER_NBYTES)
    mark = head.find(_BINARY_MARK)
    if mark < 0:
        raise GeometryError("the CBF file ends within its header: it is truncated")
    # The bytes 0C 1A 04 D5 start the compressed pixels, after the MIME header.
    end = head.find(b"\x0c\x1a\x04\xd5", mark)
    return head[: end if end > 0 else None].decode("latin-1")


def _fields(text: str) -> Fields:
    """Return the words of each `# Key value ...` line; PILATUS_1.2 ignores `:=,()`."""
    fields: Fields = {}
    for line in text.splitlines():
        if line.startswith("#"):
            words = re.sub(r"[#:=,()]", " ", line).split()
            if words:
                fields.setdefault(words[0], words[1:])
    if "Pixel_size" not in fields and "Beam_xy" not in fields:
        raise GeometryError(
            "the CBF file has no PILATUS_1.2 mini-CBF header: give a PONI or master file instead"
        )
    return fields


def _words(fields: Fields, name: str) -> list[str]:
    if name not in fields:
        raise GeometryError(
            f"the CBF header does not say {name}: add a line '# {name} ...' or give the geometry "
            "in another file"
        )
    return fields[name]


def _numbers(fields: Fields, name: str, count: int) -> list[float]:
    """Return the first `count` numbers of a line."""
    numbers = []
    for word in _words(fields, name):
        try:
            numbers.append(float(word))
        except ValueError:
            continue  # a unit or an "x" between two numbers
    if len(numbers) < count:
        raise GeometryError(
            f"{name} in the CBF header reads {' '.join(fields[name])!r}: "
            f"{count} number{'s' if count > 1 else ''} expected"
        )
    return numbers[:count]


def _lengths(fields: Fields, name: str, count: int, default_unit: str = "m") -> list[float]:
    """Return the first `count` lengths of a line in metres."""
    numbers = _numbers(fields, name, count)
    words = fields[name]
    units = [word for word in words if re.fullmatch(r"[^\W\d_]+", word) and word != "x"]
    unit = units[0] if units else default_unit
    return [to_si(number, unit, "length") for number in numbers]


def _dimension(text: str, which: str) -> int:
    found = re.search(rf"X-Binary-Size-{which}-Dimension:\s*(\d{{1,9}})(?!\d)", text)
    if found is None:
        raise GeometryError("the CBF file does not say its frame shape: it is truncated")
    return int(found[1])


def _refuse_swing(fields: Fields) -> None:
    """Refuse a swung-out detector: the header says neither the axis nor the sense."""
    if "Detector_2theta" not in fields:
        return
    two_theta_deg = _numbers(fields, "Detector_2theta", 1)[0]
    if two_theta_deg != 0:
        raise GeometryError(
            f"the detector is swung out to 2theta = {two_theta_deg:g} degrees, in a direction that "
            "the CBF header does not tell: calibrate it and give a PONI file"
        )
