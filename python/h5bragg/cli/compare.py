# SPDX-License-Identifier: MIT
"""h5bragg compare: raw frames against what a sparse file restores of them."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from ..comparison import Comparer, Comparison
from ..comparison_plot import picture_format, plot_comparison
from ..comparison_report import ReportInput, check_report_path, write_report
from ..frame_source import InputError
from ..frames import open_frames
from ..hdf5_open import open_hdf5
from ..reader import find_sparse
from .options import DATASET, QUIET, THREADS
from .progress import frame_progress
from .report import report

DIFFERENT = 1


@click.command()
@click.argument("raw", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("sparse", type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path), help="Draw one frame into this file.")
@click.option(
    "--report",
    "page",
    type=click.Path(path_type=Path),
    help="Write what was found as a page of HTML, with pictures.",
)
@click.option("--frame", type=int, default=0, show_default=True, help="Frame to draw.")
@DATASET
@THREADS
@QUIET
def compare(
    *,
    raw: tuple[Path, ...],
    sparse: Path,
    plot: Path | None,
    page: Path | None,
    frame: int,
    dataset: str | None,
    threads: int | None,
    quiet: bool,
) -> int:
    """Compare RAW frames with SPARSE, the file that `compress` made of them.

    Exit status 1 means that a pixel which must be exact is not, or that a restored pixel is above
    its threshold.  Rings, spots and the verdict on them are statistical and only reported.
    """
    if plot is not None:
        picture_format(plot)  # before the long work
    if page is not None:
        check_report_path(page)
    with open_frames(raw, dataset=dataset) as frames, open_hdf5(sparse) as file:
        found = find_sparse(file)
        if len(found) > 1:
            names = ", ".join(item.data.name for item in found)
            raise InputError(f"{sparse} holds {len(found)} sparse datasets ({names}): keep one")
        comparer = Comparer(frames, found[0])
        with frame_progress("comparing", len(frames), quiet=quiet) as progress:
            comparison = comparer.run(threads=threads, progress=progress)
        if plot is not None:
            plot_comparison(
                plot,
                comparer.pair(frame),
                moments=comparison.moments,
                title=_title(sparse, comparison, frame),
            )
        if page is not None:
            pair = comparer.pair(frame)
            given = ReportInput(
                comparison=comparison,
                pair=pair,
                spots=comparer.spots(pair),
                frame=frame,
                name=sparse.name,
            )
            write_report(page, given)
    if not quiet:
        report(Console(), comparison)
    return 0 if comparison.is_exact else DIFFERENT


def _title(sparse: Path, comparison: Comparison, frame: int) -> str:
    return (
        f"{sparse.name}, frame {frame}: {comparison.ratio:.0f} times smaller than raw, "
        f"{comparison.bitshuffle_ratio:.1f} times smaller than bitshuffle-LZ4"
    )
