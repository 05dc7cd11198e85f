# SPDX-License-Identifier: MIT
"""h5bragg info: what is in a file and how it is stored."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click

from ..errors import ChunkError
from ..file_summary import DatasetSummary, summarize
from ..frame_record import FrameRecord
from ..frame_source import InputError
from ..hdf5_open import open_hdf5
from ..params import SparsifyParams
from ..sparse_dataset import is_sparse
from ..verification import DatasetVerification, count_frames, verify
from .options import QUIET, THREADS, in_bytes
from .progress import frame_progress

DAMAGE_FOUND = 1


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--frames", "with_frames", is_flag=True, help="List every frame.")
@click.option(
    "--verify",
    "with_verification",
    is_flag=True,
    help="Decode every frame instead, and tell which are damaged and why.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@THREADS
@QUIET
def info(
    *,
    file: Path,
    with_frames: bool,
    with_verification: bool,
    as_json: bool,
    threads: int | None,
    quiet: bool,
) -> int:
    """Tell how the datasets of FILE are compressed and what h5bragg kept of them.

    With --verify the exit status is 1 if a frame is damaged.
    """
    if with_verification:
        if with_frames:
            raise click.UsageError("give either --verify or --frames")
        return _verify(file, as_json=as_json, threads=threads, quiet=quiet)
    summaries = _summarize(file, with_frames=with_frames, quiet=quiet)
    if as_json:
        click.echo(json.dumps({"datasets": [summary.as_json() for summary in summaries]}))
        return 0
    if not summaries:
        click.echo(f"{file}: no dataset of two or more dimensions")
    for summary in summaries:
        click.echo("\n".join(_lines(summary)))
        for line in _frame_lines(summary.frames or ()):
            click.echo(line)
    return 0


def _summarize(file: Path, *, with_frames: bool, quiet: bool) -> list[DatasetSummary]:
    """Summarise a file; the error of a damaged chunk says how to find all of them."""
    with open_hdf5(file) as opened:
        data = opened.get("entry/data/data")
        nframes = data.shape[0] if data is not None and is_sparse(data) else 0
        with frame_progress("inspecting", nframes, quiet=quiet) as progress:
            try:
                return summarize(opened, with_frames=with_frames, progress=progress)
            except InputError as error:
                if not isinstance(error.__cause__, ChunkError):
                    raise
                hint = "'h5bragg info --verify' names all damaged frames"
                raise InputError(f"{error}; {hint}") from error


def _verify(file: Path, *, as_json: bool, threads: int | None, quiet: bool) -> int:
    """Decode all frames, print what came of it, and return the exit status."""
    with (
        open_hdf5(file) as opened,
        frame_progress("verifying", count_frames(opened), quiet=quiet) as progress,
    ):
        datasets = verify(opened, threads=threads, progress=progress)
    if not datasets:
        raise InputError(
            f"{file} has no dataset that h5bragg compressed: give the output of 'h5bragg compress'"
        )
    if as_json:
        click.echo(json.dumps({"datasets": [asdict(found) for found in datasets]}))
    else:
        click.echo("\n".join(line for found in datasets for line in _verification_lines(found)))
    return DAMAGE_FOUND if any(found.damaged for found in datasets) else 0


def _verification_lines(found: DatasetVerification) -> Iterable[str]:
    """Sum one dataset up, then name its damaged frames."""
    ndamaged = sum(frames.last - frames.first + 1 for frames in found.damaged)
    yield (
        f"{found.name}: {found.good_frames} of {found.nframes} frames decode, {ndamaged} damaged, "
        f"{found.raw_frames} stored raw by HDF5, {found.unwritten_frames} never written"
    )
    for frames in found.damaged:
        yield f"  {frames}"


def _lines(summary: DatasetSummary) -> list[str]:
    """Describe one dataset."""
    shape = " x ".join(map(str, summary.shape))
    chunks = " x ".join(map(str, summary.chunks)) if summary.chunks else "none"
    lines = [
        f"{summary.name}: {shape} {summary.dtype}",
        f"  filter      {', '.join(summary.filters) or 'none'}; chunks {chunks}",
        f"  size        {in_bytes(summary.stored_nbytes)} of {in_bytes(summary.raw_nbytes)}"
        + (f", {summary.ratio:.3g} times smaller" if summary.ratio else ""),
    ]
    if summary.totals is not None:
        lines += _sparse_lines(summary)
    return lines


def _sparse_lines(summary: DatasetSummary) -> list[str]:
    """Describe what only h5bragg's datasets have."""
    totals = summary.totals
    assert totals is not None
    lines = [
        f"  frames      {totals.sparse_frames} sparse, {totals.lossless_frames} lossless, "
        f"{totals.unfiltered_frames} stored raw because encoding failed, "
        f"{summary.missing_frames} never written",
        f"  pixels      {100 * totals.picked_fraction:.3f} % stored exactly, "
        f"{totals.masked_pixels} masked in all",
    ]
    if summary.chunk is not None:
        lines += [
            f"  parameters  {_parameters(summary.chunk.params)}",
            f"  geometry    {repr(summary.chunk.geometry)[1:-1].removeprefix('Geometry ')}",
            f"  format      version {summary.chunk.format_version}, {summary.chunk.nbins} rings",
        ]
    return lines


def _frame_lines(frames: Iterable[FrameRecord]) -> Iterable[str]:
    """Make a table of how each frame is stored; a raw one could not be encoded."""
    for record in frames:
        if not record.frame:
            yield "   frame  stored         bytes    ratio      exact     masked"
        sizes = f"{record.frame:8}  {record.stored:9} {record.stored_nbytes:10}"
        if record.stored == "unwritten":
            yield sizes
        else:
            pixels = f"{record.exact_pixels:10} {record.masked_pixels:10}"
            yield f"{sizes} {record.ratio:8.4g} {pixels}"


def _parameters(params: SparsifyParams) -> str:
    """Name the parameters that are in force; chunks hold them in single precision."""
    codes = "automatic" if params.mask_codes is None else str(list(params.mask_codes))
    polarization = "none" if params.polarization is None else f"{params.polarization:.3g}"
    local = "off"
    if params.local_counts:
        local = (
            f"{params.local_counts} (step {params.local_step:g}, significance "
            f"{params.local_significance:.3g}, coarse limit {params.coarse_limit})"
        )
    return (
        f"snr_pick {params.snr_pick:.3g}, error model {params.error_model}, "
        f"polarization {polarization}, solid angle {'on' if params.solid_angle else 'off'}, "
        f"local counts {local}, mask codes {codes}, seed {params.seed}"
    )
