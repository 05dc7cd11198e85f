# SPDX-License-Identifier: MIT
"""Show the whole job without data: simulate, compress, read in a foreign process, compare."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from ._clib import PLUGIN_PATH
from .chunk_totals import ChunkTotals
from .comparison import Comparer, Comparison
from .comparison_plot import plot_comparison
from .errors import H5braggError
from .filter import Bragg
from .frames import FrameSequence
from .hdf5_open import open_hdf5
from .params import SparsifyParams
from .reader import find_sparse
from .simulation import Simulation
from .writer import compress

DATA_NAME = "h5bragg_demo.h5"
PICTURE_NAME = "h5bragg_demo.png"
_BITSHUFFLE_NAME = "bitshuffle.h5"
_TIMED_FRAMES = 4


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """What the demonstration found.

    Parameters
    ----------
    data, picture : Path
        The files it wrote.
    totals : ChunkTotals
        How the frames were stored.
    comparison : Comparison
        Raw against restored frames.
    reads_identical : bool
        The foreign process got the frames that `decode` gives, on every read.
    read_speed, write_speed : float
        Speed through HDF5, one thread, in units of bitshuffle-LZ4's in the same process;
        reading is timed in the foreign process.
    hdf5_version : str
        HDF5 of the foreign process.
    """

    data: Path
    picture: Path
    totals: ChunkTotals
    comparison: Comparison
    reads_identical: bool
    read_speed: float
    write_speed: float
    hdf5_version: str


def demonstrate(
    directory: Path,
    *,
    simulation: Simulation | None = None,
    params: SparsifyParams | None = None,
    step: Callable[[str], None] = lambda _: None,
) -> Demonstration:
    """Run the demonstration and write its two files, replacing older ones.

    Parameters
    ----------
    directory : Path
        Folder for the files.
    simulation : Simulation or None
        None means eight frames of 4.5 million pixels.
    params : SparsifyParams or None
        None means the defaults.
    step : callable
        Called with what is about to be done.

    Raises
    ------
    H5braggError
        A file cannot be written, or the foreign process cannot read it.
    """
    simulation = simulation or Simulation()
    frames = FrameSequence([simulation])
    data, picture = directory / DATA_NAME, directory / PICTURE_NAME
    step("simulating and compressing")
    totals = compress(
        frames,
        data,
        geometry=simulation.geometry,
        params=params,
        force=True,
        keep_partial=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / _BITSHUFFLE_NAME
        _write_bitshuffle(frames, reference)
        step("reading in a process that has h5py and HDF5_PLUGIN_PATH only")
        foreign = _run_foreign(data, reference)
    step("timing")
    write_speed = _write_speed(frames, Bragg(simulation.geometry, params))
    step("comparing")
    with open_hdf5(data) as file:
        sparse = find_sparse(file)[0]
        digest = hashlib.sha256()
        for decoded in sparse.frames():
            digest.update(decoded.tobytes())
        comparer = Comparer(frames, sparse)
        comparison = comparer.run()
        step("drawing")
        plot_comparison(
            picture, comparer.pair(0), moments=comparison.moments, title=_title(comparison)
        )
    return Demonstration(
        data=data,
        picture=picture,
        totals=totals,
        comparison=comparison,
        reads_identical=set(foreign["digests"]) == {digest.hexdigest()},
        read_speed=foreign["read_speed"],
        write_speed=write_speed,
        hdf5_version=foreign["hdf5"],
    )


def _write_bitshuffle(frames: FrameSequence, path: Path) -> None:
    """Write the raw frames as most detectors do today."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "entry/data/data",
            shape=(len(frames), *frames.shape),
            dtype=frames.dtype,
            chunks=(1, *frames.shape),
            **hdf5plugin.Bitshuffle(cname="lz4"),
        )
        for index, pixels in enumerate(frames):
            data[index] = pixels


def _write_speed(frames: FrameSequence, bragg: Bragg) -> float:
    """Return the speed of writing in units of bitshuffle-LZ4's, one thread, in memory."""
    ratios = []
    for index in range(min(_TIMED_FRAMES, len(frames))):
        pixels = frames.read(index).pixels
        for _ in range(2):  # the first frame also pays for the ring map
            bitshuffle = _seconds_to_write(pixels, hdf5plugin.Bitshuffle(cname="lz4"))
            ratios.append(bitshuffle / _seconds_to_write(pixels, bragg))
    return float(np.median(ratios))


def _seconds_to_write(pixels: NDArray[Any], compression: Mapping[str, Any]) -> float:
    with h5py.File("frame", "w", driver="core", backing_store=False) as file:
        data = file.create_dataset(
            "data", pixels.shape, pixels.dtype, chunks=pixels.shape, **compression
        )
        start = time.perf_counter()
        data[...] = pixels
        file.flush()
        return time.perf_counter() - start


def _run_foreign(data: Path, reference: Path) -> dict[str, Any]:
    """Run foreign_reader.py in a process that never imports h5bragg."""
    program = Path(__file__).with_name("foreign_reader.py").read_text(encoding="utf-8")
    paths = os.pathsep.join((PLUGIN_PATH, hdf5plugin.PLUGIN_PATH))
    environment = {**os.environ, "HDF5_PLUGIN_PATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", program, str(data), str(reference)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise H5braggError(f"a process with h5py alone could not read {data}: {last}")
    result: dict[str, Any] = json.loads(done.stdout)
    if result["modules"]:
        raise H5braggError(f"the foreign process imported {result['modules']}: nothing is shown")
    return result


def _title(comparison: Comparison) -> str:
    return (
        f"Simulated frames, {comparison.ratio:.0f} times smaller than raw and "
        f"{comparison.bitshuffle_ratio:.1f} times smaller than bitshuffle-LZ4"
    )
