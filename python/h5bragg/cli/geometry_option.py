# SPDX-License-Identifier: MIT
"""The option that names a file with the geometry."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import GeometryError
from ..frame_source import InputError
from ..frames import FrameSequence
from ..geometry import Geometry

GEOMETRY = click.option(
    "--geometry",
    "geometry_file",
    type=click.Path(path_type=Path),
    help="Mini-CBF frame, Eiger/NXmx master, CrystFEL .geom or PONI file.  [default: the first "
    "input]",
)


def geometry_of(path: Path | None, frames: FrameSequence) -> Geometry:
    """Read the geometry from a file of its own, or from the first input.

    Parameters
    ----------
    path : Path or None
        What --geometry says.
    frames : FrameSequence
        The input.

    Raises
    ------
    InputError, GeometryError
        The file is missing, or there is no geometry in it.
    """
    if path is not None:
        if not path.exists():
            raise InputError(f"{path} does not exist: check the name of the geometry file")
        return Geometry.from_file(path, shape=frames.stack_shape)
    try:
        return Geometry.from_file(frames.first.path, shape=frames.stack_shape)
    except GeometryError as error:
        raise GeometryError(
            f"no geometry in the input ({error}): name a file that has it with --geometry"
        ) from error
