# SPDX-License-Identifier: MIT
"""Experiment: what a frame's text header tells about the measurement besides the geometry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NUMBER = r"\(?\s*([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)"
_HEADER_KEYS = ("_array_data.header_contents", "_array_data.header_convention")

# Directions of NeXus' McStas frame in which an untilted detector's fast and slow axes run.
_FAST = (-1.0, 0.0, 0.0)
_SLOW = (0.0, -1.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Header values of a frame; None or empty where the header is silent.

    Parameters
    ----------
    detector : str
        Name of the detector.
    start_time : str
        Date and time of the exposure as the header has it, without a time zone.
    sensor_material : str
        Chemical symbol.
    sensor_thickness_m, count_time_s, frame_time_s, threshold_energy_ev : float or None
        Sensor thickness, exposure time, time from frame to frame, energy threshold.
    saturation_value : int or None
        Highest count that the detector measures reliably.
    angle_deg, width_deg : float or None
        Rotation angle at the start of the exposure, and rotation during it.
    axis : tuple of float
        Unit vector of the rotation axis in NeXus' McStas frame.
    """

    detector: str = ""
    start_time: str = ""
    sensor_material: str = ""
    sensor_thickness_m: float | None = None
    count_time_s: float | None = None
    frame_time_s: float | None = None
    threshold_energy_ev: float | None = None
    saturation_value: int | None = None
    angle_deg: float | None = None
    width_deg: float | None = None
    axis: tuple[float, float, float] = _FAST


def read_experiment(header: Mapping[str, Any]) -> Experiment:
    r"""Read the mini-CBF text of a FabIO header.

    Parameters
    ----------
    header : mapping
        ``fabio_image.header``; without mini-CBF text nothing is known.

    Examples
    --------
    >>> text = "# Detector: PILATUS3 6M, S/N 60-0119\n# Start_angle 90 deg.\n"
    >>> text += "# Exposure_time 0.019 s\n# Silicon sensor, thickness 0.00045 m"
    >>> experiment = read_experiment({"_array_data.header_contents": text})
    >>> experiment.detector, experiment.angle_deg, experiment.sensor_thickness_m
    ('PILATUS3 6M, S/N 60-0119', 90.0, 0.00045)
    """
    text = str(header.get(_HEADER_KEYS[0], ""))
    if not text:
        return Experiment()
    cutoff = _number(text, "Count_cutoff")
    time = re.search(r"#\s*(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?)", text)
    return Experiment(
        detector=_word(text, r"Detector:\s*(.+)"),
        start_time=time[1].replace(" ", "T") if time else "",
        sensor_material=_material(text),
        sensor_thickness_m=_number(text, r"sensor,\s*thickness"),
        count_time_s=_number(text, "Exposure_time"),
        frame_time_s=_number(text, "Exposure_period"),
        threshold_energy_ev=_number(text, "Threshold_setting:?"),
        saturation_value=None if cutoff is None else int(cutoff),
        angle_deg=_number(text, "Start_angle"),
        width_deg=_number(text, "Angle_increment"),
        axis=_axis(_word(text, r"Oscillation_axis:?\s*(.+)")),
    )


def _number(text: str, key: str) -> float | None:
    found = re.search(key + r"\s*[=:]?\s*" + _NUMBER, text)
    try:
        return float(found[1]) if found else None
    except ValueError:
        return None


def _word(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[1].strip() if found else ""


def _material(text: str) -> str:
    names = {"silicon": "Si", "cdte": "CdTe", "gaas": "GaAs"}
    return names.get(_word(text, r"#\s*(\w+)\s+sensor").lower(), "")


def _axis(words: str) -> tuple[float, float, float]:
    """Return the rotation axis that the Oscillation_axis line names.

    The line holds a name, a sense (CW or CCW) and perhaps the pixel direction that the axis
    points along; without one the axis is taken along the fast direction.
    """
    x, y, z = _SLOW if "SLOW" in words.upper() else _FAST
    is_reversed = ("CCW" in words.upper()) != ("-SLOW" in words.upper() or "-FAST" in words.upper())
    return (-x, -y, -z) if is_reversed else (x, y, z)
