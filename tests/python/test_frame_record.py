# SPDX-License-Identifier: MIT
"""`h5bragg info --frames` and `--json`: how every single frame is stored."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from input_files import assert_one_sentence, run_cli
from numpy.typing import NDArray

import h5bragg
from h5bragg import Bragg, Geometry
from h5bragg.frame_record import FrameRecord, frame_records
from h5bragg.sparse_dataset import SparseDataset

SmallFrame = Callable[..., NDArray[np.integer]]

NPIXELS = 160 * 200
RAW_NBYTES = 2 * NPIXELS
GAP = 4 * 200  # pixels of small_frame's gap, and of its bad pixels
BAD = 2 * 3


@pytest.fixture
def path(tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry) -> Path:
    """Frames stored in every way: sparse, lossless (noise over the whole range), raw, none."""
    path = tmp_path / "kinds.h5"
    noise = np.random.default_rng(1).integers(0, 60000, (160, 200)).astype("u2")
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "entry/data/data", (4, 160, 200), "u2", chunks=(1, 160, 200), **Bragg(small_geometry)
        )
        data[0] = small_frame()
        data[1] = noise
        data.id.write_direct_chunk((2, 0, 0), small_frame().tobytes(), filter_mask=1)
    return path


def records(path: Path) -> list[FrameRecord]:
    with h5py.File(path) as file:
        return list(frame_records(SparseDataset(file["entry/data/data"])))


def test_frames_of_every_kind(path: Path, small_frame: SmallFrame, small_geometry) -> None:
    chunk = h5bragg.encode(small_frame(), small_geometry)
    sparse, lossless, raw, unwritten = records(path)
    exact = len(h5bragg.unpack(chunk).index)
    assert 0 < exact < NPIXELS
    assert sparse == FrameRecord(
        frame=0,
        stored="sparse",
        stored_nbytes=len(chunk),
        raw_nbytes=RAW_NBYTES,
        exact_pixels=exact,
        masked_pixels=GAP + BAD,
    )
    assert sparse.ratio == RAW_NBYTES / len(chunk)
    assert (lossless.stored, lossless.exact_pixels) == ("lossless", NPIXELS)
    assert (raw.stored, raw.ratio, raw.exact_pixels) == ("raw", 1, NPIXELS)
    assert unwritten == FrameRecord(
        frame=3, stored="unwritten", stored_nbytes=0, raw_nbytes=RAW_NBYTES
    )
    assert unwritten.ratio == 0


def test_frames_of_a_chunk_are_told_apart(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    """Five frames in threes: the last chunk is filled up with a frame that does not count."""
    frames = np.stack([small_frame("uint16", seed) for seed in range(5)])
    frames[1] = np.random.default_rng(1).integers(0, 60000, (160, 200))
    frames[2, :20] = 65535
    path = tmp_path / "threes.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "entry/data/data", data=frames, chunks=(3, 160, 200), **Bragg(small_geometry)
        )
        stored = file["entry/data/data"].id.read_direct_chunk((0, 0, 0))[1]
    found = records(path)
    assert [record.frame for record in found] == list(range(5))
    assert [record.stored for record in found] == ["sparse", "lossless", *3 * ["sparse"]]
    assert {record.stored_nbytes for record in found[:3]} == {len(stored) // 3}
    assert [record.masked_pixels for record in found] == [
        np.count_nonzero(frame >= 65534) for frame in frames
    ]
    for record, frame in zip(found, frames, strict=True):
        if record.stored == "sparse":
            alone = h5bragg.unpack(h5bragg.encode(frame, small_geometry))
            assert record.exact_pixels == len(alone.index)
    with h5py.File(path) as file:
        totals = SparseDataset(file["entry/data/data"]).totals()
    assert totals.picked_pixels == sum(r.exact_pixels or 0 for r in found if r.stored == "sparse")


def test_info_lists_frames(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "unwritten" not in run_cli(capsys, "info", path).out
    found = run_cli(capsys, "info", path, "--frames")
    assert (found.status, found.err) == (0, "")
    table = [line.split() for line in found.out.splitlines()[-5:]]
    assert table[0] == ["frame", "stored", "bytes", "ratio", "exact", "masked"]
    for line, record in zip(table[1:], records(path), strict=True):
        assert line[:3] == [str(record.frame), record.stored, str(record.stored_nbytes)]
        if record.stored == "unwritten":
            assert len(line) == 3
        else:
            assert float(line[3]) == pytest.approx(record.ratio, rel=1e-3)
            assert line[4:] == [str(record.exact_pixels), str(record.masked_pixels)]


def test_info_prints_json(
    path: Path, capsys: pytest.CaptureFixture[str], small_geometry: Geometry
) -> None:
    (data,) = json.loads(run_cli(capsys, "info", path, "--json").out)["datasets"]
    assert (data["name"], data["shape"]) == ("/entry/data/data", [4, 160, 200])
    assert (data["dtype"], data["filters"]) == ("uint16", ["H5Z-BRAGG"])
    assert (data["totals"]["sparse_frames"], data["totals"]["lossless_frames"]) == (1, 1)
    assert (data["totals"]["unfiltered_frames"], data["missing_frames"]) == (1, 1)
    assert (data["format_version"], data["params"]["snr_pick"]) == (2, 4)
    assert data["geometry"]["shape"] == [160, 200]
    origin_m = small_geometry.panels[0].origin_m
    assert data["geometry"]["panels"][0]["origin_m"] == pytest.approx(origin_m, rel=1e-6)
    assert data["frames"] is None
    (data,) = json.loads(run_cli(capsys, "info", path, "--json", "--frames").out)["datasets"]
    assert [FrameRecord(**record) for record in data["frames"]] == records(path)


def test_info_of_other_datasets_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plain.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.zeros((2, 3, 4)), compression="gzip")
    (data,) = json.loads(run_cli(capsys, "info", path, "--json", "--frames").out)["datasets"]
    assert (data["name"], data["filters"], data["frames"]) == ("/a", ["deflate"], None)
    assert "params" not in data
    assert run_cli(capsys, "info", path, "--frames").out.startswith("/a: 2 x 3 x 4 float64")


def test_a_damaged_chunk_is_named(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(path, "r+") as file:
        data = file["entry/data/data"].id
        data.write_direct_chunk((1, 0, 0), data.read_direct_chunk((1, 0, 0))[1][:-9])
    assert_one_sentence(run_cli(capsys, "info", path, "--frames"), "frame 1: ")
    with pytest.raises(h5bragg.H5braggError, match="frame 1: "):
        records(path)
