# SPDX-License-Identifier: MIT
"""Real HDF5 programs, each in a process of its own that knows the plugin by its path alone."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

import h5bragg

READ_SCRIPT = """
import sys, h5py, numpy
path, name, out = sys.argv[1:]
with h5py.File(path, "r") as file:
    numpy.save(out, file[name][...])
"""


@dataclass(frozen=True)
class Sample:
    """One dataset written with h5bragg, and the frames that went in."""

    path: Path
    name: str
    frames: np.ndarray
    geometry: h5bragg.Geometry


def host_environment(**variables: str) -> dict[str, str]:
    """The environment of a program that knows the plugin's folder and nothing of Python's."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "H5BRAGG"))}
    environment["HDF5_PLUGIN_PATH"] = h5bragg.PLUGIN_PATH
    return environment | variables


def run_host(
    *command: str | Path, folder: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs a program, in a folder if one is given; the caller looks at its exit status."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=host_environment(**variables),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def need_program(name: str, package: str = "hdf5-tools") -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: Debian has it in {package}")
    return path


def read_with_python(interpreter: str, sample: Sample, out: Path, **variables: str) -> np.ndarray:
    done = run_host(interpreter, "-c", READ_SCRIPT, sample.path, sample.name, out, **variables)
    assert done.returncode == 0, done.stderr
    return np.load(out)


def read_with_h5dump(sample: Sample, out: Path, **variables: str) -> np.ndarray:
    """Reads as h5dump's native binary output, which is in the host's byte order."""
    h5dump = need_program("h5dump")
    options = ("-d", sample.name, "-b", "NATIVE", "-o", out)
    done = run_host(h5dump, *options, sample.path, **variables)
    assert done.returncode == 0, done.stderr
    dtype = sample.frames.dtype.newbyteorder("=")
    return np.fromfile(out, dtype).reshape(sample.frames.shape)


def make_geometry(shape: tuple[int, int]) -> h5bragg.Geometry:
    """A small tilted detector with the beam off its centre."""
    return h5bragg.Geometry.flat(
        shape=shape,
        pixel_size_m=172e-6,
        distance_m=0.12,
        beam_center_px=(0.55 * shape[0], 0.45 * shape[1]),
        wavelength_m=1e-10,
        rotations_rad=(0.01, -0.02, 0.0),
    )


def make_frames(count: int, shape: tuple[int, int], dtype: str, seed: int) -> np.ndarray:
    """Poisson background falling with the radius, sharp spots, a dead column and a dead block."""
    generator = np.random.default_rng(seed)
    slow, fast = np.indices(shape)
    radius = np.hypot(slow - 0.55 * shape[0], fast - 0.45 * shape[1])
    mean = 2.0 + 6.0 * np.exp(-radius / (0.4 * max(shape)))
    frames = generator.poisson(mean, (count, *shape)).astype(np.int64)
    for frame in frames:
        for spot in generator.integers(2, min(shape) - 2, (20, 2)):
            frame[tuple(spot)] += generator.integers(50, 200)
    info = np.iinfo(dtype)
    codes = (-1, -2) if info.min < 0 else (info.max, info.max - 1)
    frames[:, :, shape[1] // 3] = codes[0]
    frames[:, 5:9, 5:9] = codes[1]
    return frames.astype(dtype)


def read_chunks(sample: Sample) -> list[bytes]:
    """The dataset's stored chunks, one after the other."""
    with h5py.File(sample.path, "r") as file:
        dataset = file[sample.name]
        offsets = range(0, dataset.shape[0], dataset.chunks[0])
        return [dataset.id.read_direct_chunk((k, 0, 0))[1] for k in offsets]


def decode_sample(sample: Sample, fill: str = "noise") -> np.ndarray:
    """What every reader must return: the chunks decoded by the library alone."""
    frames = [h5bragg.decode(chunk, fill=fill) for chunk in read_chunks(sample)]
    shape = frames[0].shape[-2:]
    return np.concatenate([frame.reshape(-1, *shape) for frame in frames])
