# SPDX-License-Identifier: MIT
"""h5bragg config: the filter's settings for writers that are not Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import GeometryError
from ..frame_source import InputError
from ..geometry import Geometry
from ..output_file import output_path
from ..writer_config import FORMATS, WriterConfig
from .encoding_options import encoding_options, encoding_params
from .options import FORCE, FRAMES_PER_CHUNK, QUIET


@click.command()
@click.option(
    "--geometry",
    "geometry_file",
    type=click.Path(path_type=Path),
    required=True,
    help="Mini-CBF frame, Eiger/NXmx master or PONI file.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="json",
    show_default=True,
    help="json, the argument of h5repack's -f, or C source.",
)
@click.option(
    "--shape",
    type=(int, int),
    default=None,
    metavar="SLOW FAST",
    help="Shape of a frame, if the geometry file does not tell it.",
)
@click.option(
    "--ignore-mask",
    is_flag=True,
    help="Leave out the file's pixel mask: its pixels hold a mask code in the frames.",
)
@click.option(
    "--optional",
    is_flag=True,
    help="Store a frame raw if it cannot be encoded, rather than fail.",
)
@encoding_options
@FRAMES_PER_CHUNK
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="File to write.  [default: standard output]",
)
@FORCE
@QUIET
@click.pass_context
def config(
    context: click.Context,
    /,
    *,
    geometry_file: Path,
    form: str,
    shape: tuple[int, int] | None,
    ignore_mask: bool,
    optional: bool,
    frames_per_chunk: int,
    output: Path | None,
    force: bool,
    quiet: bool,
    **options: Any,
) -> None:
    r"""Print the filter's cd_values, for any program that writes HDF5.

    They hold geometry and parameters; pixel type and frames a chunk are added when the dataset is
    created.  With h5repack:

    \b
    h5repack -f NAME:$(h5bragg config --geometry FILE --format h5repack) IN.h5 OUT.h5
    """
    if not geometry_file.exists():
        raise InputError(f"{geometry_file} does not exist: check the name of the geometry file")
    geometry = Geometry.from_file(geometry_file, shape=shape)
    params = encoding_params(context, options, geometry)
    try:
        found = WriterConfig(
            geometry=geometry.with_mask(None) if ignore_mask else geometry,
            params=params,
            frames_per_chunk=frames_per_chunk,
            is_mandatory=not optional,
        )
    except GeometryError as error:
        raise GeometryError(f"{geometry_file}: {error}") from error
    text = FORMATS[form](found)
    if output is None:
        click.echo(text, nl=False)
    else:
        with output_path(output, force=force, inputs=[geometry_file]) as temporary:
            temporary.write_text(text, encoding="utf-8")
    if form == "h5repack" and not quiet:
        click.echo(
            f"chunks must hold whole frames: add -l NAME:CHUNK={found.layout} to h5repack's "
            "options where the input has others",
            err=True,
        )
