# SPDX-License-Identifier: MIT
"""The pixels that a CrystFEL geometry file calls bad: bad regions, bad panels and mask files."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError
from .crystfel_layout import Block, Layout
from .crystfel_panel import PlacedPanel
from .crystfel_text import CrystfelText, Fields
from .crystfel_values import read_bits, read_index, read_number
from .stack_shape import check_pixel_count

Mask = NDArray[np.bool_]
_ROWS_AT_ONCE = 64  # few enough for little memory, enough for NumPy's speed
_OLD_NAMES = {
    "mask": "mask0_data",
    "mask_file": "mask0_file",
    "mask_good": "mask0_goodbits",
    "mask_bad": "mask0_badbits",
}


class _MaskFiles:
    """Masks in HDF5 files; each is read once."""

    def __init__(self, layout: Layout, folder: Path) -> None:
        self._layout = layout
        self._folder = folder
        self._read: dict[tuple[str, str], NDArray[np.int64]] = {}

    def values(self, name: str, place: str, block: Block) -> NDArray[np.int64]:
        """Return a panel's part of a mask: shape (slow, fast) of the panel."""
        if (name, place) not in self._read:
            self._read[name, place] = self._values(name, place)
        module = self._read[name, place]
        for index in block.module:
            module = module[index]
        return module[slice(*block.slow), slice(*block.fast)]

    def _values(self, name: str, place: str) -> NDArray[np.int64]:
        paths = (Path(name), self._folder / name)
        path = next((path for path in paths if path.exists()), None)
        if path is None:
            raise GeometryError(f"the mask file {name} is missing: put it here, or leave it out")
        try:
            with h5py.File(path, "r") as file:
                check_pixel_count(file[place].shape, f"the mask {place} of {path}")
                values = np.asarray(file[place][()])
        except GeometryError:
            raise
        except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise GeometryError(f"the mask {place} of {path} cannot be read: {error}") from error
        shape = self._layout.shape
        if values.size != np.prod(shape) or values.dtype.kind not in "biu":
            raise GeometryError(
                f"the mask {place} of {path} holds {values.dtype} values of shape {values.shape}: "
                f"integers of shape {shape} are needed"
            )
        return values.reshape(shape).astype(np.int64)


def read_mask(
    text: CrystfelText, layout: Layout, panels: dict[str, PlacedPanel], folder: Path
) -> Mask | None:
    """Collect the bad pixels.

    Parameters
    ----------
    text : CrystfelText
    layout : Layout
    panels : dict
        Where every panel lies, by its name.
    folder : Path
        Where mask files may lie, besides the working directory.

    Returns
    -------
    ndarray of bool or None
        Shape (slow, fast), True = bad; None if no pixel is.

    Raises
    ------
    GeometryError
        A region or a mask cannot be used.
    """
    if not text.bad_regions and not any(map(_may_mask, text.panels.values())):
        return None
    check_pixel_count(layout.shape, "a mask")
    mask = np.zeros(layout.frame_shape, bool)
    files = _MaskFiles(layout, folder)
    for name, fields in text.panels.items():
        part = mask[layout.pixels(name)]
        part |= _panel_mask(fields, name, layout.blocks[name], files)
    for name, fields in text.bad_regions.items():
        if {"min_x", "max_x", "min_y", "max_y"}.isdisjoint(fields):
            _mask_data_region(mask, name, fields, layout)
        else:
            _mask_lab_region(mask, name, fields, layout, panels)
    return mask if mask.any() else None


def _may_mask(fields: Fields) -> bool:
    return any(key == "no_index" or key.startswith("mask") for key in fields)


def _panel_mask(fields: Fields, name: str, block: Block, files: _MaskFiles) -> Mask:
    """Return what a panel says of itself: shape (slow, fast) of the panel."""
    mask = np.full(block.shape, fields.get("no_index", "0").lower() not in ("0", "false"))
    if "mask_edge_pixels" in fields:
        edge = read_index(fields, name, "mask_edge_pixels")
        outside = np.ones(block.shape, bool)
        outside[edge : block.shape[0] - edge, edge : block.shape[1] - edge] = False
        mask |= outside
    masks = {_OLD_NAMES.get(key, key): value for key, value in fields.items()}
    for number in sorted({key[4] for key in masks if re.fullmatch(r"mask\d_file", key)}):
        place = masks.get(f"mask{number}_data")
        if place is None:
            raise GeometryError(f"{name} has mask{number}_file without mask{number}_data: add it")
        values = files.values(masks[f"mask{number}_file"], place, block)
        good, bad = (read_bits(masks, name, f"mask{number}_{kind}bits") for kind in ("good", "bad"))
        mask |= ((values & good) != good) | ((values & bad) != 0)
    return mask


def _mask_data_region(mask: Mask, name: str, fields: Fields, layout: Layout) -> None:
    """Mask a region given by rows and columns of one panel, both ends included."""
    only = next(iter(layout.blocks)) if len(layout.blocks) == 1 else ""
    panel = fields.get("panel", only)
    if panel not in layout.blocks:
        raise GeometryError(f"{name} does not name one of the panels: correct {name}/panel")
    block = layout.blocks[panel]
    part = mask[layout.pixels(panel)]
    ranges = []
    for axis, (start, stop) in (("ss", block.slow), ("fs", block.fast)):
        low, high = (read_index(fields, name, f"{end}_{axis}") for end in ("min", "max"))
        if not start <= low <= high < stop:
            raise GeometryError(
                f"{name} has {axis} from {low} to {high}, but panel {panel} from {start} to "
                f"{stop - 1}: correct it"
            )
        ranges.append(slice(low - start, high + 1 - start))
    part[tuple(ranges)] = True


def _mask_lab_region(
    mask: Mask, name: str, fields: Fields, layout: Layout, panels: dict[str, PlacedPanel]
) -> None:
    """Mask the pixels whose first corner lies in a rectangle of the lab, as CrystFEL does."""
    if not {"min_fs", "max_fs", "min_ss", "max_ss"}.isdisjoint(fields):
        raise GeometryError(f"{name} mixes x and y with fs and ss: give it by one of them")
    limits = [[read_number(fields, name, f"{end}_{a}") for end in ("min", "max")] for a in "xy"]
    for panel, placed in panels.items():
        part = mask[layout.pixels(panel)]
        nrows, ncolumns = layout.blocks[panel].shape
        for first in range(0, nrows, _ROWS_AT_ONCE):
            rows = range(first, min(first + _ROWS_AT_ONCE, nrows))
            x, y, _ = placed.corners_px(rows, ncolumns)
            (x_low, x_high), (y_low, y_high) = limits
            part[first : rows.stop] |= (x_low < x) & (x < x_high) & (y_low < y) & (y < y_high)
