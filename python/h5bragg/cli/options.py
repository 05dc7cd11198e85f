# SPDX-License-Identifier: MIT
"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

OUTPUT = click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="File to write."
)
FORCE = click.option("--force", is_flag=True, help="Replace the output if it exists.")
VERIFY = click.option(
    "--verify",
    is_flag=True,
    help="Read the output back and compare all frames before it takes its name.",
)
QUIET = click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
THREADS = click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=None,
    help="Threads to use.  [default: one a CPU, at most 16]",
)
FRAMES_PER_CHUNK = click.option(
    "--frames-per-chunk",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Frames that are encoded together.",
)
DATASET = click.option(
    "--dataset",
    default=None,
    metavar="NAME",
    help="Path of the frames in HDF5 input that keeps them in no usual place.",
)


def in_bytes(nbytes: float) -> str:
    """Write a size for people.

    Examples
    --------
    >>> in_bytes(999), in_bytes(1_240_000)
    ('999 B', '1.24 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 1000:
            return f"{nbytes:.3g} {unit}"
        nbytes /= 1000
    return f"{nbytes:.3g} TB"
