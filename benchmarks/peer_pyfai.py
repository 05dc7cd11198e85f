# SPDX-License-Identifier: MIT
"""pyFAI's sparsification and FabIO's densification, used through what they offer everybody."""

from __future__ import annotations

import importlib
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import fabio
import h5py
import numpy as np
from fabio.sparseimage import SparseImage
from numpy.typing import NDArray
from timing import Timed, timed_call

import h5bragg

# Written once a file, however many frames there are: no part of a frame's size.
_PER_FILE = ("mask", "radius")


def _one_driver() -> None:
    """Name one OpenCL driver: with two copies of PoCL in a process pyFAI finds no device."""
    spec = importlib.util.find_spec("pyopencl")
    own = sorted(Path(str(spec.origin)).parent.glob(".libs/*.icd")) if spec else []
    if own:
        os.environ.setdefault("OCL_ICD_VENDORS", str(own[0]))


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


def _peak_finder(geometry: h5bragg.Geometry, mask: NDArray[np.int8] | None) -> tuple[Any, Any]:
    """Set pyFAI up as its program sparsify-Bragg does by default."""
    _one_driver()
    from pyFAI import load
    from pyFAI.opencl.peak_finder import OCL_PeakFinder
    from pyFAI.units import to_unit

    unit = to_unit("r_m")
    shape = geometry.shape
    integrator = load(str(_poni_of(geometry)))
    sparse = integrator.setup_sparse_integrator(
        shape, 800, mask=mask, unit=unit, split="no", algo="CSR", scale=False
    )
    finder = OCL_PeakFinder(
        sparse.lut,
        image_size=shape[0] * shape[1],
        unit=unit,
        bin_centers=sparse.bin_centers,
        radius=integrator.array_from_unit(typ="center", unit=unit, scale=False),
        mask=mask,
    )
    return integrator, finder


@cache
def _unmasked_finder(geometry: h5bragg.Geometry) -> tuple[Any, Any]:
    return _peak_finder(geometry, None)


@cache
def _poni_of(geometry: h5bragg.Geometry) -> Path:
    path = Path(tempfile.mkdtemp()) / "detector.poni"
    _write_poni(path, geometry)
    return path


def _options(cutoff_pick: float) -> dict[str, Any]:
    return {"cutoff_clip": 0.0, "cycle": 5, "noise": 1.0, "cutoff_pick": cutoff_pick}


def _save(path: Path, sparse: list[Any], integrator: Any, finder: Any, cutoff_pick: float) -> None:
    save_sparse = importlib.import_module("pyFAI.io.sparse_frame").save_sparse
    extra = {**_options(cutoff_pick), "error_model": "poisson", "unit": finder.unit}
    save_sparse(str(path), sparse, ai=integrator, extra=extra)


def _open_noisy(path: Path) -> Any:
    """Open a sparse file in FabIO with noise, which is off unless the class is told."""
    SparseImage.NOISY = 1.0
    return fabio.open(str(path))


def sparsify_and_densify(
    frames: NDArray[np.integer],
    geometry: h5bragg.Geometry,
    cutoff_pick: float,
    *,
    mask: NDArray[np.int8] | None = None,
) -> tuple[NDArray[np.integer], int]:
    """Send a stack of frames through pyFAI and FabIO; a mask is 1 where pixels are masked.

    Returns
    -------
    tuple
        The dense frames that FabIO restores with noise, and the bytes that pyFAI stored for them.
    """
    unmasked = mask is None
    integrator, finder = _unmasked_finder(geometry) if unmasked else _peak_finder(geometry, mask)
    options = _options(cutoff_pick)
    sparse = [finder.sparsify(frame, error_model="poisson", **options) for frame in frames]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sparse.h5"
        _save(path, sparse, integrator, finder, cutoff_pick)
        with _open_noisy(path) as image:
            dense = np.stack([image.get_frame(k).data for k in range(len(frames))])
        return dense, _stored_nbytes(path)


def _masked(frame: NDArray[np.integer]) -> NDArray[np.int8]:
    """Mask the codes that h5bragg takes for masked pixels by itself."""
    if frame.dtype.kind == "u":
        return (frame >= np.iinfo(frame.dtype).max - 1).astype(np.int8)
    return (frame < 0).astype(np.int8)


@contextmanager
def timed_peer(
    frame: NDArray[np.integer], geometry: h5bragg.Geometry, cutoff_pick: float
) -> Iterator[dict[str, Timed]]:
    """Give pyFAI's sparsify and FabIO's densify of one frame, set up and read beforehand."""
    integrator, finder = _peak_finder(geometry, _masked(frame))
    options = _options(cutoff_pick)

    def sparsify() -> Any:
        return finder.sparsify(frame, error_model="poisson", **options)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sparse.h5"
        _save(path, [sparsify(), sparsify()], integrator, finder, cutoff_pick)
        with _open_noisy(path) as image:
            yield {
                "sparsify": timed_call(sparsify),
                "densify": timed_call(lambda: image.get_frame(0).data),
            }


class PeerPeaks:
    """pyFAI's peak finder of one detector, set up beforehand.

    Parameters
    ----------
    frame : ndarray
        Tells which pixels are masked.
    geometry : Geometry
    """

    def __init__(self, frame: NDArray[np.integer], geometry: h5bragg.Geometry) -> None:
        self._integrator, self._finder = _peak_finder(geometry, _masked(frame))

    def find(
        self, frame: NDArray[np.integer], wanted: h5bragg.PeakParams, *, noise: float = 1.0
    ) -> NDArray[Any]:
        """Find peaks at the cut of `wanted`: index, intensity, sigma, pos0 (slow), pos1 (fast).

        Its `connected` counts the peak's own pixel, and its positions are those of pixel (0, 0).
        """
        found: NDArray[Any] = self._finder.peakfinder(
            frame,
            error_model="hybrid",
            cutoff_clip=0.0,
            cycle=5,
            noise=noise,
            cutoff_peak=wanted.snr_pick,
            patch_size=wanted.patch,
            connected=wanted.connected + 1,
        )
        return found

    def sparsify(self, frame: NDArray[np.integer], wanted: h5bragg.PeakParams) -> Any:
        """Find the background and pick pixels at the same cut, without looking for peaks."""
        options = _options(wanted.snr_pick)
        return self._finder.sparsify(frame, error_model="hybrid", **options)
