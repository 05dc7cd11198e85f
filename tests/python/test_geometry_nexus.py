# SPDX-License-Identifier: MIT
"""Eiger and NXmx masters: real, small ones with something wrong, and nxmx as oracle."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from nexus_files import AXES, MODULE, SHAPE, axis, field, write_module, write_simple

from h5bragg import Geometry, GeometryError
from h5bragg.geometry.nexus_axes import chain_matrix


@pytest.fixture
def master(tmp_path: Path) -> Iterator[h5py.File]:
    with h5py.File(tmp_path / "small_master.h5", "w") as file:
        write_simple(file)
        yield file


def read(file: h5py.File, **options: tuple[int, int]) -> Geometry:
    file.flush()
    path = file.filename
    file.close()
    return Geometry.from_file(path, **options)


def expected() -> Geometry:
    return Geometry.flat(
        shape=SHAPE,
        pixel_size_m=(100e-6, 75e-6),
        distance_m=0.2,
        beam_center_px=(20.25, 40.5),
        wavelength_m=0.98e-10,
    )


def assert_same_place(found: Geometry, wanted: Geometry) -> None:
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found.two_theta_rad(), wanted.two_theta_rad(), rtol=0, atol=1e-7)
    assert found.wavelength_m == pytest.approx(wanted.wavelength_m, rel=1e-6)


def test_eiger_master_whose_data_file_is_absent(data_path: Path) -> None:
    geometry = Geometry.from_file(data_path / "dectris_eiger_master.h5")
    assert geometry.shape == (3269, 3110)
    assert geometry.beam_center_px == pytest.approx((1586.4314, 1607.415), abs=1e-3)
    assert geometry.distance_m == pytest.approx(0.134255)
    assert geometry.pixel_size_m == pytest.approx((75e-6, 75e-6))
    assert geometry.wavelength_m == pytest.approx(0.9801122e-10)
    assert geometry.flat_detector is not None


def test_beam_centre_and_distance_place_an_upright_detector(master: h5py.File) -> None:
    geometry = read(master)
    assert_same_place(geometry, expected())
    assert geometry.pixel_size_m == pytest.approx((100e-6, 75e-6))
    assert geometry.mask is None


def test_groups_without_classes_are_found_by_name(master: h5py.File) -> None:
    for path in ("entry", "entry/instrument", "entry/instrument/detector"):
        del master[path].attrs["NX_class"]
    assert_same_place(read(master), expected())


@pytest.mark.parametrize(
    ("name", "value", "units"),
    [
        ("x_pixel_size", 0.075, "mm"),
        ("x_pixel_size", 75, "microns"),
        ("x_pixel_size", 75.0, "\N{MICRO SIGN}m"),
        ("x_pixel_size", [75e-6], "metres"),
        ("detector_distance", 20.0, "cm"),
        ("detector_distance", [0.2, 0.2], "m"),
        ("detector_distance", 0.2, None),
        ("beam_center_x", 40.5 * 0.075, "mm"),
        ("beam_center_x", 40.5, None),
    ],
)
def test_units_are_converted(
    master: h5py.File, name: str, value: object, units: str | None
) -> None:
    detector = master["entry/instrument/detector"]
    dataset = field(detector, name, value)
    if units is not None:
        dataset.attrs["units"] = units
    assert_same_place(read(master), expected())


def test_distance_counts_before_detector_distance(master: h5py.File) -> None:
    field(master["entry/instrument/detector"], "distance", 100.0, "mm")
    assert read(master).distance_m == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("path", "value", "units"),
    [
        ("entry/sample/beam/incident_wavelength", 0.098, "nm"),
        ("entry/instrument/monochromator/wavelength", 0.98, "angstrom"),
        ("entry/instrument/beam/incident_energy", 12.651, "keV"),
        ("entry/instrument/detector/detectorSpecific/photon_energy", 12651.0, "eV"),
    ],
)
def test_wavelength_is_found_elsewhere(
    master: h5py.File, path: str, value: float, units: str
) -> None:
    del master["entry/instrument/beam/incident_wavelength"]
    field(master, path, value, units)
    assert read(master).wavelength_m == pytest.approx(0.98e-10, rel=1e-4)


def test_every_bit_of_the_pixel_mask_masks(master: h5py.File) -> None:
    mask = np.zeros(SHAPE, np.uint32)
    mask[3, 4], mask[5, 6] = 1, 1 << 30
    detector = master["entry/instrument/detector"]
    del detector["pixel_mask"]
    detector.create_dataset("pixel_mask", data=mask, **hdf5plugin.Bitshuffle())
    geometry = read(master)
    assert geometry.mask is not None
    assert np.argwhere(geometry.mask).tolist() == [[3, 4], [5, 6]]


def test_shape_is_found_without_a_pixel_mask(master: h5py.File) -> None:
    detector = master["entry/instrument/detector"]
    del detector["pixel_mask"]
    field(detector, "detectorSpecific/x_pixels_in_detector", 80)
    field(detector, "detectorSpecific/y_pixels_in_detector", 60)
    assert read(master).shape == SHAPE


def test_shape_is_that_of_the_data(master: h5py.File) -> None:
    del master["entry/instrument/detector/pixel_mask"]
    master.create_dataset("entry/data/data", (5, *SHAPE), "u2")
    assert read(master).shape == SHAPE


def test_shape_may_come_from_the_caller(master: h5py.File) -> None:
    del master["entry/instrument/detector/pixel_mask"]
    master["entry/data/data_000001"] = h5py.ExternalLink("absent.h5", "entry/data/data")
    assert read(master, shape=SHAPE).shape == SHAPE


def test_module_places_the_detector(master: h5py.File) -> None:
    write_module(master)
    for name in ("beam_center_x", "beam_center_y", "detector_distance"):
        del master[f"entry/instrument/detector/{name}"]
    geometry = read(master)
    assert_same_place(geometry, expected())
    flat = geometry.flat_detector
    assert flat is not None
    assert (flat.rot1, flat.rot2, flat.rot3) == pytest.approx((0, 0, 0), abs=1e-12)
    assert geometry.beam_center_px == pytest.approx((20.25, 40.5), abs=1e-3)


def test_module_counts_before_the_beam_centre(master: h5py.File) -> None:
    write_module(master)
    field(master["entry/instrument/detector"], "beam_center_x", 3.0, "pixel")
    assert_same_place(read(master), expected())


def test_module_without_a_place_leaves_it_to_the_beam_centre(master: h5py.File) -> None:
    write_module(master)
    field(master, f"{AXES}/det_z", 0.0, "mm").attrs.update(
        transformation_type="translation", vector=[0.0, 0, 1], depends_on="."
    )
    assert_same_place(read(master), expected())


def test_depends_on_may_be_relative_or_missing(master: h5py.File) -> None:
    write_module(master)
    module = master[MODULE]
    module["fast_pixel_direction"].attrs["depends_on"] = "module_offset"
    del module["slow_pixel_direction"].attrs["depends_on"]
    assert_same_place(read(master), expected())


def test_detector_arm_tilts_the_module(master: h5py.File) -> None:
    write_module(master)
    axis(master, f"{AXES}/two_theta", [20.0], "deg", ("rotation", (0, 1, 0)))
    master[f"{AXES}/det_z"].attrs["depends_on"] = "two_theta"
    geometry = read(master)
    flat = geometry.flat_detector
    assert flat is not None
    assert flat.distance_m == pytest.approx(0.2)
    # The pixel that the beam hit before the arm moved now scatters at the arm's angle.
    near = geometry.two_theta_rad()[20, 40]
    assert near == pytest.approx(np.radians(20), abs=0.01 * 75e-6 / 0.2 + 40e-6 / 0.2)


def test_several_modules_become_panels(master: h5py.File) -> None:
    write_module(master, "entry/instrument/detector/upper", (0, 0), (28, 80))
    write_module(master, "entry/instrument/detector/lower", (32, 0), (28, 80))
    geometry = read(master)
    assert len(geometry.panels) == 2
    inside = ~np.isnan(geometry.two_theta_rad())
    assert not inside[28:32].any()
    wanted = expected().two_theta_rad()
    np.testing.assert_allclose(geometry.two_theta_rad()[inside], wanted[inside], atol=1e-7)


def test_chain_is_that_of_nxmx(master: h5py.File) -> None:
    nxmx = pytest.importorskip("nxmx")
    axis(master, f"{AXES}/a", [12.0], "deg", ("rotation", (0, 1, 0)), offset=(1, 2, 3))
    axis(master, f"{AXES}/b", [0.3], "m", ("translation", (0, 0, 2)), after="a", offset=(4, -5, 6))
    axis(master, f"{AXES}/c", [-0.4], "rad", ("rotation", (0.6, 0, -0.8)), after="b")
    last = master[f"{AXES}/c"]
    chain = nxmx.get_dependency_chain(nxmx.NXtransformationsAxis(last))
    oracle = nxmx.get_cumulative_transformation(chain)[0]
    oracle[:3, 3] /= 1000  # nxmx works in millimetres
    np.testing.assert_allclose(chain_matrix(last), oracle, atol=1e-12)


def break_chain(file: h5py.File) -> None:
    write_module(file)
    file[f"{AXES}/det_z"].attrs["depends_on"] = "nowhere"


def make_circle(file: h5py.File) -> None:
    write_module(file)
    file[f"{AXES}/det_z"].attrs["depends_on"] = f"/{MODULE}/module_offset"


def move_detector(file: h5py.File) -> None:
    write_module(file)
    axis(file, f"{AXES}/det_z", [200.0, 201.0], "mm", ("translation", (0, 0, 1)))


def forget_module_size(file: h5py.File) -> None:
    write_module(file)
    del file[f"{MODULE}/data_size"]


def swing_out(file: h5py.File) -> None:
    field(file, "entry/instrument/detector/goniometer/two_theta", [15.0], "degree")


def add_detector(file: h5py.File) -> None:
    file.copy("entry/instrument/detector", "entry/instrument/detector_2")


def forget(*names: str):
    def change(file: h5py.File) -> None:
        for name in names:
            del file[f"entry/instrument/{name}"]

    return change


def put(name: str, value: object, units: str | None = None):
    def change(file: h5py.File) -> None:
        field(file, f"entry/instrument/{name}", value, units)

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (forget("detector"), "describes no detector"),
        (forget("detector/detector_distance"), "does not say distance or detector_distance"),
        (forget("detector/beam_center_x"), "does not say beam_center_x"),
        (forget("detector/y_pixel_size"), "does not say y_pixel_size"),
        (forget("beam/incident_wavelength"), "does not say incident_wavelength"),
        (forget("detector/pixel_mask"), "shape=(slow, fast)"),
        (put("detector/detector_distance", 0.0, "m"), "must be positive"),
        (put("detector/x_pixel_size", -1.0, "m"), "must be positive"),
        (put("detector/x_pixel_size", 75.0, "furlong"), "'furlong' is no unit of length"),
        (put("detector/x_pixel_size", "wide", "m"), "does not hold numbers"),
        (put("detector/beam_center_x", np.nan, "pixel"), "no finite value"),
        (put("detector/detector_distance", [0.2, 0.3], "m"), "varies"),
        (put("detector/pixel_mask", np.zeros((2, 3, 4))), "(slow, fast) is needed"),
        (put("beam/incident_wavelength", 0.0, "angstrom"), "must be positive"),
        (break_chain, "names nowhere, which is missing"),
        (make_circle, "round in circles"),
        (move_detector, "moves during the scan"),
        (forget_module_size, "data_size must hold two numbers"),
        (swing_out, "2theta = 15 degrees"),
        (add_detector, "2 detectors"),
    ],
)
def test_unusable_master_is_refused_in_one_sentence(
    master: h5py.File, change, sentence: str
) -> None:
    change(master)
    with pytest.raises(GeometryError) as caught:
        read(master)
    assert sentence in str(caught.value)
    assert "small_master.h5: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_master_is_refused(master: h5py.File) -> None:
    path = Path(master.filename)
    master.close()
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(GeometryError, match="truncated or damaged"):
        Geometry.from_file(path)


@pytest.mark.parametrize("signature", [b"TREE", b"HEAP", b"SNOD"])
def test_damaged_master_is_refused_in_one_sentence(master: h5py.File, signature: bytes) -> None:
    path = Path(master.filename)
    master.close()
    content = path.read_bytes()
    assert signature in content
    path.write_bytes(content.replace(signature, b"OOPS"))
    with pytest.raises(GeometryError, match="truncated or damaged") as caught:
        Geometry.from_file(path)
    assert "\n" not in str(caught.value)


def test_damaged_pixel_mask_is_refused(master: h5py.File) -> None:
    detector = master["entry/instrument/detector"]
    del detector["pixel_mask"]
    mask = detector.create_dataset("pixel_mask", SHAPE, "u4", chunks=SHAPE, compression="gzip")
    mask.id.write_direct_chunk((0, 0), b"these bytes are no deflate stream")
    with pytest.raises(GeometryError, match="pixel_mask cannot be read"):
        read(master)


def test_data_file_alone_asks_for_its_master(tmp_path: Path) -> None:
    path = tmp_path / "data_000001.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/data/data", (1, *SHAPE), "u2")
    with pytest.raises(GeometryError, match="give the master file"):
        Geometry.from_file(path)
