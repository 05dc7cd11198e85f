# SPDX-License-Identifier: MIT
"""The same frames sparsified by pyFAI and restored, with noise, by FabIO."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
from dense_file import write_dense
from scene import Scene

from h5bragg.nxmx_file import DATA_PATH

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
from peer_pyfai import sparsify_and_densify


def restore_with_peer(raw: Path, output: Path, scene: Scene, *, sigma: float) -> int:
    """Write the restored frames, and return the bytes of the sparse ones.

    pyFAI knows the detector's mask and takes the variance of the counts for their mean, as h5bragg
    does; masked pixels get their codes back.

    Parameters
    ----------
    raw, output : Path
        NXmx files.
    scene : Scene
    sigma : float
        pyFAI keeps pixels that are this far above the background.
    """
    with h5py.File(raw) as file:
        frames = file[DATA_PATH][...]
    dense, nbytes = sparsify_and_densify(
        frames, scene.geometry, sigma, mask=(scene.pixel_mask != 0).astype("int8")
    )
    write_dense(output, dense.astype("uint32"), scene)
    return nbytes
