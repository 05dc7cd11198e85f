# SPDX-License-Identifier: MIT
"""CrystFEL geometry files: panels, stacks, masks, and sentences for those that say too little."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from crystfel_files import DETECTORS, agipd_1m
from damaged_text import assert_read_or_refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pixel_positions import pixel_positions_m

from h5bragg import Geometry, GeometryError

# An oblong panel of 40 x 30 pixels; the beam hits its row 20.5 and column 12.25.
ONE = """\
; one panel, fast axis to the right and slow axis down
clen = 80 mm
photon_energy = 9000 eV
res = 10000 ; pixels a metre
adu_per_photon = 1
m0/min_ss = 0
m0/max_ss = 39
m0/min_fs = 0
m0/max_fs = 29
m0/fs = -1.0x +0.0y
m0/ss = -1.0y
m0/corner_x = 12.25
m0/corner_y = 20.5
"""
# The same and a second one, 4 mm further away and turned by a quarter.
TWO = (
    ONE
    + """\
coffset = 0.004
m1/min_ss = 40
m1/max_ss = 59
m1/min_fs = 4
m1/max_fs = 13
m1/fs = +1.0y
m1/ss = -1.0x
m1/corner_x = -20
m1/corner_y = 0
"""
)
BAD_CORNER = "\nbad_a/panel = m1\n" + "".join(
    f"bad_a/{end}_{axis} = {value}\n"
    for (end, axis), value in zip(
        (("min", "ss"), ("max", "ss"), ("min", "fs"), ("max", "fs")), (41, 43, 5, 6), strict=True
    )
)


def write(folder: Path, text: str) -> Path:
    path = folder / "detector.geom"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str, **options: tuple[int, ...]) -> Geometry:
    return Geometry.from_file(write(folder, text), **options)


def test_one_panel_is_a_flat_detector(tmp_path: Path) -> None:
    geometry = read(tmp_path, ONE)
    assert geometry.shape == (40, 30)
    assert geometry.beam_center_px == pytest.approx((20.5, 12.25), abs=1e-4)
    assert geometry.pixel_size_m == pytest.approx((1e-4, 1e-4))
    assert geometry.distance_m == pytest.approx(0.08)
    assert geometry.wavelength_m == pytest.approx(1.3776022e-10, rel=1e-6)
    flat = geometry.flat_detector
    assert flat is not None
    assert (flat.rot1, flat.rot2, flat.rot3) == pytest.approx((0, 0, 0))
    assert geometry.mask is None


def test_panels_keep_the_place_that_the_file_gives(tmp_path: Path) -> None:
    geometry = read(tmp_path, TWO)
    assert geometry.shape == (60, 30)
    positions = pixel_positions_m(geometry)
    # x to the left and y up become x to the right and y down.
    assert positions[0, 0] == pytest.approx((-11.75e-4, -20e-4, 0.08))
    assert positions[40, 4] == pytest.approx((20.5e-4, -0.5e-4, 0.084))
    assert positions[40, 5] - positions[40, 4] == pytest.approx((0, -1e-4, 0))
    assert positions[41, 4] - positions[40, 4] == pytest.approx((1e-4, 0, 0))
    assert np.isnan(positions[40:, [0, 3, 14, 29]]).all()


def test_general_lines_are_for_panels_that_come_later(tmp_path: Path) -> None:
    first, second = read(tmp_path, TWO).panels
    assert first.origin_m[2] == pytest.approx(0.08)
    assert second.origin_m[2] == pytest.approx(0.084)


def test_a_panel_may_disagree_with_the_general_lines(tmp_path: Path) -> None:
    panels = read(tmp_path, TWO + "m1/coffset = 0\nm1/res = 5000\nm0/clen = 0.1").panels
    assert panels[1].origin_m == pytest.approx((0.004, 0, 0.08))
    assert panels[1].pixel_size_m == pytest.approx((2e-4, 2e-4))
    assert panels[0].origin_m[2] == pytest.approx(0.1)


def test_direction_along_the_beam_tilts_the_panel(tmp_path: Path) -> None:
    geometry = read(tmp_path, ONE.replace("-1.0x +0.0y", "-0.8x + 0.6z"))
    positions = pixel_positions_m(geometry)
    assert positions[0, 1] - positions[0, 0] == pytest.approx((0.8e-4, 0, 0.6e-4), abs=1e-9)


def test_detector_shift_moves_all_panels(tmp_path: Path) -> None:
    moved = read(tmp_path, TWO + "detector_shift_x = 0.3 mm\ndetector_shift_y = -0.0002\n")
    shift = pixel_positions_m(moved) - pixel_positions_m(read(tmp_path, TWO))
    np.testing.assert_allclose(np.nanmean(shift, axis=(0, 1)), (-3e-4, 2e-4, 0), atol=1e-10)
    assert np.nanmax(np.ptp(shift[:40], axis=(0, 1))) < 1e-10


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("clen = 80 mm", "clen = 0.08"),
        ("clen = 80 mm", "clen = 0.08 m"),
        ("clen = 80 mm", "clen=80mm"),
        ("-1.0x +0.0y", "-x"),
        ("-1.0x +0.0y", "0y-1x"),
        ("-1.0x +0.0y", "-1.0X".lower() + " + 0.y + .0z"),
        ("max_ss = 39", "max_ss = 39.0"),
        ("9000 eV", "9 keV"),
        ("9000 eV", "9000"),
        ("photon_energy = 9000 eV", "wavelength = 1.3776022 A"),
        ("photon_energy = 9000 eV", "wavelength = 1.3776022e-10 m"),
        ("; one panel", "; m7/fs = nonsense, poni1: 3"),
        ("adu_per_photon = 1", "adu_per_eV = 1e-4\nmax_adu = 9e4\nm0/flag_lessthan = -9"),
        ("adu_per_photon = 1", "rigid_group_a = m0\ngroup_all = m0\nm0/badrow_direction = -"),
        ("adu_per_photon = 1", "mask = /data/mask\nmask_good = 0x00\nmask1_badbits = 1"),
        ("adu_per_photon = 1", "something_new = 3\npeak_list = /entry/result"),
        ("\n", "\r\n"),
    ],
)
def test_other_spellings_mean_the_same(tmp_path: Path, old: str, new: str) -> None:
    assert old in ONE
    expected, found = read(tmp_path, ONE), read(tmp_path, ONE.replace(old, new))
    np.testing.assert_allclose(pixel_positions_m(found), pixel_positions_m(expected), atol=1e-10)
    assert found.wavelength_m == pytest.approx(expected.wavelength_m, rel=1e-6)
    assert found.mask is None


def test_electrons_have_a_wavelength(tmp_path: Path) -> None:
    text = ONE.replace("photon_energy = 9000 eV", "electron_voltage = 200 kV")
    assert read(tmp_path, text).wavelength_m == pytest.approx(2.5079e-12, rel=1e-4)


@pytest.mark.parametrize(
    "line", ["photon_energy = /LCLS/photon_energy_eV", "wavelength = /a m", ""]
)
def test_wavelength_may_be_unknown(tmp_path: Path, line: str) -> None:
    text = ONE.replace("photon_energy = 9000 eV", line)
    assert read(tmp_path, text).wavelength_m == 0


@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [("Jungfrau 4M", (4096, 1024), 8), ("AGIPD 1M", (8192, 128), 128), ("CSPAD", (1480, 1552), 64)],
)
def test_detectors_of_many_panels(
    tmp_path: Path, name: str, shape: tuple[int, int], count: int
) -> None:
    geometry = read(tmp_path, DETECTORS[name]())
    assert (geometry.shape, len(geometry.panels)) == (shape, count)
    assert not np.isnan(geometry.two_theta_rad()).any()


def test_modules_of_a_stack_lie_one_below_the_other(tmp_path: Path) -> None:
    geometry = read(tmp_path, agipd_1m(), shape=(16, 512, 128))
    assert geometry.shape == (8192, 128)
    assert [panel.slow for panel in geometry.panels[:9]] == [
        *((start, start + 64) for start in range(0, 512, 64)), (512, 576)
    ]  # fmt: skip
    assert geometry == read(tmp_path, agipd_1m()) == read(tmp_path, agipd_1m(), shape=(8192, 128))


def test_the_data_may_have_more_pixels_than_the_panels(tmp_path: Path) -> None:
    assert read(tmp_path, TWO, shape=(64, 33)).shape == (64, 33)
    geometry = read(tmp_path, agipd_1m(), shape=(17, 514, 130))
    assert geometry.shape == (17 * 514, 130)
    assert geometry.panels[8].slow == (514, 578)


def test_bad_region_of_the_data_is_masked(tmp_path: Path) -> None:
    mask = read(tmp_path, TWO + BAD_CORNER).mask
    assert mask is not None
    assert mask.sum() == 6
    assert mask[41:44, 5:7].all()


def test_bad_region_of_the_only_panel_need_not_name_it(tmp_path: Path) -> None:
    region = "bad/min_ss = 1\nbad/max_ss = 1\nbad/min_fs = 2\nbad/max_fs = 3\n"
    mask = read(tmp_path, ONE + region).mask
    assert mask is not None
    assert np.argwhere(mask).tolist() == [[1, 2], [1, 3]]


def test_bad_region_of_a_stack_lies_in_its_module(tmp_path: Path) -> None:
    region = "".join(
        f"badly/{key} = {value}\n"
        for key, value in {
            "panel": "p3a1", "min_ss": 64, "max_ss": 65, "min_fs": 0, "max_fs": 127,
        }.items()
    )  # fmt: skip
    mask = read(tmp_path, agipd_1m() + region).mask
    assert mask is not None
    assert np.unique(np.nonzero(mask)[0]).tolist() == [3 * 512 + 64, 3 * 512 + 65]


def test_bad_region_of_the_lab_is_masked_on_every_panel(tmp_path: Path) -> None:
    region = "badxy/min_x = -25\nbadxy/max_x = 0.5\nbadxy/min_y = -2.5\nbadxy/max_y = 3.5\n"
    mask = read(tmp_path, TWO + region).mask
    assert mask is not None
    first, second = np.argwhere(mask[:40]), np.argwhere(mask[40:])
    # Corners of pixels: x = 12.25 - column, y = 20.5 - row on the first panel.
    assert first.min(axis=0).tolist() == [18, 12]
    assert first.max(axis=0).tolist() == [22, 29]
    # x = -20 - row, y = column - 4 on the second.
    assert second.min(axis=0).tolist() == [0, 4]
    assert second.max(axis=0).tolist() == [4, 7]


def test_bad_panels_and_edges_are_masked(tmp_path: Path) -> None:
    mask = read(tmp_path, TWO + "m1/no_index = 1\nm0/mask_edge_pixels = 2\n").mask
    assert mask is not None
    assert mask[40:, 4:14].all()
    assert not mask[40:, 14:].any()
    assert not mask[2:38, 2:28].any()
    assert mask[:40].sum() == 40 * 30 - 36 * 26


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("stacked", [True, False])
def test_mask_files_are_read(tmp_path: Path, absolute: bool, stacked: bool) -> None:
    shape = (2, 40, 30) if stacked else (40, 30)
    values = np.ones(shape, np.uint16)
    values[..., 3, 4] = 0  # a good bit is missing
    values[..., 5, 6] = 5  # a bad bit is set
    with h5py.File(tmp_path / "mask.h5", "w") as file:
        file["mask/data"] = values
    name = tmp_path / "mask.h5" if absolute else "mask.h5"
    lines = f"mask = /mask/data\nmask_file = {name}\nmask_good = 0x01\nmask_bad = 4\n"
    text = lines + ONE
    if stacked:
        text = lines + "dim0 = %\ndim1 = 1\ndim2 = ss\ndim3 = fs\n" + ONE
    mask = read(tmp_path, text).mask
    assert mask is not None
    start = 40 if stacked else 0
    assert np.argwhere(mask).tolist() == [[start + 3, 4], [start + 5, 6]]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("mask_file = absent.h5\nmask = /a", "absent.h5 is missing"),
        ("mask_file = small.h5", "without mask0_data"),
        ("mask_file = small.h5\nmask = /b", "cannot be read"),
        ("mask_file = text.h5\nmask = /a", "cannot be read"),
        ("mask_file = small.h5\nmask = /a", "of shape (40, 30) are needed"),
        ("mask_file = small.h5\nmask = /f", "float64 values"),
        ("mask_file = small.h5\nmask = /good\nmask_bad = few", "give bits such as 0x01"),
    ],
)
def test_unusable_mask_file_is_refused(tmp_path: Path, lines: str, sentence: str) -> None:
    with h5py.File(tmp_path / "small.h5", "w") as file:
        file["a"] = np.zeros((4, 3), int)
        file["f"] = np.zeros((40, 30))
        file["good"] = np.zeros((40, 30), int)
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(GeometryError) as caught:
        read(tmp_path, lines + "\n" + ONE)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("clen = 80 mm", "", "does not say clen"),
        ("clen = 80 mm", "clen = /LCLS/EncoderValue", "write its value in place of it"),
        ("clen = 80 mm", "clen = far", "neither a number nor a place"),
        ("clen = 80 mm", "clen = 80 ft", "'ft' is no unit of length"),
        ("clen = 80 mm", "clen = -80 mm", "must be positive"),
        ("clen = 80 mm", "clen = 80 mm\nclen = 90 mm", "keep one"),
        ("clen = 80 mm", "clen = 80 mm\nwavelength = 1 A", "keep one"),
        ("9000 eV", "0 eV", "must be positive"),
        ("9000 eV", "bright", "neither a number nor a place"),
        ("photon_energy = 9000 eV", "wavelength = 1.0", "without a unit"),
        ("res = 10000", "", "does not say res"),
        ("res = 10000", "res = 0", "must be positive"),
        ("res = 10000", "res = 1e4 px", "not a number"),
        ("res = 10000", "res = nan", "not a number"),
        ("m0/fs = -1.0x +0.0y", "", "does not say fs"),
        ("-1.0x +0.0y", "1.0 +0.0y", "not a direction"),
        ("-1.0x +0.0y", "+0.0x", "zero or parallel"),
        ("-1.0x +0.0y", "", "not a direction"),
        ("m0/corner_x = 12.25", "", "does not say corner_x"),
        ("m0/max_ss = 39", "", "does not say max_ss"),
        ("m0/max_ss = 39", "m0/max_ss = 39.5", "whole number"),
        ("m0/min_ss = 0", "m0/min_ss = -1", "whole number"),
        ("m0/min_ss = 0", "m0/min_ss = 40", "ends before it begins"),
        ("m0/max_ss = 39", "m0/max_ss = 99999", "65535 pixels at most"),
        ("res = 10000", "res = 10000\ndim0 = fs\ndim1 = ss", "then ss, then fs"),
        (
            "res = 10000",
            "res = 10000\ndim0 = 3\ndim1 = %\ndim2 = ss\ndim3 = fs",
            "then ss, then fs",
        ),
        ("res = 10000", "res = 10000\ndim0 = %\ndim2 = ss\ndim3 = fs", "then ss, then fs"),
        ("m1/min_ss = 40", "m1/min_ss = 30", "on two panels"),
        ("m1/min_ss", "m1/dim0 = 0\nm1/dim1 = ss\nm1/dim2 = fs\nm1/min_ss", "number of dimensions"),
        ("m1/min_ss", "m1/data = /elsewhere\nm1/min_ss", "several datasets"),
        ("coffset = 0.004", "coffset = -0.2", "must be positive"),
        ("coffset = 0.004", "coffest = 0.004", "is it coffset?"),
        ("coffset = 0.004", "rail_x = 1", "CrystFEL 0.9"),
        ("coffset = 0.004", "detector_shift_x = /a m", "write its value in place of it"),
        ("m1/corner_y = 0", "m1/corner_y = 0\ncoffset = 1", "stands after the last panel"),
        ("m1/corner_y = 0", "m1/corner_y", "is no 'key = value'"),
        ("m1/max_fs = 13", f"m1/max_fs = 13{BAD_CORNER.replace('43', '60')}", "from 40 to 59"),
        ("m1/max_fs = 13", f"m1/max_fs = 13{BAD_CORNER.replace('m1', 'm2')}", "does not name one"),
        ("m1/max_fs = 13", "m1/max_fs = 13\nbada/panel = m1", "does not say min_ss"),
        ("m1/max_fs = 13", "m1/max_fs = 13\nbada/min_x = 1", "does not say max_x"),
        ("m1/max_fs = 13", f"m1/max_fs = 13{BAD_CORNER}bad_a/min_x = 1", "mixes x and y"),
    ],
)
def test_unusable_file_is_refused_in_one_sentence(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    assert old in TWO
    path = write(tmp_path, TWO.replace(old, new))
    with pytest.raises(GeometryError) as caught:
        Geometry.from_file(path)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shape"),
    [(ONE, (39, 30)), (ONE, (2, 40, 30)), (agipd_1m(), (4096, 128)), (agipd_1m(), (15, 512, 128))],
)
def test_frames_of_another_shape_are_refused(
    tmp_path: Path, text: str, shape: tuple[int, ...]
) -> None:
    with pytest.raises(GeometryError, match="the panels need data of shape"):
        read(tmp_path, text, shape=shape)


@given(
    cut=st.tuples(st.integers(0, len(TWO)), st.integers(0, 30)),
    patch=st.text(max_size=6) | st.binary(max_size=6),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damaged_file_is_read_or_refused_in_one_sentence(
    tmp_path: Path, cut: tuple[int, int], patch: str | bytes
) -> None:
    assert_read_or_refused(tmp_path / "damaged.geom", TWO, cut, patch)
