# SPDX-License-Identifier: MIT
"""h5bragg compress: many input frames become one sparse HDF5 file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from .. import writer
from ..frames import open_frames
from ..peaks import PeakParams
from ..writer import CompressionTotals
from .encoding_options import encoding_options, encoding_params
from .geometry_option import GEOMETRY, geometry_of
from .options import DATASET, FORCE, FRAMES_PER_CHUNK, OUTPUT, QUIET, THREADS, VERIFY, in_bytes
from .peak_options import peak_options, peak_params
from .progress import frame_progress


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@OUTPUT
@GEOMETRY
@encoding_options
@FRAMES_PER_CHUNK
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|gpu|opencl:NAME",
    help="Where to encode; auto = a GPU if there is one.",
)
@click.option(
    "--peaks",
    "with_peaks",
    is_flag=True,
    help="Also find Bragg peaks and put them into the file, where CrystFEL finds them.",
)
@peak_options
@DATASET
@THREADS
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with OUTPUT.partial, which a run that did not finish has left, if it is there.",
)
@VERIFY
@FORCE
@QUIET
@click.pass_context
def compress(
    context: click.Context,
    /,
    *,
    inputs: tuple[Path, ...],
    output: Path,
    geometry_file: Path | None,
    dataset: str | None,
    frames_per_chunk: int,
    device: str,
    with_peaks: bool,
    min_peaks: int,
    threads: int | None,
    resume: bool,
    verify: bool,
    force: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Compress INPUTS, in the order given, into one NXmx-style HDF5 file.

    INPUTS are frames of any format that FabIO opens (CBF, EDF, TIFF, ..., also .gz and .bz2) and
    HDF5 files: Eiger or NXmx masters, or data files.  Metadata is taken from the first.
    """
    is_asked = context.get_parameter_source("device") is not click.core.ParameterSource.DEFAULT
    is_told = (is_asked or resume) and not quiet
    wanted = _wanted_peaks(context, options, is_wanted=with_peaks or min_peaks > 0)
    with _log_shown(is_told), open_frames(inputs, dataset=dataset) as frames:
        geometry = geometry_of(geometry_file, frames)
        params = encoding_params(context, options, geometry)
        with frame_progress("compressing", len(frames) * (1 + verify), quiet=quiet) as progress:
            totals = writer.compress(
                frames,
                output,
                geometry=geometry,
                params=params,
                frames_per_chunk=frames_per_chunk,
                device=device,
                threads=threads,
                force=force,
                resume=resume,
                verify=verify,
                protected=() if geometry_file is None else (geometry_file,),
                progress=progress,
                peaks=wanted,
                min_peaks=min_peaks,
            )
    if not quiet:
        click.echo(f"{output}: {describe(totals)}")


def _wanted_peaks(
    context: click.Context, options: dict[str, Any], *, is_wanted: bool
) -> PeakParams | None:
    """Take what is a peak out of the options; None if none are wanted."""
    names = [name for name in options if name.startswith("peak_")]
    default = click.core.ParameterSource.DEFAULT
    given = [name for name in names if context.get_parameter_source(name) is not default]
    if given and not is_wanted:
        option = given[0].replace("_", "-")
        raise click.UsageError(f"--{option} says what is a peak: add --peaks")
    wanted = peak_params(options)
    return wanted if is_wanted else None


def describe(totals: CompressionTotals) -> str:
    """Sum up in one line how frames were stored.

    Examples
    --------
    >>> describe(CompressionTotals(sparse_frames=2, picked_pixels=3, sparse_pixels=100,
    ...                            raw_nbytes=400, stored_nbytes=20))
    '2 frames, 400 B -> 20 B (20 times smaller), 2 sparse, 0 lossless, 3.00 % of pixels exact'
    """
    nframes = totals.sparse_frames + totals.lossless_frames + totals.unfiltered_frames
    sizes = f"{in_bytes(totals.raw_nbytes)} -> {in_bytes(totals.stored_nbytes)}"
    peaks = "" if totals.peaks is None else f", {totals.peaks} peaks"
    left_out = f"; {totals.left_out_frames} frames left out" if totals.left_out_frames else ""
    return (
        f"{nframes} frame{'s' if nframes != 1 else ''}, {sizes} "
        f"({totals.ratio:.3g} times smaller), {totals.sparse_frames} sparse, "
        f"{totals.lossless_frames} lossless, {100 * totals.picked_fraction:.2f} % of pixels exact"
        f"{peaks}{left_out}"
    )


@contextmanager
def _log_shown(is_shown: bool) -> Iterator[None]:
    """Let the log say on standard error where frames are encoded."""
    log, handler = logging.getLogger("h5bragg"), logging.StreamHandler()
    level = log.level
    if is_shown:
        log.setLevel(logging.INFO)
        log.addHandler(handler)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)
