# SPDX-License-Identifier: MIT
"""The Python package under the oldest h5py and NumPy that it promises to work with."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_hosts import make_frames, make_geometry, run_host
from virtual_environments import install_wheels

import h5bragg

WRITE_SCRIPT = """
import sys, h5py, numpy, h5bragg
path, source = sys.argv[1:]
frames = numpy.load(source)
geometry = h5bragg.Geometry.flat(shape=frames.shape[1:], pixel_size_m=172e-6, distance_m=0.12,
                                 beam_center_px=(0.55 * frames.shape[1], 0.45 * frames.shape[2]),
                                 wavelength_m=1e-10, rotations_rad=(0.01, -0.02, 0.0))
with h5py.File(path, "w") as file:
    for name, how in (("keywords", dict(h5bragg.Bragg(geometry))),
                      ("object", {"compression": h5bragg.Bragg(geometry)})):
        file.create_dataset(name, data=frames, chunks=(1, *frames.shape[1:]), **how)
print(h5py.__version__)
"""


@pytest.mark.slow
def test_the_package_writes_the_same_chunks(oldest_python: str, tmp_path: Path) -> None:
    site = run_host(oldest_python, "-c", "import site; print(site.getsitepackages()[0])")
    package = Path(site.stdout.strip(), "h5bragg")
    config = h5bragg.get_config()
    shutil.copytree(Path(h5bragg.__file__).parent, package)
    shutil.copytree(str(config["include_path"]), package / "include", dirs_exist_ok=True)
    install_wheels(oldest_python, "cffi")
    frames = make_frames(2, (100, 90), "u2", seed=4)
    np.save(tmp_path / "frames.npy", frames)
    path = tmp_path / "oldest.h5"
    command = [oldest_python, "-c", WRITE_SCRIPT, path, tmp_path / "frames.npy"]
    done = run_host(*command, H5BRAGG_LIBRARY=str(config["library"]))
    assert (done.returncode, done.stdout) == (0, "3.8.0\n"), done.stderr
    expected = h5bragg.encode(frames[1], make_geometry((100, 90)))
    with h5py.File(path, "r") as file:
        for name in ("keywords", "object"):
            assert file[name].id.read_direct_chunk((1, 0, 0)) == (0, expected)
