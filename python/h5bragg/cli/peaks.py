# SPDX-License-Identifier: MIT
"""h5bragg peaks: the Bragg peaks of many frames, as CrystFEL reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..comparison_plot import picture_format
from ..frames import FrameSequence, open_frames
from ..peak_plot import plot_peaks
from ..peak_scan import PeakScan, write_cxi
from ..peak_table import PeakTable
from .geometry_option import GEOMETRY, geometry_of
from .options import DATASET, FORCE, QUIET, THREADS
from .peak_options import peak_options, peak_params
from .progress import frame_progress


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="CXI file to write; may be left out with --plot.",
)
@GEOMETRY
@peak_options
@click.option(
    "--error-model",
    type=click.Choice(["poisson", "azimuthal", "hybrid"]),
    default="poisson",
    show_default=True,
    help="Where sigma comes from, of frames that h5bragg has not compressed.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Draw a frame with its peaks into an image file.",
)
@click.option(
    "--frame",
    type=int,
    default=None,
    help="Frame to draw.  [default: the one with most peaks, or 0 without -o]",
)
@DATASET
@THREADS
@FORCE
@QUIET
def peaks(
    *,
    inputs: tuple[Path, ...],
    output: Path | None,
    geometry_file: Path | None,
    error_model: Any,
    min_peaks: int,
    plot: Path | None,
    frame: int | None,
    dataset: str | None,
    threads: int | None,
    force: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Find the Bragg peaks of all frames of INPUTS and write them as CXI.

    INPUTS are those of `compress`, and files that it has written, which are not made dense.
    CrystFEL reads the result with --peaks=cxi.
    """
    if output is None and plot is None:
        raise click.UsageError("nothing is asked for: give -o OUT.cxi, or --plot")
    if plot is not None:
        picture_format(plot)  # before the long work
    wanted = peak_params(options)
    with open_frames(inputs, dataset=dataset) as frames:
        scan = PeakScan(
            frames, lambda: geometry_of(geometry_file, frames), wanted, error_model=error_model
        )
        shown = 0
        if output is not None:
            with frame_progress("finding peaks", len(frames), quiet=quiet) as progress:
                table = write_cxi(
                    scan,
                    frames,
                    output,
                    wanted=wanted,
                    min_peaks=min_peaks,
                    threads=threads,
                    force=force,
                    progress=progress,
                )
            shown = table.richest
            if not quiet:
                click.echo(f"{output}: {describe(table)}")
        if plot is not None:
            shown = shown if frame is None else frame
            view = scan.view(shown)
            plot_peaks(plot, view, title=_title(frames, shown))


def _title(frames: FrameSequence, frame: int) -> str:
    source, local = frames.locate(frame)
    return source.path.name if source.nframes == 1 else f"{source.path.name}, frame {local}"


def describe(table: PeakTable) -> str:
    """Sum up in one line what was found."""
    frames = f"{table.nframes} frame{'s' if table.nframes != 1 else ''}"
    if not table.min_peaks:
        return f"{frames}, {table.npeaks} peaks"
    return (
        f"{frames}, {table.nhits} with at least {table.min_peaks} peaks ({table.npeaks} peaks), "
        f"{table.nframes - table.nhits} left out"
    )
