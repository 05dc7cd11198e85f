# SPDX-License-Identifier: MIT
"""Where the panels of a CrystFEL geometry lie in the data: in a frame, or in a stack of modules.

A dataset of more dimensions than frame, slow and fast holds a stack of modules a frame, such as
(frame, module, slow, fast).  Its frame is the modules one below the other: the memory is the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ..errors import GeometryError
from .crystfel_text import Fields
from .crystfel_values import read_index
from .stack_shape import MAX_SIDE, first_row, flat_shape


@dataclass(frozen=True)
class Block:
    """The pixels of one panel in the data.

    Parameters
    ----------
    module : tuple of int
        Indices of the dimensions between frame and slow axis; empty where there are none.
    slow, fast : tuple of int
        Half-open ranges of rows and columns within the module.
    """

    module: tuple[int, ...]
    slow: tuple[int, int]
    fast: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of pixels along (slow, fast)."""
        return self.slow[1] - self.slow[0], self.fast[1] - self.fast[0]


@dataclass(frozen=True)
class Layout:
    """Where all panels lie.

    Parameters
    ----------
    blocks : dict
        Pixels of every panel by its name.
    shape : tuple of int
        Shape of the data of one frame: (slow, fast), or (module, slow, fast).
    """

    blocks: dict[str, Block]
    shape: tuple[int, ...]

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Shape (slow, fast) of the frame that the stack makes."""
        return flat_shape(self.shape)

    def rows(self, name: str) -> tuple[int, int]:
        """Return the half-open range of the frame's rows that a panel has."""
        block = self.blocks[name]
        start = first_row(block.module, self.shape)
        return start + block.slow[0], start + block.slow[1]

    def pixels(self, name: str) -> tuple[slice, slice]:
        """Return the part of the frame that a panel has."""
        return slice(*self.rows(name)), slice(*self.blocks[name].fast)


def find_layout(panels: dict[str, Fields], shape: tuple[int, ...] | None) -> Layout:
    """Find out where panels lie.

    Parameters
    ----------
    panels : dict
        Fields of every panel by its name.
    shape : tuple of int or None
        Shape of the data of one frame, (slow, fast) or (module, slow, fast); None takes the
        smallest that holds the panels.

    Raises
    ------
    GeometryError
        The dimensions are not those of frames or stacks, or do not fit the shape.
    """
    if not panels:
        raise GeometryError("the geometry has no panel: give its min_ss, max_ss, min_fs, ...")
    if len({fields.get("data") for fields in panels.values()}) > 1:
        raise GeometryError("the panels lie in several datasets: bring them into one first")
    blocks = {name: _block(fields, name) for name, fields in panels.items()}
    if len({len(block.module) for block in blocks.values()}) > 1:
        raise GeometryError("the panels disagree on the number of dimensions (dim0, dim1, ...)")
    lengths = [(*block.module, block.slow[1] - 1, block.fast[1] - 1) for block in blocks.values()]
    smallest = tuple(int(length) + 1 for length in np.max(lengths, axis=0))
    layout = Layout(blocks, smallest if shape is None else _fitting(tuple(shape), smallest))
    if max(layout.frame_shape) > MAX_SIDE:
        raise GeometryError(
            f"the panels make frames of shape {layout.frame_shape}, but a side has {MAX_SIDE} "
            "pixels at most: correct dim, max_ss and max_fs"
        )
    return layout


def _fitting(shape: tuple[int, ...], smallest: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the data, checked against what the panels need."""
    if len(shape) == 2 < len(smallest) and shape == flat_shape(smallest):
        return smallest
    if len(shape) != len(smallest) or any(
        side < needed for side, needed in zip(shape, smallest, strict=True)
    ):
        raise GeometryError(
            f"the panels need data of shape {smallest} a frame, not {shape}: give the geometry of "
            "this detector, with its dim0, dim1, ..."
        )
    return shape


def _block(fields: Fields, name: str) -> Block:
    slow, fast = (
        (read_index(fields, name, f"min_{axis}"), read_index(fields, name, f"max_{axis}") + 1)
        for axis in ("ss", "fs")
    )
    if slow[0] >= slow[1] or fast[0] >= fast[1]:
        raise GeometryError(f"{name} ends before it begins: correct its min and max of ss and fs")
    return Block(_module(fields, name), slow, fast)


def _module(fields: Fields, name: str) -> tuple[int, ...]:
    """Return the indices of the dimensions between those of the frames and the slow axis."""
    # Not more digits than tell that it is too many: Python converts no more than 4300.
    given = {int(key[3:9]): value for key, value in fields.items() if re.fullmatch(r"dim\d+", key)}
    dims = {0: "ss", 1: "fs", **given}
    axes = [dims.get(i, "") for i in range(max(dims) + 1)] if max(dims) < 32 else []
    while axes and axes[0] == "%":
        del axes[0]
    if axes[-2:] != ["ss", "fs"] or not all(re.fullmatch(r"\d{1,5}", axis) for axis in axes[:-2]):
        text = ", ".join(f"dim{i} = {value}" for i, value in sorted(dims.items()))
        raise GeometryError(
            f"{name} has {text}: only %, then numbers, then ss, then fs are supported"
        )
    return tuple(map(int, axes[:-2]))
