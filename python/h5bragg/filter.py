# SPDX-License-Identifier: MIT
"""Bragg: the HDF5 filter for h5py, and register(), which lets h5py find the plugin."""

from __future__ import annotations

from typing import Any

import h5py

from ._clib import CONFIG_NWORDS, FILTER_ID, PLUGIN_PATH, check, ffi, library
from .geometry import Geometry
from .geometry.c_geometry import CGeometry
from .geometry.panel import flat_to_c
from .params import SparsifyParams, effective_params, params_to_c


class Bragg(h5py.filters.FilterRefBase):  # type: ignore[misc]  # h5py has no types
    """Filter reference for `h5py.Group.create_dataset`, like the classes of hdf5plugin.

    Chunks must hold whole frames: ``(1, slow, fast)``, or ``(k, slow, fast)`` for k frames.  A
    dataset of stacks of modules has chunks ``(1, module, slow, fast)``, all modules in one, and
    the geometry the shape ``(module * slow, fast)``.

    Parameters
    ----------
    geometry : Geometry
        Detector.  One flat panel without a mask travels in the filter's 16 cd_values, so any
        process can go on writing; any other geometry is registered in this process, and only
        this process can write.  Reading needs nothing in either case.
    params : SparsifyParams or None
        None means those of `preset`, with the polarization that the geometry names.
    preset : str or None
        Name of a preset, see `SparsifyParams.preset`; None means the defaults.
    **overrides
        Fields of `SparsifyParams` to replace.

    Raises
    ------
    ParameterError, GeometryError
        They cannot be used.

    Examples
    --------
    >>> import h5py, h5bragg, numpy as np
    >>> geometry = h5bragg.Geometry.flat(shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1,
    ...                                  beam_center_px=(30, 40), wavelength_m=1e-10)
    >>> frames = np.random.default_rng(1).poisson(3, (2, 64, 80)).astype("uint16")
    >>> with h5py.File("frames.h5", "w", driver="core", backing_store=False) as file:
    ...     data = file.create_dataset("data", data=frames, chunks=(1, 64, 80),
    ...                                **h5bragg.Bragg(geometry, snr_pick=3))
    ...     data[1].shape
    (64, 80)
    """

    filter_id = FILTER_ID

    def __init__(
        self,
        geometry: Geometry,
        params: SparsifyParams | None = None,
        *,
        preset: str | None = None,
        **overrides: Any,
    ) -> None:
        self.geometry = geometry
        self.params = effective_params(params, geometry.polarization, preset=preset, **overrides)
        self.filter_options = _config_words(geometry, self.params)

    def __repr__(self) -> str:
        """Show geometry and parameters."""
        return f"Bragg({self.geometry!r}, {self.params!r})"


def _config_words(geometry: Geometry, params: SparsifyParams) -> tuple[int, ...]:
    """Make the filter's cd_values; set_local adds the pixel type at dataset creation."""
    words = ffi.new("uint32_t[]", CONFIG_NWORDS)
    settings = params_to_c(params)
    if geometry.flat_detector is not None and geometry.mask is None:
        flat = flat_to_c(geometry.flat_detector)
        check(library().h5bragg_config_flat(flat, settings, words), repr(geometry))
    else:
        with CGeometry(geometry) as c_geometry:
            status = library().h5bragg_config_registered(c_geometry, settings, words)
        check(status, repr(geometry))
    return tuple(words)


def register(force: bool = False) -> bool:
    """Let the HDF5 library inside h5py find the filter; `import h5bragg` calls this.

    Our folder goes to the front of HDF5's search path: a copy of the plugin elsewhere would not
    know the geometries that this process registers.

    Parameters
    ----------
    force : bool
        Put the folder to the front again even if it is on the path already.

    Returns
    -------
    bool
        Whether HDF5 can use the filter now.

    Examples
    --------
    >>> import h5bragg
    >>> h5bragg.register()
    True
    """
    folder = PLUGIN_PATH.encode()
    on_path = [h5py.h5pl.get(i) for i in range(h5py.h5pl.size())]
    if force or folder not in on_path:
        h5py.h5pl.prepend(folder)
    return bool(h5py.h5z.filter_avail(FILTER_ID))
