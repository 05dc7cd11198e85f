# SPDX-License-Identifier: MIT
"""h5bragg compress: many input frames become one sparse HDF5 file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from .. import writer
from ..chunk_totals import ChunkTotals
from ..errors import GeometryError, ParameterError
from ..frame_source import InputError
from ..frames import FrameSequence, open_frames
from ..geometry import Geometry
from ..params import PRESETS, SparsifyParams, effective_params
from .options import DATASET, FORCE, OUTPUT, QUIET, THREADS, in_bytes
from .progress import frame_progress

_DEFAULTS = SparsifyParams()
# Without local counts a reflection below the threshold is lost, so that it has to be lower.
_SNR_PICK_ALONE = 2.0


class _Polarization(click.ParamType):  # type: ignore[type-arg]
    """A number, or `none`."""

    name = "number|none"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | str:
        """Return the number, or the word."""
        if value == "none":
            return "none"
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor 'none'", param, ctx)


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@OUTPUT
@click.option(
    "--geometry",
    "geometry_file",
    type=click.Path(path_type=Path),
    help="Mini-CBF frame, Eiger/NXmx master, CrystFEL .geom or PONI file.  [default: the first "
    "input]",
)
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="default",
    show_default=True,
    help="Settings to start from: light = smaller files, careful = more of weak reflections; "
    "the options below go before it.",
)
@click.option(
    "--snr-pick",
    type=float,
    default=None,
    help="Keep pixels this many sigma above the background.  "
    f"[default: {_DEFAULTS.snr_pick:g}, or {_SNR_PICK_ALONE:g} with --local-counts 0]",
)
@click.option(
    "--local-counts",
    type=int,
    default=_DEFAULTS.local_counts,
    show_default=True,
    help="4 = tiles of 4 x 4 pixels keep how many counts they held, 0 = off.",
)
@click.option(
    "--local-step",
    type=float,
    default=_DEFAULTS.local_step,
    show_default=True,
    help="Step of these counts in their standard deviations, a multiple of 0.25 up to 4.",
)
@click.option(
    "--local-significance",
    type=float,
    default=_DEFAULTS.local_significance,
    show_default=True,
    help="Keep tiles exactly that look like a reflection of this many sigma.",
)
@click.option(
    "--coarse-limit",
    type=int,
    default=_DEFAULTS.coarse_limit,
    show_default=True,
    help="One sum for 16 x 16 pixels that expect fewer counts: 0 (never), 8, 24 or 64.",
)
@click.option(
    "--error-model",
    type=click.Choice(["poisson", "azimuthal", "hybrid"]),
    default="poisson",
    show_default=True,
    help="Where sigma comes from.",
)
@click.option(
    "--radial-bins",
    type=int,
    default=0,
    show_default=True,
    help="Number of rings; 0 = one per two pixels, at most 1024.",
)
@click.option(
    "--polarization",
    type=_Polarization(),
    default=None,
    help="Polarization factor, or 'none'.  [default: the geometry's, else 0.99]",
)
@click.option(
    "--mask-code",
    "mask_codes",
    type=int,
    multiple=True,
    help="Value of masked pixels; may be given twice.  [default: by pixel type]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the restored noise.")
@click.option(
    "--frames-per-chunk",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Frames that are encoded together.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|gpu|opencl:NAME",
    help="Where to encode; auto = a GPU if there is one.",
)
@DATASET
@THREADS
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
    preset: str,
    dataset: str | None,
    frames_per_chunk: int,
    device: str,
    threads: int | None,
    force: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Compress INPUTS, in the order given, into one NXmx-style HDF5 file.

    INPUTS are frames of any format that FabIO opens (CBF, EDF, TIFF, ..., also .gz and .bz2) and
    HDF5 files: Eiger or NXmx masters, or data files.  Metadata is taken from the first.
    """
    is_asked = context.get_parameter_source("device") is not click.core.ParameterSource.DEFAULT
    with _log_shown(is_asked and not quiet), open_frames(inputs, dataset=dataset) as frames:
        geometry = _geometry(geometry_file, frames)
        default = click.core.ParameterSource.DEFAULT
        given = {
            name: value
            for name, value in options.items()
            if context.get_parameter_source(name) is not default
        }
        params = _params(preset, given, geometry)
        with frame_progress("compressing", len(frames), quiet=quiet) as progress:
            totals = writer.compress(
                frames,
                output,
                geometry=geometry,
                params=params,
                frames_per_chunk=frames_per_chunk,
                device=device,
                threads=threads,
                force=force,
                progress=progress,
            )
    if not quiet:
        click.echo(f"{output}: {describe(totals)}")


def describe(totals: ChunkTotals) -> str:
    """Sum up in one line how frames were stored.

    Examples
    --------
    >>> describe(ChunkTotals(sparse_frames=2, picked_pixels=3, sparse_pixels=100, raw_nbytes=400,
    ...                      stored_nbytes=20))
    '2 frames, 400 B -> 20 B (20 times smaller), 2 sparse, 0 lossless, 3.00 % of pixels exact'
    """
    nframes = totals.sparse_frames + totals.lossless_frames + totals.unfiltered_frames
    sizes = f"{in_bytes(totals.raw_nbytes)} -> {in_bytes(totals.stored_nbytes)}"
    return (
        f"{nframes} frame{'s' if nframes != 1 else ''}, {sizes} "
        f"({totals.ratio:.3g} times smaller), {totals.sparse_frames} sparse, "
        f"{totals.lossless_frames} lossless, {100 * totals.picked_fraction:.2f} % of pixels exact"
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


def _geometry(path: Path | None, frames: FrameSequence) -> Geometry:
    """Read the geometry from a file of its own, or from the first input."""
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


def _params(preset: str, given: dict[str, Any], geometry: Geometry) -> SparsifyParams:
    """Turn a preset and the options that were given into parameters."""
    codes = given.pop("mask_codes", ())
    if len(codes) > 2:
        raise ParameterError(f"{len(codes)} mask codes are not usable: give at most two")
    given["mask_codes"] = codes or None
    if given.get("polarization") == "none":
        given["polarization"] = None
    params = effective_params(None, geometry.polarization, preset=preset, **given)
    if params.local_counts == 0 and "snr_pick" not in given:
        return replace(params, snr_pick=_SNR_PICK_ALONE)
    return params
