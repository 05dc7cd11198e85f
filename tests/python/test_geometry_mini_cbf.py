# SPDX-License-Identifier: MIT
"""Mini-CBF headers: real files, and small ones with something wrong in them."""

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from real_frames import RealFrame

from h5bragg import Geometry, GeometryError

fabio = pytest.importorskip("fabio")

HEADER = """\
# Detector: PILATUS3 6M, S/N 60-0126
# Pixel_size 172e-6 m x 100e-6 m
# Wavelength 0.97625 A
# Detector_distance 0.29147 m
# Beam_xy (12.25, 20.5) pixels
# Detector_2theta 0.0000 deg.
# Polarization 0.980
"""
SHAPE = (40, 30)


def cbf_bytes(tmp_path: Path, header: str = HEADER) -> bytes:
    """A CBF frame as FabIO writes it, with a mini header."""
    path = tmp_path / "written.cbf"
    image = fabio.cbfimage.CbfImage(data=np.zeros(SHAPE, np.int32))
    image.header["_array_data.header_convention"] = '"PILATUS_1.2"'
    image.header["_array_data.header_contents"] = "\r\n;\r\n" + header.replace("\n", "\r\n") + ";"
    image.write(str(path))
    return path.read_bytes()


def read(tmp_path: Path, content: bytes, name: str = "frame.cbf") -> Geometry:
    path = tmp_path / name
    path.write_bytes(content)
    return Geometry.from_file(path)


def test_pilatus_header(thaumatin: RealFrame) -> None:
    geometry = thaumatin.geometry
    assert geometry.shape == thaumatin.pixels.shape == (2527, 2463)
    assert geometry.beam_center_px == pytest.approx((1306.96, 1261.61), abs=1e-3)
    assert geometry.pixel_size_m == (172e-6, 172e-6)
    assert geometry.distance_m == 0.351
    assert geometry.wavelength_m == pytest.approx(0.96859e-10)
    assert geometry.polarization == 0.99


def test_eiger_header(eiger: RealFrame) -> None:
    geometry = eiger.geometry
    assert geometry.shape == eiger.pixels.shape == (4362, 4148)
    assert geometry.beam_center_px == pytest.approx((2300.41, 2216.06), abs=1e-3)
    assert geometry.pixel_size_m == (75e-6, 75e-6)


def test_slow_and_fast_are_not_mixed_up(tmp_path: Path) -> None:
    geometry = read(tmp_path, cbf_bytes(tmp_path))
    assert geometry.shape == SHAPE
    assert geometry.pixel_size_m == (100e-6, 172e-6)
    assert geometry.beam_center_px == pytest.approx((20.5, 12.25), abs=1e-4)
    assert geometry.polarization == 0.98


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_compression_is_told_from_the_contents(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    plain = read(tmp_path, cbf_bytes(tmp_path))
    assert read(tmp_path, compress(cbf_bytes(tmp_path)), "no_extension") == plain


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Pixel_size 172e-6 m x 100e-6 m", "Pixel_size: 172e-6 m x 100e-6 m"),
        ("Pixel_size 172e-6 m x 100e-6 m", "Pixel_size 172 um x 100 um"),
        ("Detector_distance 0.29147 m", "Detector_distance = 291.47 mm"),
        ("Wavelength 0.97625 A", "Wavelength 0.97625"),
        ("Wavelength 0.97625 A", "Wavelength 0.097625 nm"),
        ("Beam_xy (12.25, 20.5) pixels", "Beam_xy 12.25 20.5"),
        ("Detector_2theta 0.0000 deg.", "Phi 45 deg."),
    ],
)
def test_other_spellings_mean_the_same(tmp_path: Path, old: str, new: str) -> None:
    assert old in HEADER
    expected = read(tmp_path, cbf_bytes(tmp_path))
    found = read(tmp_path, cbf_bytes(tmp_path, HEADER.replace(old, new)))
    np.testing.assert_allclose(found.two_theta_rad(), expected.two_theta_rad(), atol=1e-7)
    assert found.wavelength_m == pytest.approx(expected.wavelength_m)


def test_polarization_may_be_missing(tmp_path: Path) -> None:
    header = HEADER.replace("# Polarization 0.980\n", "")
    assert read(tmp_path, cbf_bytes(tmp_path, header)).polarization is None


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("# Detector_distance 0.29147 m\n", "", "does not say Detector_distance"),
        ("# Wavelength 0.97625 A\n", "", "does not say Wavelength"),
        ("# Beam_xy (12.25, 20.5) pixels\n", "", "does not say Beam_xy"),
        ("# Pixel_size 172e-6 m x 100e-6 m\n", "", "does not say Pixel_size"),
        ("Detector_distance 0.29147", "Detector_distance 0.0", "must be positive"),
        ("Wavelength 0.97625", "Wavelength -1", "must be positive"),
        ("x 100e-6 m", "x wide", "2 numbers expected"),
        ("172e-6 m x 100e-6 m", "172e-6 ft x 100e-6 ft", "'ft' is no unit of length"),
        ("Detector_2theta 0.0000", "Detector_2theta 12.5", "2theta = 12.5 degrees"),
        (HEADER, "", "no PILATUS_1.2 mini-CBF header"),
    ],
)
def test_unusable_header_is_refused_in_one_sentence(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    assert old in HEADER
    with pytest.raises(GeometryError) as caught:
        read(tmp_path, cbf_bytes(tmp_path, HEADER.replace(old, new)))
    assert sentence in str(caught.value)
    assert "frame.cbf: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("nbytes", [20, 200])
def test_truncated_header_is_refused(tmp_path: Path, nbytes: int) -> None:
    with pytest.raises(GeometryError, match="truncated"):
        read(tmp_path, cbf_bytes(tmp_path)[:nbytes])


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_truncated_compressed_file_is_refused(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(GeometryError, match="cannot be read"):
        read(tmp_path, compress(cbf_bytes(tmp_path))[:60])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file is empty"),
        (b"JPEG? no.", "no geometry that h5bragg can read"),
        (b"\x00" * 5000, "no geometry that h5bragg can read"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(GeometryError, match=sentence):
        read(tmp_path, content)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="No such file"):
        Geometry.from_file(tmp_path / "absent.cbf")
    with pytest.raises(GeometryError, match="directory"):
        Geometry.from_file(tmp_path)
