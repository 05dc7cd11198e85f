# SPDX-License-Identifier: MIT
"""`h5bragg info --verify`: every frame decoded, and what is said of those that do not."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from damaged_chunks import DAMAGES, damage_chunk
from input_files import assert_one_sentence, run_cli
from numpy.typing import NDArray

from h5bragg import Bragg, Geometry
from h5bragg.verification import DamagedFrames, count_frames, verify

SmallFrame = Callable[..., NDArray[np.integer]]
FLIPPED, FORGED = (next(d for d in DAMAGES if d.name == name) for name in ("flipped bit", "forged"))


@pytest.fixture
def path(tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry) -> Path:
    """Nine frames, two a chunk, of which one chunk is raw and one unwritten, and a single frame."""
    path = tmp_path / "sparse.h5"
    frames = np.stack([small_frame(seed=seed) for seed in range(9)])
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "entry/data/data", (9, 160, 200), "u2", chunks=(2, 160, 200), **Bragg(small_geometry)
        )
        for start in (0, 2, 8):
            data[start : start + 2] = frames[start : start + 2]
        data.id.write_direct_chunk((4, 0, 0), frames[4:6].tobytes(), filter_mask=1)
        file.create_dataset("one", data=frames[0], chunks=(160, 200), **Bragg(small_geometry))
        file.create_dataset("other", data=frames, compression="gzip")
    return path


def test_all_is_well(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run_cli(capsys, "info", "--verify", path)
    assert (found.status, found.err) == (0, "")
    assert found.out.splitlines() == [
        "/entry/data/data: 5 of 9 frames decode, 0 damaged, 2 stored raw by HDF5, 2 never written",
        "/one: 1 of 1 frames decode, 0 damaged, 0 stored raw by HDF5, 0 never written",
    ]


@pytest.mark.parametrize("threads", [1, 3])
def test_damaged_frames_are_numbered_and_counted(path: Path, threads: int) -> None:
    with h5py.File(path, "r+") as file:
        damage_chunk(file["entry/data/data"], 2, FLIPPED)
        damage_chunk(file["entry/data/data"], 8, FORGED)
        damage_chunk(file["one"], 0, FLIPPED)
    done: list[int] = []
    with h5py.File(path) as file:
        stack, one = verify(file, threads=threads, progress=done.append)
        assert sum(done) == count_frames(file) == 10
    assert (stack.good_frames, stack.raw_frames, stack.unwritten_frames) == (2, 2, 2)
    frames = [(found.first, found.last, found.error) for found in stack.damaged]
    assert frames == [(2, 3, "ChecksumError"), (8, 8, "CorruptChunkError")]
    assert str(stack.damaged[0]).startswith("frames 2 to 3: ChecksumError: the chunk is damaged")
    assert (one.good_frames, one.damaged[0].first, one.damaged[0].last) == (0, 0, 0)


def test_json_for_programs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(path, "r+") as file:
        damage_chunk(file["entry/data/data"], 0, FLIPPED)
    found = run_cli(capsys, "info", "--verify", "--json", "--threads", 2, path)
    assert found.status == 1
    stack, one = json.loads(found.out)["datasets"]
    damaged = DamagedFrames(
        first=0,
        last=1,
        error="ChecksumError",
        sentence="the chunk is damaged: its checksum does not match",
    )
    assert stack == {
        "name": "/entry/data/data",
        "nframes": 9,
        "good_frames": 3,
        "raw_frames": 2,
        "unwritten_frames": 2,
        "damaged": [vars(damaged)],
    }
    assert (one["name"], one["good_frames"], one["damaged"]) == ("/one", 1, [])


def test_chunks_that_the_file_no_longer_holds_are_damaged_frames(
    tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry
) -> None:
    """A transfer that stopped: HDF5 opens such a file only if its description is whole."""
    path = tmp_path / "cut.h5"
    frames = np.stack([small_frame(seed=seed) for seed in range(3)])
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=frames, chunks=(1, 160, 200), **Bragg(small_geometry))
        file.flush()
        chunk = file["data"].id.get_chunk_info_by_coord((2, 0, 0))
    with path.open("r+b") as opened:
        opened.seek(chunk.byte_offset)
        opened.write(b"\0" * chunk.size)
    with h5py.File(path) as file:
        [found] = verify(file)
    assert [frames.error for frames in found.damaged] == ["NotAChunkError"]
    assert found.good_frames == 2


def test_a_dataset_that_cannot_be_read_at_all_is_told(path: Path, small_geometry: Geometry) -> None:
    with h5py.File(path, "r+") as file:
        filters = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        filters.set_chunk((2, 160, 200))
        filters.set_filter(Bragg.filter_id, 0, Bragg(small_geometry).filter_options)
        filters.set_deflate(4)
        space = h5py.h5s.create_simple((3, 160, 200))
        h5py.h5d.create(file.id, b"deflated", h5py.h5t.NATIVE_UINT16, space, filters)
    with h5py.File(path) as file:
        found = {item.name: item for item in verify(file)}
    [damaged] = found["/deflated"].damaged
    assert (damaged.first, damaged.last, damaged.error) == (0, 2, "InputError")
    assert "has further HDF5 filters" in damaged.sentence
    assert found["/one"].damaged == ()


def test_bad_input(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["data"] = np.zeros((2, 3, 4))
    plain = run_cli(capsys, "info", "--verify", tmp_path / "plain.h5")
    assert_one_sentence(plain, "no dataset that h5bragg compressed")
    both = run_cli(capsys, "info", "--verify", "--frames", path)
    assert_one_sentence(both, "either --verify or --frames")
