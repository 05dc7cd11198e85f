# SPDX-License-Identifier: MIT
"""PONI files of every version, and the sentences for those that say too little."""

from pathlib import Path

import pytest
from damaged_text import assert_read_or_refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from h5bragg import Geometry, GeometryError

POSE = """\
Distance: 0.2
Poni1: 0.03
Poni2: 0.04
Rot1: 0.0
Rot2: 0.0
Rot3: 0.0
Wavelength: 1e-10
"""
VERSION_2 = (
    "poni_version: 2\nDetector: Detector\n"
    'Detector_config: {"pixel1": 1e-4, "pixel2": 2e-4, "max_shape": [600, 500]}\n' + POSE
)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "detector.poni"
    path.write_text(text, encoding="utf-8")
    return path


def test_version_2_gives_pixel_sizes_and_shape(tmp_path: Path) -> None:
    geometry = Geometry.from_file(write(tmp_path, VERSION_2))
    assert geometry.shape == (600, 500)
    assert geometry.pixel_size_m == (1e-4, 2e-4)
    assert geometry.beam_center_px == pytest.approx((300, 200), abs=1e-3)
    assert (geometry.distance_m, geometry.wavelength_m) == (0.2, 1e-10)


def test_version_1_needs_a_shape_from_the_caller(tmp_path: Path) -> None:
    path = write(tmp_path, "PixelSize1: 1e-4\nPixelSize2: 2e-4\n" + POSE)
    with pytest.raises(GeometryError, match=r"shape=\(slow, fast\)"):
        Geometry.from_file(path)
    geometry = Geometry.from_file(path, shape=(600, 500))
    assert geometry.shape == (600, 500)
    assert geometry.pixel_size_m == (1e-4, 2e-4)


def test_version_1_may_name_a_detector(tmp_path: Path) -> None:
    geometry = Geometry.from_file(write(tmp_path, "Detector: Pilatus 6M\n" + POSE))
    assert geometry.shape == (2527, 2463)
    assert geometry.pixel_size_m == (172e-6, 172e-6)


def test_orientation_1_counts_from_the_opposite_corner(tmp_path: Path) -> None:
    text = VERSION_2.replace('"pixel1"', '"orientation": 1, "pixel1"')
    geometry = Geometry.from_file(write(tmp_path, text.replace("version: 2", "version: 2.1")))
    assert geometry.beam_center_px == pytest.approx((600 - 300, 500 - 200), abs=1e-3)


def test_last_calibration_in_the_file_counts(tmp_path: Path) -> None:
    geometry = Geometry.from_file(write(tmp_path, VERSION_2 + "Distance: 0.3\n"))
    assert geometry.distance_m == 0.3


def test_wavelength_may_be_unknown(tmp_path: Path) -> None:
    text = VERSION_2.replace("Wavelength: 1e-10\n", "")
    assert Geometry.from_file(write(tmp_path, text)).wavelength_m == 0


def test_comments_and_windows_line_ends_are_read_over(tmp_path: Path) -> None:
    text = "# Nota: C-Order\n# Distance: 7\n" + VERSION_2
    assert Geometry.from_file(write(tmp_path, text.replace("\n", "\r\n"))).distance_m == 0.2


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("Distance: 0.2", "", "does not say Distance"),
        ("Distance: 0.2", "Distance: None", "does not say Distance"),
        ("Distance: 0.2", "Distance: 0", "must be positive"),
        ("Distance: 0.2", "Distance: -1", "must be positive"),
        ("Distance: 0.2", "Distance: near", "'near', not a number"),
        ("Poni1: 0.03", "", "does not say Poni1"),
        ("Poni2: 0.04", "Poni2: nan", "not a number"),
        ("poni_version: 2", "poni_version: 4", "newer than 3"),
        ('"pixel1": 1e-4, ', "", "pixel1"),
        ('"pixel1": 1e-4', '"pixel1": -1e-4', "not a positive number"),
        ('"pixel1": 1e-4', '"pixel1": "wide"', "not a positive number"),
        ('"max_shape": [600, 500]', '"max_shape": [600]', "frame shape"),
        (', "max_shape": [600, 500]', "", "shape=(slow, fast)"),
        ('"pixel1"', '"orientation": 7, "pixel1"', "orientation 7"),
        ('"pixel1"', '"splineFile": "frelon.spline", "pixel1"', "frelon.spline"),
        ("{", "{,", "not JSON"),
        ('{"pixel1": 1e-4, "pixel2": 2e-4, "max_shape": [600, 500]}', "[1]", "not a JSON object"),
        ("Detector: Detector", "Detector: CylindricalDetector", "not a regular flat detector"),
    ],
)
def test_unusable_file_is_refused_in_one_sentence(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    assert old in VERSION_2
    path = write(tmp_path, VERSION_2.replace(old, new))
    with pytest.raises(GeometryError) as caught:
        Geometry.from_file(path)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@given(
    cut=st.tuples(st.integers(0, len(VERSION_2)), st.integers(0, 30)),
    patch=st.text(max_size=6) | st.binary(max_size=6),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damaged_file_is_read_or_refused_in_one_sentence(
    tmp_path: Path, cut: tuple[int, int], patch: str | bytes
) -> None:
    assert_read_or_refused(tmp_path / "damaged.poni", VERSION_2, cut, patch)
