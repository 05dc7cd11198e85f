# SPDX-License-Identifier: MIT
"""h5bragg demo: the whole job on simulated frames, no data needed."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from ..demonstration import Demonstration, demonstrate
from ..params import SparsifyParams
from ..simulation import Simulation
from .options import QUIET, in_bytes
from .report import report

DIFFERENT = 1


@click.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=Path(),
    show_default=True,
    help="Folder for h5bragg_demo.h5 and h5bragg_demo.png.",
)
@click.option(
    "--frames",
    type=click.IntRange(1, 1000),
    default=8,
    show_default=True,
    help="Number of frames to simulate.",
)
@click.option(
    "--snr-pick",
    type=float,
    default=SparsifyParams().snr_pick,
    show_default=True,
    help="Keep pixels this many sigma above the background.",
)
@QUIET
def demo(*, directory: Path, frames: int, snr_pick: float, quiet: bool) -> int:
    """Simulate frames, compress them, read them with h5py alone, compare and draw.

    Writes h5bragg_demo.h5 and h5bragg_demo.png, replacing older ones.
    """
    console = Console()
    params = SparsifyParams(snr_pick=snr_pick)
    simulation = Simulation(nframes=frames)
    with Console(stderr=True, quiet=quiet).status("starting") as status:
        found = demonstrate(directory, simulation=simulation, params=params, step=status.update)
    if not quiet:
        _print(console, found)
    return 0 if found.comparison.is_exact and found.reads_identical else DIFFERENT


def _print(console: Console, found: Demonstration) -> None:
    shape = " x ".join(map(str, Simulation().shape))
    console.print(f"[bold]{found.comparison.frames} simulated frames of {shape} pixels[/]")
    report(console, found.comparison)
    same = "[green]identical[/]" if found.reads_identical else "[red]not identical[/]"
    console.print(
        f"read by h5py alone (HDF5 {found.hdf5_version}, HDF5_PLUGIN_PATH): {same} to decode(), "
        "on every read",
        soft_wrap=True,
    )
    console.print(
        f"speed through HDF5, one thread: reads at {found.read_speed:.2f} and writes at "
        f"{found.write_speed:.2f} times the speed of bitshuffle-LZ4",
        soft_wrap=True,
    )
    size = in_bytes(found.data.stat().st_size)
    click.echo(f"wrote {found.data} ({size}) and {found.picture}")
