# SPDX-License-Identifier: MIT
"""A C program that writes through H5Zbragg.h, against Debian's HDF5."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_hosts import need_program, run_host

import h5bragg

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include "H5Zbragg.h"

int main(int argc, char **argv)
{
    if (argc != 5)
        return 1;
    const h5bragg_flat detector = {96, 80, 75e-6f, 75e-6f, 0.1f, 50.0f, 40.0f, 1e-10f, 0, 0, 0};
    h5bragg_params params;
    uint32_t cd_values[H5BRAGG_CONFIG_NWORDS];
    const hsize_t modules = (hsize_t)atoi(argv[4]);
    const hsize_t chunk[4] = {1, modules, 96 / modules, (hsize_t)atoi(argv[2])};
    const hid_t type = strcmp(argv[3], "float") ? H5T_STD_U16BE : H5T_IEEE_F32LE;
    const hsize_t size[4] = {2, modules, 96 / modules, 80};
    static uint16_t frames[2 * 96 * 80];
    for (size_t k = 0; k < 2 * 96 * 80; k++)
        frames[k] = (uint16_t)(k % 977 == 0 ? 500 : (k * 2654435761u >> 16) % 5);
    h5bragg_params_init(&params);
    params.snr_pick = 3.0;
    if (h5bragg_config_flat(&detector, &params, cd_values) != H5BRAGG_OK)
        return 2;
    const hid_t dcpl = H5Pcreate(H5P_DATASET_CREATE);
    const hid_t space = H5Screate_simple(4, size, NULL);
    const hid_t file = H5Fcreate(argv[1], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Pset_chunk(dcpl, 4, chunk);
    if (H5Pset_bragg(dcpl, type, cd_values) < 0) {
        H5Eprint2(H5E_DEFAULT, stderr);
        return 3;
    }
    const hid_t data =
        H5Dcreate(file, "data", type, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
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


@pytest.fixture(scope="module", params=["dynamic", "static"])
def writer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program; in a static one the plugin cannot see HDF5 at all."""
    h5cc = need_program("h5cc", "libhdf5-dev")
    folder = tmp_path_factory.mktemp("writer")
    source = folder / "writer.c"
    source.write_text(PROGRAM)
    config = h5bragg.get_config()
    program = folder / "writer"
    linking = "-shlib" if request.param == "dynamic" else "-noshlib"
    # Not -Wconversion: HDF5's own headers are not clean under it.
    options = (linking, "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{config['include_path']}")
    library = (config["library"], f"-Wl,-rpath,{config['plugin_path']}")
    done = run_host(h5cc, *options, source, "-o", program, *library, folder=folder)
    assert done.returncode == 0, done.stderr
    links_hdf5 = "libhdf5" in run_host("ldd", program).stdout
    assert links_hdf5 == (request.param == "dynamic")
    return program


@pytest.mark.parametrize("modules", [1, 4])
def test_a_c_program_writes_what_python_reads(writer: Path, tmp_path: Path, modules: int) -> None:
    """And needs no plugin path: the library that it links is the filter."""
    path = tmp_path / "c.h5"
    nowhere = {"HDF5_PLUGIN_PATH": str(tmp_path)}
    done = run_host(writer, path, "80", "uint16", str(modules), **nowhere)
    assert (done.returncode, done.stderr) == (0, "")
    k = np.arange(2 * 96 * 80, dtype=np.uint64)
    counts = np.where(k % 977 == 0, 500, (k * 2654435761 >> 16) % 5)
    frames = counts.astype("u2").reshape(2, 96, 80)
    with h5py.File(path, "r") as file:
        mask, chunk = file["data"].id.read_direct_chunk((0, 0, 0, 0))
        assert file["data"].shape == (2, modules, 96 // modules, 80)
        restored = file["data"][...].reshape(2, 96, 80)
    assert mask == 0
    assert h5bragg.inspect(chunk).params.snr_pick == 3.0
    assert restored.dtype == np.dtype(">u2")
    np.testing.assert_array_equal(restored[frames == 500], 500)
    assert (restored == 500).sum() == (frames == 500).sum()


@pytest.mark.parametrize(
    ("width", "type_name", "reason"),
    [
        ("40", "uint16", "the frame's shape is"),
        ("80", "float", "pixels must be uint8, uint16, uint32, int16 or int32"),
    ],
)
def test_a_c_program_is_told_what_is_wrong(
    writer: Path, tmp_path: Path, width: str, type_name: str, reason: str
) -> None:
    done = run_host(writer, tmp_path / "c.h5", width, type_name, "2")
    assert done.returncode == 3
    assert reason in done.stderr
