# SPDX-License-Identifier: MIT
"""Bragg in real HDF5 files: what h5py reads is what decode(encode()) gives."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from numpy.typing import NDArray
from real_frames import RealFrame

import h5bragg
from h5bragg import Bragg, Geometry, GeometryError, Panel, ParameterError, SparsifyParams

Simulate = Callable[..., NDArray[np.integer]]
DTYPES = ["uint8", "uint16", "uint32", "int16", "int32"]


def two_panels() -> Geometry:
    """Two tilted panels with rows between them that belong to neither."""
    return Geometry.from_panels(
        [
            Panel((0, 70), (0, 200), (-0.011, -0.008, 0.05), (0, 1e-4, 1e-5), (1e-4, 0, 0)),
            Panel((90, 160), (10, 190), (-0.01, 0.001, 0.05), (0, 1e-4, 0), (1e-4, 0, 2e-5)),
        ],
        shape=(160, 200),
        wavelength_m=1e-10,
    )


@pytest.fixture
def file(tmp_path: Path) -> Iterator[h5py.File]:
    """A file without chunk cache: every write encodes and every read decodes."""
    with h5py.File(tmp_path / "frames.h5", "w", rdcc_nbytes=0) as opened:
        yield opened


def chunk_of(dataset: h5py.Dataset, first: int = 0) -> bytes:
    """One chunk as it lies in the file, which must have gone through the filter."""
    dataset.file.flush()
    filter_mask, chunk = dataset.id.read_direct_chunk((first, 0, 0))
    assert filter_mask == 0
    return chunk


@pytest.mark.parametrize("dtype", [*DTYPES, ">u2", ">i4", "<u4"])
@pytest.mark.parametrize("per_chunk", [1, 2, 3])
def test_file_holds_the_chunks_of_encode_and_reads_as_decode(
    file: h5py.File, small_geometry: Geometry, small_frame: Simulate, dtype: str, per_chunk: int
) -> None:
    native = np.dtype(dtype).newbyteorder("=")
    frames = np.stack([small_frame(native, seed) for seed in range(4)]).astype(dtype)
    shape = (per_chunk, *small_geometry.shape)
    bragg = Bragg(small_geometry, snr_pick=3, seed=5)
    dataset = file.create_dataset("data", data=frames, chunks=shape, **bragg)
    # HDF5 pads the last chunk of four frames in threes with zeros.
    padding = np.zeros((-4 % per_chunk, *shape[1:]), dtype)
    padded = np.concatenate([frames, padding]).astype(dtype)
    for first in range(0, len(padded), per_chunk):
        part = padded[first : first + per_chunk]
        chunk = h5bragg.encode(part, small_geometry, bragg.params)
        assert chunk_of(dataset, first) == chunk
        restored = h5bragg.decode(chunk).reshape(shape)[: 4 - first]
        np.testing.assert_array_equal(dataset[first : first + per_chunk], restored)
    assert dataset.dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_picked_and_masked_pixels_come_back_exact(
    file: h5py.File, small_geometry: Geometry, small_frame: Simulate, dtype: str
) -> None:
    frame = small_frame(dtype)
    shape = (1, *frame.shape)
    dataset = file.create_dataset("data", data=frame[None], chunks=shape, **Bragg(small_geometry))
    restored = dataset[0]
    sparse = h5bragg.unpack(chunk_of(dataset))
    assert len(sparse.index) > 40
    np.testing.assert_array_equal(restored.flat[sparse.index], frame.flat[sparse.index])
    masked = sparse.mask > 0
    assert np.count_nonzero(masked) == 4 * 200 + 2 * 3
    np.testing.assert_array_equal(restored[masked], frame[masked])


@pytest.mark.parametrize("style", ["mapping", "compression"])
def test_filter_is_given_as_hdf5plugin_classes_are(
    file: h5py.File, small_geometry: Geometry, small_frame: Simulate, style: str
) -> None:
    bragg = Bragg(small_geometry)
    options = dict(bragg) if style == "mapping" else {"compression": bragg}
    shape = (1, *small_geometry.shape)
    dataset = file.create_dataset("data", shape, "u2", chunks=shape, **options)
    dataset[0] = small_frame()
    assert str(h5bragg.FILTER_ID) in dataset._filters
    assert len(chunk_of(dataset)) < dataset.nbytes / 3
    assert isinstance(bragg, h5py.filters.FilterRefBase)


def test_filter_works_beside_those_of_hdf5plugin(
    file: h5py.File, small_geometry: Geometry, small_frame: Simulate
) -> None:
    frame = small_frame()[None]
    lossless = file.create_dataset("raw", data=frame, chunks=frame.shape, **hdf5plugin.Bitshuffle())
    sparse = file.create_dataset("data", data=frame, chunks=frame.shape, **Bragg(small_geometry))
    np.testing.assert_array_equal(lossless[...], frame)
    assert len(chunk_of(sparse)) < len(chunk_of(lossless))


def test_options_are_sixteen_words_that_state_a_flat_detector(small_geometry: Geometry) -> None:
    words = Bragg(small_geometry).filter_options
    assert len(words) == 16
    assert all(type(word) is int and 0 <= word < 2**32 for word in words)
    assert words == Bragg(small_geometry).filter_options
    assert words != Bragg(small_geometry, seed=1).filter_options


def test_parameters_may_be_given_whole_or_one_by_one(small_geometry: Geometry) -> None:
    whole = Bragg(small_geometry, SparsifyParams(snr_pick=3, cycles=2))
    mixed = Bragg(small_geometry, SparsifyParams(snr_pick=3), cycles=2)
    assert whole.params == mixed.params
    assert whole == mixed
    assert Bragg(small_geometry, snr_pick=3).params == SparsifyParams(snr_pick=3)


def test_preset_may_be_given_by_its_name(small_geometry: Geometry) -> None:
    named = Bragg(small_geometry, preset="light", seed=3)
    whole = SparsifyParams.preset("light", seed=3)
    assert named.params == whole
    assert named.filter_options == Bragg(small_geometry, whole).filter_options


def test_polarization_of_the_geometry_is_the_default(small_geometry: Geometry) -> None:
    geometry = Geometry.from_flat_detector(small_geometry.flat_detector, polarization=0.5)
    assert Bragg(geometry).params.polarization == 0.5
    assert Bragg(geometry, polarization=0.8).params.polarization == 0.8
    assert Bragg(geometry, SparsifyParams()).params.polarization == 0.99


def test_bad_parameters_are_refused_before_any_file(small_geometry: Geometry) -> None:
    with pytest.raises(ParameterError, match="snr_pick"):
        Bragg(small_geometry, snr_pick=-1)
    with pytest.raises(TypeError, match="snr_pik"):
        Bragg(small_geometry, snr_pik=3)


@pytest.mark.parametrize(
    ("dtype", "shape", "chunks"),
    [
        ("f4", (160, 200), (1, 160, 200)),
        ("i8", (160, 200), (1, 160, 200)),
        ("i1", (160, 200), (1, 160, 200)),
        ("u2", (160, 200), (1, 80, 200)),
        ("u2", (160, 200), (1, 160, 100)),
        ("u2", (160, 201), (1, 160, 201)),
    ],
)
def test_wrong_type_or_shape_is_refused_at_creation(
    file: h5py.File,
    small_geometry: Geometry,
    dtype: str,
    shape: tuple[int, int],
    chunks: tuple[int, ...],
) -> None:
    bragg = Bragg(small_geometry)
    with pytest.raises((ValueError, OSError, RuntimeError)):
        file.create_dataset("data", (2, *shape), dtype, chunks=chunks, **bragg)
    assert "data" not in file


@pytest.mark.parametrize("dtype", ["uint16", "int32"])
def test_many_panels_are_written_here_and_read_anywhere(
    tmp_path: Path, small_frame: Simulate, dtype: str
) -> None:
    geometry, frame = two_panels(), small_frame(dtype)
    with h5py.File(tmp_path / "panels.h5", "w") as file:
        shape = (1, *frame.shape)
        dataset = file.create_dataset("data", data=frame[None], chunks=shape, **Bragg(geometry))
        chunk, restored = chunk_of(dataset), dataset[0]
    assert chunk == h5bragg.encode(frame, geometry)
    np.testing.assert_array_equal(restored, h5bragg.decode(chunk))
    no_panel = np.isnan(geometry.two_theta_rad())
    np.testing.assert_array_equal(restored[no_panel], frame[no_panel])
    panels = h5bragg.inspect(chunk).geometry.panels
    assert [panel.slow for panel in panels] == [(0, 70), (90, 160)]
    np.save(tmp_path / "restored.npy", restored)
    code = (
        "import sys, h5py, numpy, h5bragg\n"
        "frame = h5py.File(sys.argv[1])['data'][0]\n"
        "assert numpy.array_equal(frame, numpy.load(sys.argv[2]))"
    )
    files = [tmp_path / "panels.h5", tmp_path / "restored.npy"]
    subprocess.run([sys.executable, "-c", code, *files], check=True, timeout=120)


def test_masked_pixels_of_the_geometry_are_kept_exact(
    file: h5py.File, small_geometry: Geometry, small_frame: Simulate
) -> None:
    mask = np.zeros(small_geometry.shape, bool)
    mask[100:140, 30:90] = True
    frame = small_frame()
    shape = (1, *frame.shape)
    bragg = Bragg(small_geometry.with_mask(mask), snr_pick=4)
    restored = file.create_dataset("data", data=frame[None], chunks=shape, **bragg)[0]
    np.testing.assert_array_equal(restored[mask], frame[mask])
    assert not np.array_equal(restored, frame)


def test_flat_detector_is_written_by_a_process_that_knows_the_file_alone(
    tmp_path: Path, small_geometry: Geometry, small_frame: Simulate
) -> None:
    shape = (1, *small_geometry.shape)
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        file.create_dataset("data", shape, "u2", chunks=shape, **Bragg(small_geometry))
    np.save(tmp_path / "frame.npy", small_frame())
    code = (
        "import sys, h5py, numpy, h5bragg\n"
        "with h5py.File(sys.argv[1], 'a') as file:\n"
        "    file['data'][0] = numpy.load(sys.argv[2])"
    )
    files = [tmp_path / "frames.h5", tmp_path / "frame.npy"]
    subprocess.run([sys.executable, "-c", code, *files], check=True, timeout=120)
    with h5py.File(tmp_path / "frames.h5") as file:
        assert chunk_of(file["data"]) == h5bragg.encode(small_frame(), small_geometry)


def test_registered_geometry_that_a_process_does_not_know_is_stored_raw_not_as_garbage(
    tmp_path: Path, small_frame: Simulate
) -> None:
    """The filter is optional for h5py: a failed encode stores the frame as it is."""
    shape = (1, 160, 200)
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        file.create_dataset("data", shape, "u2", chunks=shape, **Bragg(two_panels(), seed=77))
    np.save(tmp_path / "frame.npy", small_frame())
    code = (
        "import sys, h5py, numpy, h5bragg\n"
        "with h5py.File(sys.argv[1], 'a') as file:\n"
        "    file['data'][0] = numpy.load(sys.argv[2])"
    )
    files = [tmp_path / "frames.h5", tmp_path / "frame.npy"]
    subprocess.run([sys.executable, "-c", code, *files], check=True, timeout=120)
    with h5py.File(tmp_path / "frames.h5") as file:
        filter_mask, _ = file["data"].id.read_direct_chunk((0, 0, 0))
        assert filter_mask == 1
        np.testing.assert_array_equal(file["data"][0], small_frame())


def test_chunks_of_encode_can_be_written_directly(
    file: h5py.File, small_geometry: Geometry, small_frame: Simulate
) -> None:
    shape = (1, *small_geometry.shape)
    for name, dtype in (("little", "<u2"), ("big", ">u2")):
        frame = small_frame().astype(dtype)
        dataset = file.create_dataset(name, shape, dtype, chunks=shape, **Bragg(small_geometry))
        chunk = h5bragg.encode(frame, small_geometry)
        dataset.id.write_direct_chunk((0, 0, 0), chunk)
        np.testing.assert_array_equal(dataset[0], h5bragg.decode(chunk))


def test_damaged_chunk_is_refused_and_the_others_stay_readable(
    file: h5py.File, small_geometry: Geometry, small_frame: Simulate
) -> None:
    frames = np.stack([small_frame(seed=seed) for seed in range(2)])
    chunks = (1, *small_geometry.shape)
    dataset = file.create_dataset("data", data=frames, chunks=chunks, **Bragg(small_geometry))
    whole = dataset[1]
    damaged = bytearray(chunk_of(dataset))
    damaged[len(damaged) // 2] ^= 0x10
    dataset.id.write_direct_chunk((0, 0, 0), bytes(damaged))
    dataset.refresh()
    with pytest.raises(OSError, match=r"[Ff]ilter|read"):
        _ = dataset[0]
    np.testing.assert_array_equal(dataset[1], whole)


def test_two_reads_are_identical(
    file: h5py.File, small_geometry: Geometry, small_frame: Simulate
) -> None:
    frame = small_frame()[None]
    dataset = file.create_dataset("data", data=frame, chunks=frame.shape, **Bragg(small_geometry))
    first = dataset[...]
    assert not np.array_equal(first, frame)
    np.testing.assert_array_equal(dataset[...], first)


def test_threads_encode_and_decode_at_once(small_geometry: Geometry, small_frame: Simulate) -> None:
    frames = [small_frame(seed=seed) for seed in range(8)]

    def round_trip(frame: NDArray[np.integer]) -> NDArray[np.integer]:
        return h5bragg.decode(h5bragg.encode(frame, small_geometry))

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(round_trip, frames))
    for frame, restored in zip(frames, together, strict=True):
        np.testing.assert_array_equal(restored, round_trip(frame))


def test_geometry_of_another_shape_is_refused_by_encode(
    small_geometry: Geometry, small_frame: Simulate
) -> None:
    with pytest.raises(GeometryError, match=r"\(160, 199\).*\(160, 200\)"):
        h5bragg.encode(small_frame()[:, :-1], small_geometry)


@pytest.mark.parametrize("name", ["thaumatin", "fine_slice"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"local_counts": 0, "snr_pick": 2},
        *(
            pytest.param({"local_counts": 0, "snr_pick": snr_pick}, marks=pytest.mark.slow)
            for snr_pick in (1, 3)
        ),
    ],
    ids=str,
)
def test_real_frames_go_through_a_file(
    file: h5py.File, request: pytest.FixtureRequest, name: str, options: dict[str, float]
) -> None:
    real: RealFrame = request.getfixturevalue(name)
    shape = (1, *real.geometry.shape)
    bragg = Bragg(real.geometry, **options)
    dataset = file.create_dataset("data", data=real.pixels[None], chunks=shape, **bragg)
    chunk = chunk_of(dataset)
    restored = dataset[0]
    np.testing.assert_array_equal(restored, h5bragg.decode(chunk))
    np.testing.assert_array_equal(restored < 0, real.pixels < 0)
    np.testing.assert_array_equal(restored[restored < 0], real.pixels[real.pixels < 0])
    sparse = h5bragg.unpack(chunk)
    np.testing.assert_array_equal(sparse.intensity, real.pixels.flat[sparse.index])
    np.testing.assert_array_equal(sparse.intensity, restored.flat[sparse.index])
    assert len(chunk) < real.pixels.nbytes / 10
