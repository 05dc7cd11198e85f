# SPDX-License-Identifier: MIT
"""The filter's settings as text, for writers that are not Python: JSON, h5repack, C."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from ._clib import FILTER_ID
from .errors import GeometryError
from .filter import Bragg
from .geometry import Geometry
from .params import SparsifyParams

_MOST_FRAMES = 65535
_WORDS_A_LINE = 6

_C_PROGRAM = """\
/*
 * The h5bragg HDF5 filter for {geometry}.
 * HDF5 must find the plugin when the dataset is created and written: set HDF5_PLUGIN_PATH to what
 * 'h5bragg plugin path' prints.  'h5bragg plugin check' tells whether it does.
 */
#include <hdf5.h>

/* Geometry and parameters; at dataset creation the filter adds pixel type and frames a chunk. */
static const unsigned h5bragg_cd_values[{nwords}] = {{
{words},
}};

/*
 * Gives a dataset creation property list chunks of whole frames and the filter.  {consequence}
 * The dataset has the shape (frames, {ny}, {nx}) and pixels of 8, 16 or 32 bits.  Returns a
 * negative value on failure.
 */
static inline herr_t h5bragg_set_filter(hid_t dcpl)
{{
    const hsize_t chunk[3] = {{{nframes}, {ny}, {nx}}};
    if (H5Pset_chunk(dcpl, 3, chunk) < 0)
        return -1;
    return H5Pset_filter(dcpl, {filter_id}, {flag}, {nwords}, h5bragg_cd_values);
}}
"""
_CONSEQUENCES = {
    True: "It is mandatory:\n * a frame that cannot be encoded makes the write fail.",
    False: "It is optional:\n * a frame that cannot be encoded is stored as it is.",
}


@dataclass(frozen=True, kw_only=True)
class WriterConfig:
    """What a writer in any language must tell HDF5 to store frames with h5bragg.

    Parameters
    ----------
    geometry : Geometry
        One flat panel without a mask; others do not fit into the filter's 16 cd_values.
    params : SparsifyParams
    frames_per_chunk : int
    is_mandatory : bool
        Whether a frame that cannot be encoded makes the write fail; else it is stored raw.

    Raises
    ------
    GeometryError
        The geometry does not fit, or a chunk cannot hold so many frames.

    Examples
    --------
    >>> geometry = Geometry.flat(shape=(64, 80), pixel_size_m=1e-4, distance_m=0.1,
    ...                          beam_center_px=(30, 40), wavelength_m=1e-10)
    >>> config = WriterConfig(geometry=geometry, params=SparsifyParams())
    >>> config.h5repack()[:14], config.layout
    ('UD=43947,0,16,', '1x64x80')
    """

    geometry: Geometry
    params: SparsifyParams
    frames_per_chunk: int = 1
    is_mandatory: bool = True

    def __post_init__(self) -> None:
        """Refuse what does not fit into 16 words."""
        where = "docs/geometry.md#many-panels"
        if self.geometry.flat_detector is None:
            raise GeometryError(
                f"{len(self.geometry.panels)} panels do not fit into the filter's 16 numbers: "
                "write with h5bragg.Bragg or FrameWriter in Python or h5bragg_config_registered "
                f"in C, which register the geometry in the writing process ({where})"
            )
        if self.geometry.mask is not None:
            raise GeometryError(
                "a pixel mask does not fit into the filter's 16 numbers: add --ignore-mask if its "
                "pixels hold a mask code in the frames, else write with h5bragg.Bragg or "
                "FrameWriter in Python or h5bragg_config_registered in C, which register the "
                f"geometry in the writing process ({where})"
            )
        if not 1 <= self.frames_per_chunk <= _MOST_FRAMES:
            raise GeometryError(
                f"{self.frames_per_chunk} frames do not fit one chunk: give 1 to {_MOST_FRAMES}"
            )

    @property
    def cd_values(self) -> tuple[int, ...]:
        """The filter's 16 numbers of 32 bits."""
        return Bragg(self.geometry, self.params).filter_options

    @property
    def chunk(self) -> tuple[int, int, int]:
        """Shape of a chunk (frame, slow, fast)."""
        return (self.frames_per_chunk, *self.geometry.shape)

    @property
    def layout(self) -> str:
        """The chunk's shape as h5repack wants it."""
        return "x".join(map(str, self.chunk))

    def json(self) -> str:
        """Return filter_id, flags ("mandatory" or "optional"), chunk and cd_values."""
        values = {
            "filter_id": FILTER_ID,
            "flags": "mandatory" if self.is_mandatory else "optional",
            "chunk": self.chunk,
            "cd_values": self.cd_values,
        }
        return json.dumps(values) + "\n"

    def h5repack(self) -> str:
        """Return what h5repack wants behind ``-f NAME:``."""
        words = self.cd_values
        numbers = (FILTER_ID, int(not self.is_mandatory), len(words), *words)
        return f"UD={','.join(map(str, numbers))}\n"

    def c(self) -> str:
        """Return C source to include, with a function that sets up a property list."""
        words = [f"0x{word:08x}" for word in self.cd_values]
        lines = [words[i : i + _WORDS_A_LINE] for i in range(0, len(words), _WORDS_A_LINE)]
        nframes, ny, nx = self.chunk
        return _C_PROGRAM.format(
            geometry=repr(self.geometry)[1:-1].removeprefix("Geometry "),
            nwords=len(words),
            words=",\n".join("    " + ", ".join(line) for line in lines),
            consequence=_CONSEQUENCES[self.is_mandatory],
            nframes=nframes,
            ny=ny,
            nx=nx,
            filter_id=FILTER_ID,
            flag="H5Z_FLAG_MANDATORY" if self.is_mandatory else "H5Z_FLAG_OPTIONAL",
        )


# What `h5bragg config --format` offers.
FORMATS: dict[str, Callable[[WriterConfig], str]] = {
    "json": WriterConfig.json,
    "h5repack": WriterConfig.h5repack,
    "c": WriterConfig.c,
}
