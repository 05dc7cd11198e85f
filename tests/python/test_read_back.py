# SPDX-License-Identifier: MIT
"""`--verify`: every kind of fault is found, before a file takes its name, and no other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from file_contents import contents
from input_files import Cli, assert_one_sentence, write_data, write_poni
from numpy.typing import NDArray

import h5bragg
from h5bragg import Geometry, SparsifyParams, read_back
from h5bragg.comparison import FramePair, thresholds
from h5bragg.geometry import NO_RING, Panel
from h5bragg.read_back import first_fault, tile_map, tile_sum

SmallFrame = Callable[..., NDArray[np.integer]]
NAME = "entry/data/data"


def pair_of(frame: NDArray[Any], geometry: Geometry, **options: Any) -> FramePair:
    chunk = h5bragg.encode(frame, geometry, SparsifyParams(**options))
    return FramePair(frame, h5bragg.decode(chunk), h5bragg.unpack(chunk), h5bragg.inspect(chunk))


def fault(pair: FramePair, restored: NDArray[Any] | None = None) -> str | None:
    changed = pair.restored if restored is None else restored
    return first_fault(FramePair(pair.raw, changed, pair.sparse, pair.info), tile_map(pair.info))


@pytest.mark.parametrize("level", [0.02, 0.3, 3, 50, 800])
@pytest.mark.parametrize("kind", ["counts", "charge", "clumped"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"local_step": 3.0},
        {"local_step": 0.5, "coarse_limit": 0},
        {"coarse_limit": 64},
        {"error_model": "azimuthal"},
        {"local_counts": 0, "snr_pick": 2.0},
    ],
    ids=str,
)
def test_good_frames_have_no_fault(
    small_geometry: Geometry, kind: str, level: float, options: dict[str, Any]
) -> None:
    """Whatever the background is like, in the light and in a shadow."""
    random = np.random.default_rng(3)
    mean = level * (0.3 + np.exp(-((small_geometry.two_theta_rad() / 0.3) ** 2)))
    mean[:60, :70] *= 0.3
    counts = random.poisson(mean)
    if kind == "charge":
        counts += random.normal(0, 2 + level**0.5, counts.shape).round().astype(int)
    elif kind == "clumped":
        counts = 2 * random.poisson(mean / 2)
    counts[random.integers(0, 160, 50), random.integers(0, 200, 50)] += 200
    frame = counts.astype("int32" if kind == "charge" else "uint16")
    frame[80:84] = -1 if kind == "charge" else 65535
    assert fault(pair_of(frame, small_geometry, **options)) is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("options", [{}, {"error_model": "azimuthal"}], ids=str)
def test_tiles_on_no_one_panel_have_no_threshold(options: dict[str, Any]) -> None:
    """Six panels whose edges are not those of tiles, one of them partly masked."""
    shape = (150, 202)
    panels = [
        Panel(
            slow=(50 * row, 50 * row + 50),
            fast=(101 * column, 101 * column + 101),
            origin_m=(0.0131 * column - 0.012, 0.0063 * row - 0.01, 0.1),
            slow_m=(0, 1e-4, 0),
            fast_m=(1e-4, 0, 0),
        )
        for row in range(3)
        for column in range(2)
    ]
    mask = np.zeros(shape, bool)
    mask[60:70, 30:55] = True
    geometry = Geometry.from_panels(panels, shape=shape, distance_m=0.1, wavelength_m=1e-10)
    frame = np.random.default_rng(3).poisson(6, shape).astype("u2")
    pair = pair_of(frame, geometry.with_mask(mask), **options)
    tiles = tile_map(pair.info)
    limit = thresholds(pair.sparse, pair.info.params, tiles.ring, tiles.normalisation)
    on_none = tiles.ring == NO_RING
    assert on_none.any()
    assert np.isposinf(limit[on_none]).all()
    assert np.isfinite(limit[~on_none]).all()
    assert fault(pair) is None


def test_each_fault_is_named(small_frame: SmallFrame, small_geometry: Geometry) -> None:
    pair = pair_of(small_frame("uint16"), small_geometry)
    drawn = ~(pair.is_masked() | pair.is_picked())
    first = tuple(np.argwhere(drawn)[1000])
    for where, words in (
        (tuple(np.argwhere(pair.is_picked())[5]), "1 pixels that are stored exactly"),
        (tuple(np.argwhere(pair.is_masked())[5]), "1 masked pixels"),
        (first, "1 tiles in which a pixel above the threshold was restored"),
    ):
        changed = pair.restored.copy()
        changed[where] ^= 64
        assert fault(pair, changed) == words
    raw = pair.raw.copy()
    raw[first] = 40
    left_out = FramePair(raw, pair.restored, pair.sparse, pair.info)
    assert fault(left_out) == "1 tiles in which a pixel above the threshold was left out"


def test_counts_that_moved_are_found(small_frame: SmallFrame, small_geometry: Geometry) -> None:
    """Where the noise lies does not matter, but how much of it a tile has."""
    frame = small_frame("uint16")
    pair = pair_of(frame, small_geometry)
    drawn = ~(pair.is_masked() | pair.is_picked())
    whole = tile_sum(drawn) == 16
    tiles = pair.restored.reshape(40, 4, 50, 4).swapaxes(1, 2).copy()
    tiles[whole] = tiles[whole].swapaxes(1, 2)
    within = tiles.swapaxes(1, 2).reshape(frame.shape)
    assert (within != pair.restored).any()
    assert fault(pair, within) is None
    lost = pair.restored.copy()
    lost[drawn & (np.arange(200) % 40 < 4)] = 0
    assert str(fault(pair, lost)).startswith("the counts of ")
    flat = pair_of(frame, small_geometry, local_counts=0, snr_pick=4.0)
    info = pair.info
    without = FramePair(frame, flat.restored, flat.sparse, info)
    assert str(first_fault(without, tile_map(info))).startswith("the counts of ")


def test_a_frame_that_is_stored_whole(small_geometry: Geometry) -> None:
    frame = np.random.default_rng(1).integers(0, 60000, small_geometry.shape).astype("u2")
    pair = pair_of(frame, small_geometry)
    assert pair.sparse.is_lossless
    assert fault(pair) is None
    assert fault(pair, frame + (np.arange(200) < 3)) == "480 pixels of a frame that is stored whole"


@pytest.mark.parametrize(
    "name", ["thaumatin", "fine_slice", pytest.param("eiger", marks=pytest.mark.slow)]
)
def test_real_frames_have_no_fault(name: str, request: pytest.FixtureRequest) -> None:
    frame = request.getfixturevalue(name)
    assert fault(pair_of(frame.pixels, frame.geometry)) is None


@pytest.fixture
def inputs(tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry) -> list[Any]:
    """Arguments of `compress`: a data file and a geometry."""
    frames = np.stack([small_frame("uint16", seed) for seed in range(5)])
    frames[3] = np.random.default_rng(1).integers(0, 60000, frames[3].shape)
    data = write_data(tmp_path / "data.h5", frames)
    return [data, "--geometry", write_poni(tmp_path / "a.poni", small_geometry)]


@pytest.mark.parametrize("per_chunk", [1, 2])
def test_good_output_passes(tmp_path: Path, cli: Cli, inputs: list[Any], per_chunk: int) -> None:
    output, expected = tmp_path / "out.h5", tmp_path / "expected.h5"
    options = ("--frames-per-chunk", per_chunk)
    assert cli("compress", *inputs, "-o", expected, *options).status == 0
    found = cli("compress", *inputs, "-o", output, *options, "--verify")
    assert (found.status, found.err) == (0, "")
    assert contents(output) == contents(expected)
    dense = tmp_path / "dense.h5"
    for fill in ("noise", "mean"):
        found = cli("densify", output, "-o", dense, "--verify", "--force", "--fill", fill)
        assert (found.status, found.err) == (0, "")
    assert not list(tmp_path.glob("*.failed"))


def flip(data: h5py.Dataset) -> None:
    chunk = bytearray(data.id.read_direct_chunk((2, 0, 0))[1])
    chunk[len(chunk) // 2] ^= 1
    data.id.write_direct_chunk((2, 0, 0), bytes(chunk))


def exchange(data: h5py.Dataset) -> None:
    """The chunks are good, but that of frame 1 is in the place of frame 2."""
    data.id.write_direct_chunk((2, 0, 0), data.id.read_direct_chunk((1, 0, 0))[1])


def store_raw(data: h5py.Dataset) -> None:
    data.id.write_direct_chunk((2, 0, 0), bytes(2 * 160 * 200), filter_mask=1)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flip, "frame 2 cannot be read back: .*checksum"),
        (exchange, "frame 2 differs from the input: [0-9]+ pixels that are stored exactly"),
        (store_raw, "frame 2 was not stored by h5bragg's filter"),
    ],
)
def test_a_file_that_is_not_right_does_not_take_its_name(
    cli: Cli,
    inputs: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[h5py.Dataset], None],
    words: str,
) -> None:
    """Between writing and reading, the disk spoils it."""

    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            damage(file[NAME])

    monkeypatch.setattr(read_back, "_forget", spoil)
    out = inputs[0].parent / "out"
    out.mkdir()
    found = cli("compress", *inputs, "-o", out / "scan.h5", "--verify")
    kept = f"what was is kept as {out / 'scan.h5.failed'}$"
    assert_one_sentence(found, f"scan.h5 was not written: {words}.*; {kept}", status=1)
    assert [path.name for path in out.iterdir()] == ["scan.h5.failed"]


def test_a_dense_file_that_is_not_right_does_not_take_its_name(
    tmp_path: Path, cli: Cli, inputs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file[NAME][3, 4, 5] += 1

    sparse, out = tmp_path / "scan.h5", tmp_path / "out"
    out.mkdir()
    assert cli("compress", *inputs, "-o", sparse).status == 0
    monkeypatch.setattr(read_back, "_forget", spoil)
    found = cli("densify", sparse, "-o", out / "dense.h5", "--verify")
    assert_one_sentence(found, f"was not written: /{NAME}, frame 3, differs from", status=1)
    assert [path.name for path in out.iterdir()] == ["dense.h5.failed"]


def test_frames_that_were_left_out_are_not_compared(
    tmp_path: Path, cli: Cli, inputs: list[Any], small_frame: SmallFrame
) -> None:
    """With --min-peaks, frames of the file have other numbers than those of the input."""
    frames = np.stack([small_frame("uint16", seed) for seed in range(5)])
    for place in range(20, 150, 12):
        frames[[1, 2, 4], 20:23, place : place + 3] += 50
        frames[[1, 2, 4], 120:123, place : place + 3] += 50
    write_data(inputs[0], frames)
    output = tmp_path / "out.h5"
    found = cli("compress", *inputs, "-o", output, "--verify", "--peaks", "--min-peaks", 15)
    assert (found.status, found.err) == (0, "")
    with h5py.File(output) as file:
        assert len(file[NAME]) == 3
