# SPDX-License-Identifier: MIT
"""A C program that writes through H5Zbragg.h, against Debian's HDF5."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_hosts import run_host

import h5bragg

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include "H5Zbragg.h"

int main(int argc, char **argv)
{
    const h5bragg_flat detector = {96, 80, 75e-6f, 75e-6f, 0.1f, 50.0f, 40.0f, 1e-10f, 0, 0, 0};
    h5bragg_params params;
    uint32_t cd_values[H5BRAGG_CONFIG_NWORDS];
    const hsize_t chunk[3] = {1, 96, argc > 2 ? (hsize_t)atoi(argv[2]) : 80};
    const hsize_t size[3] = {2, 96, 80};
    static uint16_t frames[2 * 96 * 80];
    for (size_t k = 0; k < 2 * 96 * 80; k++)
        frames[k] = (uint16_t)(k % 977 == 0 ? 500 : (k * 2654435761u >> 16) % 5);
    h5bragg_params_init(&params);
    params.snr_pick = 3.0;
    if (h5bragg_config_flat(&detector, &params, cd_values) != H5BRAGG_OK)
        return 2;
    const hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE);
    const hid_t space = H5Screate_simple(3, size, NULL);
    const hid_t file = H5Fcreate(argv[1], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Pset_chunk(dcpl, 3, chunk);
    if (H5Pset_bragg(dcpl, cd_values) < 0)
        return 3;
    const hid_t data =
        H5Dcreate(file, "data", H5T_NATIVE_UINT16, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    if (data < 0)
        return 4;
    if (H5Dwrite(data, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, frames) < 0)
        return 5;
    H5Dclose(data);
    H5Pclose(dcpl);
    H5Sclose(space);
    return H5Fclose(file) < 0 ? 6 : 0;
}
"""


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program."""
    h5cc = shutil.which("h5cc")
    if h5cc is None:
        pytest.skip("h5cc is not installed: Debian has it in libhdf5-dev")
    folder = tmp_path_factory.mktemp("writer")
    source = folder / "writer.c"
    source.write_text(PROGRAM)
    config = h5bragg.get_config()
    program = folder / "writer"
    warnings = ("-Wall", "-Wextra", "-Werror")
    # HDF5's own headers are not clean under -Wconversion, so that one is left out here.
    library = (config["library"], f"-Wl,-rpath,{config['plugin_path']}")
    include = f"-I{config['include_path']}"
    done = run_host(h5cc, "-std=c11", *warnings, include, source, "-o", program, *library)
    assert done.returncode == 0, done.stderr
    return program


def test_a_c_program_writes_what_python_reads(writer: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.h5"
    done = run_host(writer, path)
    assert done.returncode == 0, done.stderr
    k = np.arange(2 * 96 * 80, dtype=np.uint64)
    counts = np.where(k % 977 == 0, 500, (k * 2654435761 >> 16) % 5)
    frames = counts.astype("u2").reshape(2, 96, 80)
    with h5py.File(path, "r") as file:
        mask, chunk = file["data"].id.read_direct_chunk((0, 0, 0))
        restored = file["data"][...]
    assert mask == 0
    assert h5bragg.inspect(chunk).params.snr_pick == 3.0
    np.testing.assert_array_equal(restored[frames == 500], 500)
    assert (restored == 500).sum() == (frames == 500).sum()


def test_a_c_program_is_told_which_chunks_would_do(writer: Path, tmp_path: Path) -> None:
    done = run_host(writer, tmp_path / "c.h5", "40")
    assert done.returncode == 4
    assert "create the dataset with chunks=(1, 96, 80), not (1, 96, 40)" in done.stderr
