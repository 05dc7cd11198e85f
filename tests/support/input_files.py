# SPDX-License-Identifier: MIT
"""Input files of many formats with small frames, and the command line run in this process."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fabio
import h5py
import hdf5plugin
import numpy as np
import pytest
from numpy.typing import NDArray

from h5bragg import Geometry
from h5bragg.cli import main

HEADER = """\
# Detector: Simulated 1M, S/N 1
# 2026-01-02T03:04:05.678
# Pixel_size {slow:g} m x {fast:g} m
# Silicon sensor, thickness 0.00045 m
# Exposure_time 0.0100 s
# Exposure_period 0.0110 s
# Count_cutoff 115000 counts
# Threshold_setting: 6400 eV
# Wavelength {wavelength:.5f} A
# Detector_distance {distance:.5f} m
# Beam_xy ({beam_fast:.2f}, {beam_slow:.2f}) pixels
# Polarization 0.980
# Start_angle {angle:.4f} deg.
# Angle_increment 0.5000 deg.
# Oscillation_axis X.CW
"""


@dataclass(frozen=True)
class Outcome:
    """What a run of the command line did."""

    status: int
    out: str
    err: str


# The command line, as the fixture `cli` gives it.
Cli = Callable[..., Outcome]


def run_cli(capsys: pytest.CaptureFixture[str], *arguments: object) -> Outcome:
    """Run `h5bragg` with these arguments in this process."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return Outcome(int(stop.value.code or 0), captured.out, captured.err)


def assert_one_sentence(found: Outcome, match: str, status: int = 2) -> None:
    """Bad input: one sentence on standard error, nothing on standard output."""
    assert found.status == status
    assert found.out == ""
    assert found.err.startswith("h5bragg: ")
    assert found.err.count("\n") == 1
    assert "Traceback" not in found.err
    assert re.search(match, found.err), found.err


def write_cbf(path: Path, frame: NDArray[Any], geometry: Geometry, angle: float = 0) -> Path:
    """Write a frame as Pilatus detectors do; the pixels are square in this format."""
    slow, fast = geometry.pixel_size_m
    text = HEADER.format(
        slow=fast,  # the header names the fast axis first
        fast=slow,
        wavelength=geometry.wavelength_m * 1e10,
        distance=geometry.beam_distance_m,
        beam_slow=geometry.beam_center_px[0],
        beam_fast=geometry.beam_center_px[1],
        angle=angle,
    )
    image = fabio.cbfimage.CbfImage(data=frame.astype(np.int32))
    image.header["_array_data.header_convention"] = '"PILATUS_1.2"'
    image.header["_array_data.header_contents"] = "\r\n;\r\n" + text.replace("\n", "\r\n") + ";"
    image.write(str(path))
    return path


def write_poni(path: Path, geometry: Geometry) -> Path:
    """Write the geometry as pyFAI does."""
    flat = geometry.flat_detector
    assert flat is not None
    path.write_text(
        "poni_version: 2.1\n"
        "Detector: Detector\n"
        f'Detector_config: {{"pixel1": {flat.pixel_slow_m}, "pixel2": {flat.pixel_fast_m}, '
        f'"max_shape": [{flat.ny}, {flat.nx}], "orientation": 3}}\n'
        f"Distance: {flat.distance_m}\n"
        f"Poni1: {flat.poni_slow_px * flat.pixel_slow_m}\n"
        f"Poni2: {flat.poni_fast_px * flat.pixel_fast_m}\n"
        f"Rot1: {flat.rot1}\nRot2: {flat.rot2}\nRot3: {flat.rot3}\n"
        f"Wavelength: {flat.wavelength_m}\n"
    )
    return path


def write_data(path: Path, frames: NDArray[Any], name: str = "entry/data/data") -> Path:
    """Write frames with bitshuffle-LZ4, as detectors do."""
    with h5py.File(path, "w") as file:
        file.create_dataset(
            name, data=frames, chunks=(1, *frames.shape[1:]), **hdf5plugin.Bitshuffle(cname="lz4")
        )
    return path


def write_master(
    path: Path,
    files: list[tuple[Path, int]],
    geometry: Geometry,
    *,
    mask: NDArray[Any] | None = None,
    start: float = 0.0,
) -> Path:
    """Write an Eiger master that links data files, each given with its number of frames."""
    count = sum(frames for _, frames in files)
    slow, fast = geometry.pixel_size_m
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = np.bytes_("NXentry")
        data = entry.create_group("data")
        data.attrs["NX_class"] = np.bytes_("NXdata")
        for i, (target, _) in enumerate(files):
            data[f"data_{i + 1:06d}"] = h5py.ExternalLink(target.name, "entry/data/data")
        detector = entry.create_group("instrument/detector")
        entry["instrument"].attrs["NX_class"] = np.bytes_("NXinstrument")
        detector.attrs["NX_class"] = np.bytes_("NXdetector")
        values = {
            "x_pixel_size": (fast, "m"),
            "y_pixel_size": (slow, "m"),
            "detector_distance": (geometry.beam_distance_m, "m"),
            "beam_center_x": (geometry.beam_center_px[1], "pixel"),
            "beam_center_y": (geometry.beam_center_px[0], "pixel"),
            "count_time": (0.01, "s"),
        }
        for name, (value, unit) in values.items():
            detector[name] = value
            detector[name].attrs["units"] = np.bytes_(unit)
        detector["description"] = np.bytes_("Dectris Eiger, simulated")
        specific = detector.create_group("detectorSpecific")
        specific["ntrigger"] = 1
        if mask is not None:
            specific.create_dataset("pixel_mask", data=mask.astype(np.uint32))
            detector["pixel_mask"] = h5py.SoftLink(specific.name + "/pixel_mask")
        entry["instrument/beam/incident_wavelength"] = geometry.wavelength_m * 1e10
        entry["instrument/beam/incident_wavelength"].attrs["units"] = np.bytes_("angstrom")
        goniometer = entry.create_group("sample/goniometer")
        entry["sample"].attrs["NX_class"] = np.bytes_("NXsample")
        goniometer["omega"] = start + 0.1 * np.arange(count)
        goniometer["omega_end"] = start + 0.1 * np.arange(1, count + 1)
        goniometer["omega"].attrs["units"] = np.bytes_("degree")
    return path
