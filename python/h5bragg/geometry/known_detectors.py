# SPDX-License-Identifier: MIT
"""Pixel size and frame shape of detectors that PONI files mention by name alone."""

from __future__ import annotations

import re
from typing import NamedTuple


class KnownDetector(NamedTuple):
    """Square pixels of one size on a frame of (slow, fast) pixels."""

    pixel_m: float
    shape: tuple[int, int]


_PILATUS = {
    "100k": (195, 487),
    "200k": (407, 487),
    "300k": (619, 487),
    "300kw": (195, 1475),
    "900k": (619, 1475),
    "1m": (1043, 981),
    "2m": (1679, 1475),
    "6m": (2527, 2463),
}
_PILATUS_CDTE = {
    "300k": (619, 487),
    "300kw": (195, 1475),
    "900kw": (195, 4439),
    "1m": (1043, 981),
    "2m": (1679, 1475),
}
_PILATUS4 = {
    "260k": (530, 513),
    "260kw": (255, 1033),
    "1m": (1080, 1033),
    "2m": (1630, 1553),
    "4m": (2180, 2073),
}
_EIGER = {
    "500k": (514, 1030),
    "1m": (1065, 1030),
    "4m": (2167, 2070),
    "9m": (3269, 3110),
    "16m": (4371, 4150),
}
_EIGER2 = {
    "250k": (512, 512),
    "500k": (512, 1028),
    "1m": (1062, 1028),
    "1mw": (512, 2068),
    "2mw": (512, 4148),
    "4m": (2162, 2068),
    "9m": (3262, 3108),
    "16m": (4362, 4148),
}

_EIGER2_CDTE = {size: shape for size, shape in _EIGER2.items() if size != "250k"}

_FAMILIES = (
    ("pilatus", 172e-6, _PILATUS),
    ("pilatuscdte", 172e-6, _PILATUS_CDTE),
    ("pilatus4", 150e-6, _PILATUS4),
    ("pilatus4cdte", 150e-6, _PILATUS4),
    ("eiger", 75e-6, _EIGER),
    ("eiger2", 75e-6, _EIGER2),
    ("eiger2cdte", 75e-6, _EIGER2_CDTE),
)

KNOWN_DETECTORS = {
    family + size: KnownDetector(pixel_m, shape)
    for family, pixel_m, sizes in _FAMILIES
    for size, shape in sizes.items()
}


def find_known_detector(name: str) -> KnownDetector | None:
    """Look a detector up by pyFAI's class name or alias.

    Examples
    --------
    >>> from h5bragg.geometry.known_detectors import find_known_detector
    >>> find_known_detector("Eiger2 CdTe 1M-W").shape == find_known_detector("Eiger2_1MW").shape
    True
    >>> find_known_detector("Polaroid") is None
    True
    """
    plain = re.sub(r"[\s_-]", "", name.lower())
    # pyFAI's aliases put the sensor last: "Pilatus 1M CdTe".
    plain = re.sub(r"^(pilatus4?|eiger2)(?!cdte)(\w+?)cdte$", r"\1cdte\2", plain)
    return KNOWN_DETECTORS.get(plain)
