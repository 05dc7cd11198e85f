# SPDX-License-Identifier: MIT
"""What `h5bragg config` prints, used by h5repack and by a C program."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from hdf5_hosts import (
    Sample,
    decode_sample,
    make_frames,
    make_geometry,
    need_program,
    read_chunks,
    run_host,
)
from input_files import Outcome, run_cli, write_data, write_poni

import h5bragg

SHAPE = (130, 150)
NAME = "entry/data/data"
BITSHUFFLE_ID = 32008
BITSHUFFLE_LZ4 = f"UD={BITSHUFFLE_ID},0,5,0,4,4,0,2"

C_PROGRAM = r"""
#include <stdint.h>
#include <stdio.h>
#include "h5bragg_config.h"

int main(int argc, char **argv)
{
    static uint16_t frame[130 * 150];
    const hsize_t size[3] = {1, 130, 150};
    FILE *pixels = fopen(argv[argc - 2], "rb");
    if (pixels == NULL || fread(frame, sizeof(frame), 1, pixels) != 1)
        return 1;
    fclose(pixels);
    const hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE);
    if (h5bragg_set_filter(dcpl) < 0)
        return 2;
    const hid_t space = H5Screate_simple(3, size, NULL);
    const hid_t file = H5Fcreate(argv[argc - 1], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t data =
        H5Dcreate2(file, "data", H5T_STD_U16LE, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    if (H5Dwrite(data, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, frame) < 0)
        return 3;
    H5Dclose(data);
    H5Pclose(dcpl);
    H5Sclose(space);
    return H5Fclose(file) < 0 ? 4 : 0;
}
"""

Config = Callable[..., Outcome]


@pytest.fixture
def config(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Config:
    """Runs `h5bragg config` for the geometry of make_geometry, written as a PONI file."""
    poni = write_poni(tmp_path / "a.poni", make_geometry(SHAPE))
    return lambda *options: run_cli(capsys, "config", "--geometry", poni, *options)


def repack(source: Path, target: Path, *options: str) -> None:
    folders = f"{h5bragg.PLUGIN_PATH}:{hdf5plugin.PLUGIN_PATH}"
    h5repack = need_program("h5repack")
    done = run_host(h5repack, *options, source, target, HDF5_PLUGIN_PATH=folders)
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stderr


def encoded(frames: np.ndarray, poni: Path, **params: float) -> list[bytes]:
    geometry = h5bragg.Geometry.from_file(poni)
    return [h5bragg.encode(frame, geometry, h5bragg.SparsifyParams(**params)) for frame in frames]


@pytest.mark.parametrize("options", [(), ("--optional",)], ids=str)
@pytest.mark.parametrize("dtype", ["u2", "i4"])
def test_h5repack_makes_a_bitshuffle_file_sparse_and_back(
    config: Config, tmp_path: Path, dtype: str, options: tuple[str]
) -> None:
    frames = make_frames(3, SHAPE, dtype, seed=4)
    raw = write_data(tmp_path / "raw.h5", frames, NAME)
    sparse = tmp_path / "sparse.h5"
    printed = config("--format", "h5repack", "--snr-pick", 3, *options).out
    repack(raw, sparse, "-f", f"{NAME}:{printed.strip()}")
    sample = Sample(sparse, NAME, frames, make_geometry(SHAPE))
    assert read_chunks(sample) == encoded(frames, tmp_path / "a.poni", snr_pick=3)

    restored = decode_sample(sample)
    for filter_id, option in ((BITSHUFFLE_ID, BITSHUFFLE_LZ4), (1, "GZIP=1")):
        dense = tmp_path / "dense.h5"
        repack(sparse, dense, "-f", f"{NAME}:{option}")
        with h5py.File(dense, "r") as file:
            assert file[NAME].id.get_create_plist().get_filter(0)[0] == filter_id
            np.testing.assert_array_equal(file[NAME][...], restored)


def test_the_hint_makes_chunks_of_whole_frames(config: Config, tmp_path: Path) -> None:
    """The input's chunks cut frames."""
    frames = make_frames(4, SHAPE, "u2", seed=5)
    raw, sparse = tmp_path / "raw.h5", tmp_path / "sparse.h5"
    with h5py.File(raw, "w") as file:
        file.create_dataset(NAME, data=frames, chunks=(1, 50, 50), compression="gzip")
    found = config("--format", "h5repack", "--frames-per-chunk", 2)
    hint = next(word for word in found.err.split() if word.startswith("NAME:CHUNK="))
    layout = hint.replace("NAME", NAME)
    repack(raw, sparse, "-l", layout, "-f", f"{NAME}:{found.out.strip()}")
    geometry = h5bragg.Geometry.from_file(tmp_path / "a.poni")
    expected = [h5bragg.encode(frames[:2], geometry), h5bragg.encode(frames[2:], geometry)]
    assert read_chunks(Sample(sparse, NAME, frames, geometry)) == expected


@pytest.mark.parametrize("options", [(), ("--optional",)], ids=str)
def test_the_c_source_compiles_and_writes(
    config: Config, tmp_path: Path, options: tuple[str]
) -> None:
    h5cc = shutil.which("h5cc")
    if h5cc is None:
        pytest.skip("h5cc is not installed: Debian has it in libhdf5-dev")
    source, program = tmp_path / "writer.c", tmp_path / "writer"
    source.write_text(C_PROGRAM)
    header = tmp_path / "h5bragg_config.h"
    assert config("--format", "c", *options, "-o", header).status == 0
    # Not -Wconversion: HDF5's own headers are not clean under it.
    warnings = ("-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}")
    done = run_host(h5cc, "-shlib", *warnings, source, "-o", program, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    frames = make_frames(1, SHAPE, "u2", seed=6)
    frames.tofile(tmp_path / "pixels")
    output = tmp_path / "c.h5"
    done = run_host(program, tmp_path / "pixels", output)
    assert (done.returncode, done.stderr) == (0, "")
    sample = Sample(output, "data", frames, make_geometry(SHAPE))
    assert read_chunks(sample) == encoded(frames, tmp_path / "a.poni")
