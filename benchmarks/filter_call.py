# SPDX-License-Identifier: MIT
"""Filters whose functions are timed: bitshuffle-LZ4 and ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

import h5bragg
from h5bragg.plugin_call import DECODE, FilterCall

__all__ = ["DECODE", "FilterCall", "Parameters", "bitshuffle_lz4", "bragg"]

Parameters = dict[str, Any]  # what differs from the defaults, see SparsifyParams


def bitshuffle_lz4(itemsize: int) -> FilterCall:
    """Bitshuffle-LZ4 of hdf5plugin, with the cd_values that its set_local would write."""
    plugin = next(Path(hdf5plugin.PLUGIN_PATH).glob("libh5bshuf.*"))
    return FilterCall(plugin, (0, 4, itemsize, 0, 2))


def bragg(
    frame: NDArray[np.integer], geometry: h5bragg.Geometry, parameters: Parameters
) -> FilterCall:
    """Our filter, with the cd_values that HDF5 stores for such a dataset."""
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        options = h5bragg.Bragg(geometry, **parameters)
        data = file.create_dataset(
            "x", (1, *frame.shape), frame.dtype, chunks=(1, *frame.shape), **options
        )
        words = data.id.get_create_plist().get_filter(0)[2]
    return FilterCall(Path(h5bragg.get_config()["library"]), words)
