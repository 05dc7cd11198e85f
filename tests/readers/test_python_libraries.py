# SPDX-License-Identifier: MIT
"""Python libraries that read HDF5 files, each with the HDF5 that its wheel brings."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hdf5_hosts import Sample, decode_sample, run_host

# Each sets `frames` from `path` and prints the version of its HDF5 if it has its own.
SCRIPTS = {
    "PyTables": """
import tables
print(tables.hdf5_version)
with tables.open_file(path) as file:
    frames = file.get_node("/entry/data/data")[:]
""",
    "netCDF4": """
import netCDF4
print(netCDF4.__hdf5libversion__)
with netCDF4.Dataset(path) as file:
    variable = file["entry/data"].variables["data"]
    variable.set_auto_maskandscale(False)
    frames = variable[:]
""",
    "FabIO": """
import fabio
with fabio.open(path) as file:
    frames = numpy.stack([file.getframe(k).data for k in range(file.nframes)])
""",
    "FabIO, by dataset": """
import fabio
with fabio.open(path + "::/entry/data/data") as file:
    frames = numpy.stack([file.getframe(k).data for k in range(file.nframes)])
""",
    "silx.io": """
import silx.io
with silx.io.open(path) as file:
    frames = file["entry/data/data"][()]
""",
    "silx.io, by URL": """
import silx.io.utils
frames = silx.io.utils.get_data(f"silx:{path}?path=/entry/data/data")
""",
    "xarray with h5netcdf": """
import xarray
with xarray.open_dataset(path, group="entry/data", engine="h5netcdf", phony_dims="sort") as data:
    frames = data["data"].values
""",
    "xarray with netCDF4": """
import xarray
with xarray.open_dataset(path, group="entry/data", engine="netcdf4") as data:
    frames = data["data"].values
""",
}
FRAME = """
import sys, numpy
path, out = sys.argv[1:]
{}
numpy.save(out, numpy.asarray(frames))
"""


def read(python: str, library: str, sample: Sample, out: Path, **variables: str) -> np.ndarray:
    script = FRAME.format(SCRIPTS[library])
    done = run_host(python, "-c", script, sample.path, out, **variables)
    assert done.returncode == 0, done.stderr
    return np.load(out)


@pytest.mark.slow
@pytest.mark.parametrize("library", SCRIPTS)
def test_a_library_that_knows_nothing_of_h5bragg_returns_the_decoded_frames(
    readers_python: str, make_sample: Callable[..., Sample], tmp_path: Path, library: str
) -> None:
    sample = make_sample("u2")
    frames = read(readers_python, library, sample, tmp_path / "out.npy")
    assert frames.dtype == sample.frames.dtype
    np.testing.assert_array_equal(frames, decode_sample(sample))


@pytest.mark.slow
@pytest.mark.parametrize("library", SCRIPTS)
def test_the_same_without_noise(
    readers_python: str, make_sample: Callable[..., Sample], tmp_path: Path, library: str
) -> None:
    sample = make_sample("u2")
    frames = read(readers_python, library, sample, tmp_path / "out.npy", H5BRAGG_FILL="mean")
    np.testing.assert_array_equal(frames, decode_sample(sample, "mean"))
