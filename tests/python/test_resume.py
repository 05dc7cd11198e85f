# SPDX-License-Identifier: MIT
"""`compress --resume`: the output is that of an undisturbed run, and what differs is refused."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from file_contents import contents, file_hash
from input_files import (
    Cli,
    Outcome,
    assert_one_sentence,
    write_cbf,
    write_data,
    write_master,
    write_poni,
)
from numpy.typing import NDArray

from h5bragg import Geometry

SmallFrame = Callable[..., NDArray[np.integer]]
NFRAMES = 7


@pytest.fixture
def cbf_paths(tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry) -> list[Path]:
    """A scan; one pixel holds a mask code in the first two frames alone."""
    folder = tmp_path / "in"
    folder.mkdir()
    paths = []
    for number in range(NFRAMES):
        frame = small_frame("int32", number).copy()
        frame[30, 40] = -2 if number < 2 else 1
        path = folder / f"{number}.cbf"
        paths.append(write_cbf(path, frame, small_geometry, angle=0.5 * number))
    return paths


@pytest.fixture
def master(tmp_path: Path, small_frame: SmallFrame, small_geometry: Geometry) -> Path:
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    frames = np.stack([small_frame("uint16", seed) for seed in range(NFRAMES)])
    files = [
        (write_data(folder / "data_1.h5", frames[:4]), 4),
        (write_data(folder / "data_2.h5", frames[4:]), NFRAMES - 4),
    ]
    return write_master(folder / "a_master.h5", files, small_geometry)


def cut(path: Path, nbytes: int) -> bytes:
    """Cuts a file, as when its disk is lost; returns what it held."""
    content = path.read_bytes()
    status = path.stat()
    path.write_bytes(content[:nbytes])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return content


@pytest.mark.parametrize("per_chunk", [1, 3])
@pytest.mark.parametrize("nwhole", [1, 4, 6])
def test_the_output_is_that_of_an_undisturbed_run(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], nwhole: int, per_chunk: int
) -> None:
    expected, output = tmp_path / "expected.h5", tmp_path / "out" / "scan.h5"
    options = ("--frames-per-chunk", per_chunk)
    assert cli("compress", *cbf_paths, "-o", expected, *options).status == 0
    output.parent.mkdir()
    content = cut(cbf_paths[nwhole], 1500)
    found = cli("compress", *cbf_paths, "-o", output, *options)
    nkept = nwhole // per_chunk * per_chunk
    partial = output.with_name("scan.h5.partial")
    assert_one_sentence(found, f"{nwhole}.cbf cannot be read" + f".*; {nkept} of" * (nkept > 0))
    assert [path.name for path in output.parent.iterdir()] == [partial.name] * (nkept > 0)
    kept = partial.read_bytes() if nkept else b""
    cbf_paths[nwhole].write_bytes(content)
    if nkept:
        assert_one_sentence(cli("compress", *cbf_paths, "-o", output, *options), "--resume")
        assert partial.read_bytes() == kept
    found = cli("compress", *cbf_paths, "-o", output, *options, "--resume")
    assert found.status == 0
    assert (f"{partial}: {nkept} of {NFRAMES} frames are there\n" in found.err) == (nkept > 0)
    assert found.out.startswith(f"{output}: {NFRAMES} frames, ")
    assert contents(output) == contents(expected)
    assert [path.name for path in output.parent.iterdir()] == ["scan.h5"]
    if not nkept:
        return
    with h5py.File(output) as file:
        for start in range(0, nkept, per_chunk):
            assert file["entry/data/data"].id.read_direct_chunk((start, 0, 0))[1] in kept


def test_a_master_whose_data_file_is_lost(tmp_path: Path, cli: Cli, master: Path) -> None:
    expected, output = tmp_path / "expected.h5", tmp_path / "scan.h5"
    assert cli("compress", master, "-o", expected).status == 0
    data = master.with_name("data_2.h5")
    whole = tmp_path / "whole.h5"
    shutil.copy2(data, whole)
    with h5py.File(data, "r+") as file:
        chunk = file["entry/data/data"].id
        chunk.write_direct_chunk((1, 0, 0), chunk.read_direct_chunk((1, 0, 0))[1][:-300])
    found = cli("compress", master, "-o", output)
    assert_one_sentence(found, r"frame 1\) cannot be read .*; 5 of 7 frames are kept in")
    shutil.copy2(whole, data)
    # One of its frames is there already: the file is not the one that was read.
    found = cli("compress", master, "-o", output, "--resume")
    assert_one_sentence(found, rf"cannot be resumed, as {data} has changed since: repeat")
    found = cli("compress", master, "-o", output, "--force")
    assert found.status == 0
    assert contents(output) == contents(expected)


def test_other_options_are_named(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], small_geometry: Geometry
) -> None:
    output = tmp_path / "scan.h5"
    cut(cbf_paths[4], 1500)
    assert cli("compress", *cbf_paths, "-o", output).status == 2
    partial = output.with_name("scan.h5.partial")
    content = partial.read_bytes()
    poni = write_poni(tmp_path / "a.poni", small_geometry)
    poni.write_text(poni.read_text().replace("Distance: 0.0", "Distance: 0.1"))
    for arguments, words in (
        ((*cbf_paths, "--snr-pick", 3), r"snr_pick was 4\.0 and is 3\.0"),
        ((*cbf_paths, "--preset", "light"), r"local_step was 1\.5 and is 3\.0"),
        ((*cbf_paths, "--geometry", poni, "--polarization", 0.98), "the geometry differs"),
        ((*cbf_paths, "--frames-per-chunk", 2), "frames a chunk was 1 and is 2"),
        (cbf_paths[:-1], "the number of inputs was 7 and is 6"),
        (cbf_paths[::-1], r"input 1 was .*/0\.cbf and is .*/6\.cbf"),
    ):
        found = cli("compress", *arguments, "-o", output, "--resume")
        assert_one_sentence(found, f"cannot be resumed, as .*{words}")
        assert partial.read_bytes() == content
    cbf_paths[1].touch()
    found = cli("compress", *cbf_paths, "-o", output, "--resume")
    assert_one_sentence(found, "1.cbf has changed since")


def test_without_a_partial_file_it_begins(tmp_path: Path, cli: Cli, cbf_paths: list[Path]) -> None:
    output = tmp_path / "scan.h5"
    assert cli("compress", *cbf_paths, "-o", output, "--resume", "-q") == Outcome(0, "", "")
    assert_one_sentence(cli("compress", *cbf_paths, "-o", output, "--resume"), "exists already")
    assert not output.with_name("scan.h5.partial").exists()


def test_a_damaged_frame_is_made_again(tmp_path: Path, cli: Cli, cbf_paths: list[Path]) -> None:
    expected, output = tmp_path / "expected.h5", tmp_path / "scan.h5"
    assert cli("compress", *cbf_paths, "-o", expected).status == 0
    content = cut(cbf_paths[5], 1500)
    assert cli("compress", *cbf_paths, "-o", output).status == 2
    partial = output.with_name("scan.h5.partial")
    damaged = bytearray(partial.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    partial.write_bytes(damaged)
    cbf_paths[5].write_bytes(content)
    found = cli("compress", *cbf_paths, "-o", output, "--resume")
    assert re.search(r"partial: [1-4] of 7 frames are there", found.err)
    assert contents(output) == contents(expected)


def test_an_input_that_grows_meanwhile_is_told(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left under the output's name, and the inputs are as they were."""
    from h5bragg import writer

    output = tmp_path / "scan.h5"
    decide = writer.MaskBits.pixel_mask

    def grow(*arguments: Any) -> Any:
        with cbf_paths[2].open("ab") as file:
            file.write(b"more")
        return decide(*arguments)

    monkeypatch.setattr(writer.MaskBits, "pixel_mask", grow)
    found = cli("compress", *cbf_paths, "-o", output)
    assert_one_sentence(found, r"2\.cbf has changed while it was read: compress it again when no")
    assert not output.exists()


def test_the_output_is_never_an_input(
    tmp_path: Path, cli: Cli, cbf_paths: list[Path], small_geometry: Geometry
) -> None:
    poni = write_poni(tmp_path / "a.poni", small_geometry)
    linked = tmp_path / "linked.cbf"
    linked.symlink_to(cbf_paths[3])
    before = [file_hash(path) for path in (*cbf_paths, poni)]
    for output in (cbf_paths[0], linked, poni):
        for options in (("--force",), ("--force", "--resume")):
            found = cli("compress", *cbf_paths, "--geometry", poni, "-o", output, *options)
            assert_one_sentence(found, "is an input: choose another name")
    assert [file_hash(path) for path in (*cbf_paths, poni)] == before
