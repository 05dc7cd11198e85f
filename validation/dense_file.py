# SPDX-License-Identifier: MIT
"""Write dense frames as a detector would: NXmx, bitshuffle-LZ4, one chunk a frame."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray
from scene import SHAPE, Scene

from h5bragg.nxmx_file import DATA_PATH, write_metadata, write_pixel_mask, write_rotation

MASK_CODES = (2**32 - 1, 2**32 - 2)  # no sensor, not working: bits 0 and 1 of the pixel_mask


def write_dense(path: Path, frames: Iterable[NDArray[np.uint32]], scene: Scene) -> None:
    """Write the frames of a scene, with mask codes where the pixel_mask says so.

    Parameters
    ----------
    path : Path
        File to write; one that is there is replaced.
    frames : iterable of ndarray of uint32
        Shape (slow, fast) each.
    scene : Scene
    """
    with h5py.File(path, "w") as file:
        group = file.create_group(DATA_PATH.rsplit("/", 1)[0])
        group.attrs["NX_class"] = np.bytes_("NXdata")
        group.attrs["signal"] = np.bytes_("data")
        data = group.create_dataset(
            "data",
            shape=(scene.nframes, *SHAPE),
            dtype=np.uint32,
            chunks=(1, *SHAPE),
            **hdf5plugin.Bitshuffle(cname="lz4"),
        )
        for number, frame in enumerate(frames):
            pixels = frame.copy()
            for bit, code in enumerate(MASK_CODES):
                pixels[scene.pixel_mask == 1 << bit] = code
            data[number] = pixels
        write_metadata(file, scene.geometry, scene.experiment)
        write_pixel_mask(file, scene.pixel_mask)
        angles = scene.width_deg * np.arange(scene.nframes)
        write_rotation(file, list(angles), scene.width_deg, scene.experiment.axis)
