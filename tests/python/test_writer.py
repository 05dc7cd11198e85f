# SPDX-License-Identifier: MIT
"""Files that `compress` writes: frames, metadata, mask and rotation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import nxmx
import pytest
from input_files import write_cbf, write_data, write_master
from numpy.typing import NDArray

import h5bragg
from h5bragg import Geometry, GeometryError, SparsifyParams
from h5bragg.frame_source import InputError
from h5bragg.frames import open_frames
from h5bragg.writer import compress

SmallFrame = Callable[..., NDArray[np.integer]]
DETECTOR = "entry/instrument/detector"


@pytest.fixture
def cbf_paths(tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry) -> list[Path]:
    return [
        write_cbf(tmp_path / f"{i}.cbf", small_frame("int32", i), small_geometry, angle=30 + i / 2)
        for i in range(5)
    ]


def run(paths: list[Path], output: Path, geometry: Geometry, **options: Any) -> Any:
    with open_frames(paths) as frames:
        return compress(frames, output, geometry=geometry, **options)


def assert_kept(raw: NDArray[Any], data: h5py.Dataset) -> None:
    """Picked and masked pixels came through, frame by frame."""
    assert data.shape == raw.shape
    for index in range(len(raw)):
        _, chunk = data.id.read_direct_chunk((index, 0, 0))
        sparse = h5bragg.unpack(chunk)
        np.testing.assert_array_equal(raw[index].ravel()[sparse.index], sparse.intensity)
        restored = data[index]
        np.testing.assert_array_equal(restored.ravel()[sparse.index], sparse.intensity)
        np.testing.assert_array_equal(restored[sparse.mask > 0], raw[index][sparse.mask > 0])


def test_cbf_frames_in_the_order_of_the_arguments(
    tmp_path: Path, cbf_paths: list[Path], small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    order = [3, 0, 4, 1, 2]
    output = tmp_path / "out.h5"
    totals = run([cbf_paths[i] for i in order], output, small_geometry, threads=3)
    assert totals.sparse_frames + totals.lossless_frames == 5
    assert totals.raw_nbytes == 5 * 160 * 200 * 4
    raw = np.stack([small_frame("int32", i) for i in order])
    with h5py.File(output) as file:
        assert_kept(raw, file["entry/data/data"])
        omega = file["entry/sample/transformations/omega"]
        np.testing.assert_allclose(omega[()], [30 + i / 2 for i in order])
        assert file["entry/sample/transformations/omega_increment_set"][()] == 0.5


def test_output_is_an_nxmx_file_that_the_nxmx_package_reads(
    tmp_path: Path, cbf_paths: list[Path], small_geometry: Geometry
) -> None:
    output = tmp_path / "out.h5"
    run(cbf_paths, output, small_geometry)
    with h5py.File(output) as file:
        entry = nxmx.NXmx(file).entries[0]
        assert entry.definition == "NXmx"
        detector = entry.instruments[0].detectors[0]
        assert detector.distance.to("m").magnitude == pytest.approx(0.05)
        assert detector.beam_center_x.magnitude == pytest.approx(110.5)
        assert detector.beam_center_y.magnitude == pytest.approx(70.25)
        assert detector.sensor_material == "Si"
        assert detector.sensor_thickness.to("um").magnitude == pytest.approx(450)
        module = detector.modules[0]
        assert list(module.data_size) == [160, 200]
        assert module.fast_pixel_direction[()].to("m").magnitude == pytest.approx(1.2e-4)
        np.testing.assert_allclose(module.fast_pixel_direction.vector, (-1, 0, 0))
        np.testing.assert_allclose(module.slow_pixel_direction.vector, (0, -1, 0))
        offset = module.module_offset
        corner = offset[()].to("m").magnitude * np.asarray(offset.vector)
        np.testing.assert_allclose(corner, (110.5 * 1.2e-4, 70.25 * 1e-4, 0), atol=1e-8)
        beam = entry.instruments[0].beams[0]
        assert beam.incident_wavelength.to("angstrom").magnitude == pytest.approx(1.0)
        assert entry.samples[0].depends_on.path == "/entry/sample/transformations/omega"
    assert Geometry.from_file(output).beam_center_px == pytest.approx((70.25, 110.5), abs=1e-3)


def test_units_have_room_for_a_nul_as_durin_wants(
    tmp_path: Path, cbf_paths: list[Path], small_geometry: Geometry
) -> None:
    output = tmp_path / "out.h5"
    run(cbf_paths, output, small_geometry)
    with h5py.File(output) as file:
        for name in ("x_pixel_size", "y_pixel_size", "distance"):
            attribute = file[DETECTOR][name].attrs
            assert attribute.get_id("units").dtype.itemsize == 2
            assert attribute["units"] == b"m"


def test_tilted_and_many_panel_detectors_come_back_from_the_modules(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    panel = small_geometry.panels[0]
    halves = [
        h5bragg.Panel((0, 80), (0, 200), panel.origin_m, panel.slow_m, panel.fast_m),
        h5bragg.Panel((80, 160), (0, 200), (-0.01, 0.002, 0.051), (0, 1e-4, 2e-6), panel.fast_m),
    ]
    path = write_data(tmp_path / "a.h5", small_frame()[None])
    for geometry in (
        Geometry.from_panels(halves, shape=(160, 200), wavelength_m=1e-10),
        Geometry.flat(
            shape=(160, 200), pixel_size_m=1e-4, distance_m=0.1, beam_center_px=(50, 60),
            wavelength_m=1e-10, rotations_rad=(0.1, -0.2, 0.3),
        ),
    ):  # fmt: skip
        output = tmp_path / "out.h5"
        run([path], output, geometry, force=True)
        found = Geometry.from_file(output)
        assert len(found.panels) == len(geometry.panels)
        np.testing.assert_allclose(found.two_theta_rad(), geometry.two_theta_rad(), atol=1e-6)


def test_pixel_mask_joins_the_file_s_mask_and_the_codes_of_every_frame(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    frames = np.stack([small_frame("uint16", i) for i in range(3)])
    frames[1, 5, 6] = 65535  # an overload in one frame
    mask = np.zeros((160, 200), np.uint32)
    mask[10, 20] = 16  # also a code in the frames; the file's reason stays
    mask[100, 100:110] = 8  # no code in the frames
    data = write_data(tmp_path / "d.h5", frames)
    master = write_master(tmp_path / "m.h5", [(data, 3)], small_geometry, mask=mask)
    output = tmp_path / "out.h5"
    run([master], output, small_geometry)
    expected = mask.copy()
    expected[80:84] = 1
    expected[10:12, 20:23] = 2
    expected[10, 20] = 16
    with h5py.File(output) as file:
        np.testing.assert_array_equal(file[DETECTOR]["pixel_mask"][()], expected)
        restored = file["entry/data/data"][()]
        np.testing.assert_array_equal(restored[:, mask == 8], frames[:, mask == 8])
        assert_kept(frames, file["entry/data/data"])


def test_metadata_of_a_master_is_kept(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    frames = np.stack([small_frame("uint32", i) for i in range(4)])
    files = [(write_data(tmp_path / f"d{i}.h5", frames[2 * i : 2 * i + 2]), 2) for i in range(2)]
    master = write_master(tmp_path / "m.h5", files, small_geometry, start=7)
    with h5py.File(master, "a") as file:
        file[DETECTOR]["detectorSpecific/serial"] = "E-32-0123"
        file["entry/user/name"] = "Ada"
        file["entry/user"].attrs["NX_class"] = "NXuser"
        file[DETECTOR]["distances"] = np.arange(3.0)
        file[DETECTOR]["same"] = file[DETECTOR]["distances"]
    output = tmp_path / "elsewhere" / "out.h5"
    output.parent.mkdir()
    run([master], output, small_geometry)
    for path, _ in files:
        path.unlink()
    with h5py.File(output) as file:
        assert_kept(frames, file["entry/data/data"])
        assert list(file["entry/data"]) == ["data"]
        assert file["entry/data"].attrs["signal"] == b"data"
        assert file[DETECTOR]["detectorSpecific/serial"][()] == b"E-32-0123"
        assert file[DETECTOR]["description"][()] == b"Dectris Eiger, simulated"
        assert file["entry/user/name"][()] == b"Ada"
        assert file["entry/user"].attrs["NX_class"] == "NXuser"
        np.testing.assert_array_equal(file[DETECTOR]["same"][()], np.arange(3.0))
        np.testing.assert_allclose(
            file["entry/sample/goniometer/omega"][()], 7 + 0.1 * np.arange(4)
        )
        transformed = file["entry/sample/transformations/omega"]
        np.testing.assert_allclose(transformed[()], 7 + 0.1 * np.arange(4))


def test_several_masters_join_their_rotations(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    masters = []
    for i, start in enumerate((0.0, 50.0)):
        data = write_data(tmp_path / f"d{i}.h5", small_frame("uint16", i)[None].repeat(2, axis=0))
        masters.append(
            write_master(tmp_path / f"m{i}.h5", [(data, 2)], small_geometry, start=start)
        )
    output = tmp_path / "out.h5"
    run(masters, output, small_geometry)
    with h5py.File(output) as file:
        for name in ("goniometer/omega", "transformations/omega"):
            np.testing.assert_allclose(file["entry/sample"][name][()], [0, 0.1, 50, 50.1])
        ends = file["entry/sample/goniometer/omega_end"][()]
        np.testing.assert_allclose(ends, [0.1, 0.2, 50.1, 50.2])


def test_a_rotation_that_only_the_first_input_knows_is_left_out(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    data = write_data(tmp_path / "d.h5", small_frame("uint16")[None])
    master = write_master(tmp_path / "m.h5", [(data, 1)], small_geometry)
    output = tmp_path / "out.h5"
    run([master, data], output, small_geometry)
    with h5py.File(output) as file:
        assert len(file["entry/data/data"]) == 2
        assert "omega" not in file["entry/sample/goniometer"]
        assert "omega_end" not in file["entry/sample/goniometer"]
        assert file["entry/sample/depends_on"][()] == b"."


@pytest.mark.parametrize("frames_per_chunk", [1, 2, 3, 5, 9])
def test_chunks_of_many_frames_and_an_incomplete_last_one(
    tmp_path: Path,
    cbf_paths: list[Path],
    small_frame: SmallFrame,
    small_geometry: Geometry,
    frames_per_chunk: int,
) -> None:
    output = tmp_path / "out.h5"
    totals = run(cbf_paths, output, small_geometry, frames_per_chunk=frames_per_chunk)
    assert totals.sparse_frames + totals.lossless_frames == 5
    with h5py.File(output) as file:
        data = file["entry/data/data"]
        assert data.chunks == (min(5, frames_per_chunk), 160, 200)
        for index in range(5):
            raw = small_frame("int32", index)
            restored = data[index]
            np.testing.assert_array_equal(restored[raw < 0], raw[raw < 0])
            # 21 is 4 sigma above the brightest background, 9 counts; others depend on their ring.
            np.testing.assert_array_equal(restored[raw > 25], raw[raw > 25])
            assert restored.shape == raw.shape


def test_threads_do_not_change_the_bytes(
    tmp_path: Path, cbf_paths: list[Path], small_geometry: Geometry
) -> None:
    chunks = []
    for threads in (1, 4):
        output = tmp_path / f"{threads}.h5"
        run(cbf_paths, output, small_geometry, threads=threads)
        with h5py.File(output) as file:
            data = file["entry/data/data"]
            chunks.append([data.id.read_direct_chunk((i, 0, 0)) for i in range(5)])
    assert chunks[0] == chunks[1]


def test_parameters_reach_the_chunks(
    tmp_path: Path, cbf_paths: list[Path], small_geometry: Geometry
) -> None:
    params = SparsifyParams(
        snr_pick=3, error_model="hybrid", radial_bins=40, polarization=None, seed=5
    )
    output = tmp_path / "out.h5"
    run(cbf_paths, output, small_geometry, params=params)
    with h5py.File(output) as file:
        info = h5bragg.inspect(file["entry/data/data"].id.read_direct_chunk((0, 0, 0))[1])
    assert info.params == params
    assert info.nbins <= 40


def test_a_geometry_of_another_shape_is_refused(tmp_path: Path, cbf_paths: list[Path]) -> None:
    geometry = Geometry.flat(
        shape=(160, 201),
        pixel_size_m=1e-4,
        distance_m=0.1,
        beam_center_px=(5, 6),
        wavelength_m=1e-10,
    )
    with pytest.raises(GeometryError, match=r"shape \(160, 200\), but the geometry is for"):
        run(cbf_paths, tmp_path / "out.h5", geometry)
    assert not (tmp_path / "out.h5").exists()


def test_a_bad_frame_in_the_middle_leaves_no_output_but_a_partial_file(
    tmp_path: Path, cbf_paths: list[Path], small_geometry: Geometry
) -> None:
    cbf_paths[3].write_bytes(cbf_paths[3].read_bytes()[:-3000])
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"3\.cbf cannot be read"):
        run(cbf_paths, tmp_path / "out.h5", small_geometry)
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "out.h5.partial"])
    with pytest.raises(InputError, match=r"3\.cbf cannot be read as a frame, .*\)$"):
        run(cbf_paths, tmp_path / "none.h5", small_geometry, keep_partial=False)
    assert not list(tmp_path.glob("*none*"))
