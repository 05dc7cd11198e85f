# SPDX-License-Identifier: MIT
"""h5bragg densify: a sparse file becomes one that needs no plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from .. import reader
from ..hdf5_open import open_hdf5
from .options import FORCE, OUTPUT, QUIET, THREADS, VERIFY, in_bytes
from .progress import frame_progress


@click.command()
@click.argument("sparse", type=click.Path(path_type=Path))
@OUTPUT
@click.option(
    "--compression",
    type=click.Choice(list(reader.COMPRESSIONS)),
    default="bitshuffle-lz4",
    show_default=True,
    help="Of the dense frames.",
)
@click.option(
    "--fill",
    type=click.Choice(["noise", "mean"]),
    default="noise",
    show_default=True,
    help="What discarded pixels become.",
)
@THREADS
@VERIFY
@FORCE
@QUIET
def densify(
    *,
    sparse: Path,
    output: Path,
    compression: str,
    fill: Literal["noise", "mean"],
    threads: int | None,
    verify: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Write a copy of SPARSE whose frames are dense, for programs without the plugin.

    Groups, metadata and other datasets are copied.
    """
    with open_hdf5(sparse) as source:
        nframes = sum(item.nframes for item in reader.find_sparse(source))
        with frame_progress("densifying", nframes * (1 + verify), quiet=quiet) as progress:
            count = reader.densify(
                source,
                output,
                compression=compression,
                fill=fill,
                threads=threads,
                force=force,
                verify=verify,
                progress=progress,
            )
    if not quiet:
        click.echo(f"{output}: {count} dense frames, {in_bytes(output.stat().st_size)}")
