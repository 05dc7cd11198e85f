# SPDX-License-Identifier: MIT
"""Interpreters with other HDF5 libraries, and small datasets written through the filter."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from hdf5_hosts import Sample, host_environment, make_frames, make_geometry
from installed_library import Installation, build_examples, install
from virtual_environments import make_environment

import h5bragg

SYSTEM_PYTHON = "/usr/bin/python3"
OLDEST_H5PY = ("h5py==3.8.0", "numpy<2")
READERS = ("h5py==3.14.0", "fabio", "h5netcdf", "netCDF4", "silx", "tables", "xarray")
FIXTURES = {
    "system h5py": "system_python",
    "h5py wheel, HDF5 1.12": "oldest_python",
    "h5py wheel, HDF5 1.14": "readers_python",
}


@pytest.fixture(scope="session")
def system_python() -> str:
    """Debian's own Python with Debian's h5py, which links the system's HDF5."""
    probe = (
        subprocess.run([SYSTEM_PYTHON, "-c", "import h5py"], env=host_environment(), check=False)
        if Path(SYSTEM_PYTHON).exists()
        else None
    )
    if probe is None or probe.returncode != 0:
        pytest.skip("the system's Python has no h5py: Debian has it in python3-h5py")
    return SYSTEM_PYTHON


@pytest.fixture(scope="session")
def oldest_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python with the oldest h5py wheel that h5bragg supports: HDF5 1.12."""
    if sys.version_info >= (3, 12):
        pytest.skip(f"there is no wheel of {OLDEST_H5PY[0]} for this Python")
    return make_environment(tmp_path_factory, "oldest", OLDEST_H5PY)


@pytest.fixture(scope="session")
def readers_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python with HDF5 1.14 in its h5py, and other libraries that read HDF5 files."""
    if sys.version_info >= (3, 14):
        pytest.skip(f"there is no wheel of {READERS[0]} for this Python")
    return make_environment(tmp_path_factory, "readers", READERS)


@pytest.fixture(
    params=[
        "h5py wheel",
        pytest.param("system h5py", marks=pytest.mark.slow),
        pytest.param("h5py wheel, HDF5 1.12", marks=pytest.mark.slow),
        pytest.param("h5py wheel, HDF5 1.14", marks=pytest.mark.slow),
    ]
)
def python_host(request: pytest.FixtureRequest) -> str:
    """Interpreters that each bring another HDF5 library."""
    if request.param == "h5py wheel":
        return sys.executable
    interpreter: str = request.getfixturevalue(FIXTURES[request.param])
    return interpreter


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """What `cmake --install` makes, moved away from the prefix it was made for."""
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="session")
def examples(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the example programs, built as users build them."""
    return build_examples(installation, tmp_path_factory.mktemp("examples"))


@pytest.fixture
def make_sample(tmp_path: Path) -> Callable[..., Sample]:
    """Writes a dataset through the filter in this process."""

    def make(
        dtype: str = "u4",
        *,
        count: int = 3,
        frames_per_chunk: int = 1,
        shape: tuple[int, int] = (211, 187),
        **params: float | str,
    ) -> Sample:
        geometry = make_geometry(shape)
        frames = make_frames(count, shape, dtype, seed=len(dtype) + count)
        path = tmp_path / "sample.h5"
        with h5py.File(path, "w") as file:
            dataset = file.create_dataset(
                "entry/data/data",
                data=frames,
                chunks=(frames_per_chunk, *shape),
                **h5bragg.Bragg(geometry, **params),
            )
            file.flush()
            mask, chunk = dataset.id.read_direct_chunk((0, 0, 0))
            assert mask == 0
            assert len(chunk) < frames[:frames_per_chunk].nbytes / 2
        return Sample(path, "entry/data/data", frames, geometry)

    return make
