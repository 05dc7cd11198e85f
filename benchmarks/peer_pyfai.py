# SPDX-License-Identifier: MIT
"""pyFAI's sparsification and FabIO's densification, used through what they offer everybody."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import fabio
import h5py
import numpy as np
from numpy.typing import NDArray

import h5bragg

# Written once a file, however many frames there are: no part of a frame's size.
_PER_FILE = ("mask", "radius")


def _environment() -> dict[str, str]:
    """Name one OpenCL driver: with two copies of PoCL in a process pyFAI finds no device."""
    spec = importlib.util.find_spec("pyopencl")
    drivers = Path(str(spec.origin)).parent.glob(".libs/*.icd") if spec else iter(())
    own = next(drivers, None)
    given = {} if own is None else {"OCL_ICD_VENDORS": str(own)}
    return {**given, **os.environ}


def _write_poni(path: Path, geometry: h5bragg.Geometry) -> None:
    flat = geometry.flat_detector
    assert flat is not None, "pyFAI is given one flat detector"
    pixel_slow, pixel_fast = geometry.pixel_size_m
    config = (
        f'{{"pixel1": {pixel_slow}, "pixel2": {pixel_fast}, '
        f'"max_shape": [{geometry.shape[0]}, {geometry.shape[1]}], "orientation": 3}}'
    )
    path.write_text(
        f"poni_version: 2.1\nDetector: Detector\nDetector_config: {config}\n"
        f"Distance: {flat.distance_m}\nPoni1: {flat.poni_slow_px * pixel_slow}\n"
        f"Poni2: {flat.poni_fast_px * pixel_fast}\nRot1: {flat.rot1}\nRot2: {flat.rot2}\n"
        f"Rot3: {flat.rot3}\nWavelength: {geometry.wavelength_m}\n"
    )


def _stored_nbytes(path: Path) -> int:
    """Bytes of all datasets that grow with the number of frames."""
    total = 0

    def add(name: str, item: object) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset) and name.rsplit("/", 1)[-1] not in _PER_FILE:
            total += item.id.get_storage_size()

    with h5py.File(path) as file:
        file["entry_0000"]["sparse_frames"].visititems(add)
    return total


def _one_frame(
    frame: NDArray[np.integer], geometry: h5bragg.Geometry, cutoff_pick: float
) -> tuple[NDArray[np.integer], int]:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _write_poni(work / "detector.poni", geometry)
        fabio.edfimage.EdfImage(frame).write(str(work / "raw.edf"))
        command = [sys.executable, "-m", "pyFAI.app.sparsify", "-p", "detector.poni"]
        command += ["--cutoff-pick", str(cutoff_pick), "raw.edf"]
        done = subprocess.run(
            command, cwd=work, env=_environment(), capture_output=True, text=True, check=False
        )
        sparse = next(work.glob("*_sparse.h5"), None)
        if sparse is None:
            raise RuntimeError(f"pyFAI failed: {done.stdout[-500:]} {done.stderr[-2000:]}")
        with fabio.open(str(sparse)) as image:
            return image.data, _stored_nbytes(sparse)


def sparsify_and_densify(
    frames: NDArray[np.integer], geometry: h5bragg.Geometry, cutoff_pick: float
) -> tuple[NDArray[np.integer], int]:
    """Send frames through pyFAI and FabIO, one by one: stacks lost frames in the version tried.

    Returns
    -------
    tuple
        The dense frames that FabIO restores with noise, and the bytes that pyFAI stored for them.
    """
    dense, nbytes = zip(*(_one_frame(f, geometry, cutoff_pick) for f in frames), strict=True)
    return np.stack(dense), sum(nbytes)
