# SPDX-License-Identifier: MIT
"""Take CrystFEL geometry files apart: which key has which value for which panel.

The grammar is that of the manual page crystfel_geometry(5): lines ``key = value`` speak of the
whole detector or of all panels that come later, lines ``panel/key = value`` of one panel, and
lines ``badNAME/key = value`` of a bad region; a semicolon begins a comment.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field

from ..errors import GeometryError

Fields = dict[str, str]

# A panel says where it lies: no other text file has such a line.
_PANEL_LINE = re.compile(rb"(?m)^[ \t]*[^\s;/=]+/(min_fs|max_fs|min_ss|max_ss|corner_x|fs)[ \t]*=")

_DETECTOR_KEYS = {
    "clen", "photon_energy", "wavelength", "electron_voltage", "detector_shift_x",
    "detector_shift_y",
}  # fmt: skip
_PANEL_KEYS = {
    "min_fs", "max_fs", "min_ss", "max_ss", "corner_x", "corner_y", "fs", "ss", "res", "coffset",
    "data", "no_index", "mask_edge_pixels",
}  # fmt: skip
_NUMBERED_KEY = re.compile(r"dim\d+|mask(_file|_good|_bad)?|mask\d+_(file|data|goodbits|badbits)")
_BAD_REGION_KEYS = {
    "min_fs", "max_fs", "min_ss", "max_ss", "min_x", "max_x", "min_y", "max_y", "panel",
}  # fmt: skip
# What these say is not the geometry's business.
_OTHER_KEYS = {
    "adu_per_eV", "adu_per_photon", "max_adu", "min_adu", "bandwidth", "peak_list",
    "peak_list_type", "peak_info_location", "saturation_map", "saturation_map_file",
    "flag_lessthan", "flag_morethan", "flag_equal", "badrow_direction", "peak_sep",
    "integr_radius", "beam_bandwidth",
}  # fmt: skip
_GROUP_PREFIXES = ("group_", "rigid_group")
# CrystFEL 0.6 to 0.9 moved the detector along a rail; the files of later versions have none.
_REFUSED_KEYS = {"rail_x", "rail_y", "rail_z", "clen_for_centering"}


@dataclass
class CrystfelText:
    """The lines of a geometry file, sorted.

    Parameters
    ----------
    detector : dict
        Keys that speak of the whole detector.
    panels : dict
        Fields of every panel by its name, those it inherits included, in the file's order.
    bad_regions : dict
        Fields of every bad region by its name.
    """

    detector: Fields = field(default_factory=dict)
    panels: dict[str, Fields] = field(default_factory=dict)
    bad_regions: dict[str, Fields] = field(default_factory=dict)


def is_crystfel(head: bytes) -> bool:
    r"""Whether a file that begins with these bytes is a CrystFEL geometry.

    Examples
    --------
    >>> from h5bragg.geometry.crystfel_text import is_crystfel
    >>> is_crystfel(b"; a comment\nclen = 0.1\nm0/min_fs = 0\n"), is_crystfel(b"Poni1: 0.1\n")
    (True, False)
    """
    return _PANEL_LINE.search(head) is not None


def parse_crystfel(text: str) -> CrystfelText:
    r"""Sort the lines of a geometry file.

    Raises
    ------
    GeometryError
        A line is no ``key = value``, or says what h5bragg cannot take into account.

    Examples
    --------
    >>> from h5bragg.geometry.crystfel_text import parse_crystfel
    >>> parse_crystfel("clen = 0.1\nres = 10000 ; pixels a metre\nm0/min_fs = 0").panels
    {'m0': {'res': '10000', 'min_fs': '0'}}
    """
    found = CrystfelText()
    defaults: Fields = {}
    late: str | None = None  # a key that no panel has inherited yet
    for line in re.split(r"[\r\n]+", text):
        statement = line.partition(";")[0].strip()
        if not statement:
            continue
        left, equals, value = (part.strip() for part in statement.partition("="))
        if not equals:
            raise GeometryError(f"the line {statement[:60]!r} is no 'key = value': correct it")
        owner, slash, key = left.partition("/")
        if not slash:
            if _add_general(found.detector, defaults, left, value):
                late = left
        elif owner.startswith("bad"):
            _check_key(key, _BAD_REGION_KEYS)
            found.bad_regions.setdefault(owner, {})[key] = value
        else:
            _check_key(key, _PANEL_KEYS | {"clen"})
            if owner not in found.panels:
                found.panels[owner], late = dict(defaults), None
            found.panels[owner][key] = value
    if late is not None:
        raise GeometryError(
            f"{late} stands after the last panel, where it applies to none: move it before them"
        )
    return found


def _add_general(detector: Fields, defaults: Fields, key: str, value: str) -> bool:
    """Note a line without a panel; returns whether it is for panels that come later."""
    if key.startswith(_GROUP_PREFIXES) or key in _OTHER_KEYS:
        return False
    _check_key(key, _DETECTOR_KEYS | _PANEL_KEYS)
    if key not in _DETECTOR_KEYS:
        defaults[key] = value
        return key in _PANEL_KEYS or _NUMBERED_KEY.fullmatch(key) is not None
    if detector.setdefault(key, value) != value:
        raise GeometryError(f"{key} is given as {detector[key]} and as {value}: keep one")
    return False


def _check_key(key: str, known: set[str]) -> None:
    """Refuse a key that moves the detector in a way of its own, or looks like a slip.

    Others that are not known are ignored, as CrystFEL does.
    """
    if key in _REFUSED_KEYS:
        raise GeometryError(
            f"{key} moves the detector as CrystFEL 0.9 did: write corner_x and corner_y for this "
            "camera length, and leave it out"
        )
    if key in known or key in _OTHER_KEYS or _NUMBERED_KEY.fullmatch(key):
        return
    alike = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.8)
    if alike:
        raise GeometryError(f"{key} is no key of a geometry file: is it {alike[0]}?")
