# SPDX-License-Identifier: MIT
"""h5bragg peaks: the Bragg peaks of many frames, as CrystFEL reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..frames import open_frames
from ..peak_scan import PeakScan, write_cxi
from ..peak_table import PeakTable
from .geometry_option import GEOMETRY, geometry_of
from .options import DATASET, FORCE, OUTPUT, QUIET, THREADS
from .peak_options import peak_options, peak_params
from .progress import frame_progress


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@OUTPUT
@GEOMETRY
@peak_options
@click.option(
    "--error-model",
    type=click.Choice(["poisson", "azimuthal", "hybrid"]),
    default="poisson",
    show_default=True,
    help="Where sigma comes from, of frames that h5bragg has not compressed.",
)
@DATASET
@THREADS
@FORCE
@QUIET
def peaks(
    *,
    inputs: tuple[Path, ...],
    output: Path,
    geometry_file: Path | None,
    error_model: Any,
    min_peaks: int,
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
    wanted = peak_params(options)
    with open_frames(inputs, dataset=dataset) as frames:
        scan = PeakScan(
            frames, lambda: geometry_of(geometry_file, frames), wanted, error_model=error_model
        )
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
    if not quiet:
        click.echo(f"{output}: {describe(table)}")


def describe(table: PeakTable) -> str:
    """Sum up in one line what was found."""
    frames = f"{table.nframes} frame{'s' if table.nframes != 1 else ''}"
    if not table.min_peaks:
        return f"{frames}, {table.npeaks} peaks"
    return (
        f"{frames}, {table.nhits} with at least {table.min_peaks} peaks ({table.npeaks} peaks), "
        f"{table.nframes - table.nhits} left out"
    )
