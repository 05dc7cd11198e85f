# SPDX-License-Identifier: MIT
"""h5bragg plugin: where the HDF5 plugin is, and how to put it where other programs look."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from .._clib import LIBRARY_PATH, PLUGIN_PATH
from ..output_file import OutputError, output_path
from .options import QUIET

# Where HDF5 libraries look without HDF5_PLUGIN_PATH.
_SYSTEM_DIRECTORIES = (
    "/usr/local/hdf5/lib/plugin",
    "/usr/lib/x86_64-linux-gnu/hdf5/serial/plugins",
    "/usr/lib/x86_64-linux-gnu/hdf5/plugins",
    "/usr/lib/aarch64-linux-gnu/hdf5/serial/plugins",
    "/usr/lib64/hdf5/plugin",
)


@click.group(no_args_is_help=False)
def plugin() -> None:
    """Let other HDF5 programs find the h5bragg filter."""


@plugin.command()
def path() -> None:
    """Print the folder of the plugin, for HDF5_PLUGIN_PATH."""
    click.echo(PLUGIN_PATH)


@plugin.command()
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@QUIET
def install(*, directory: Path | None, quiet: bool) -> None:
    """Copy the plugin to DIRECTORY, one that HDF5 programs search.

    Without DIRECTORY, the usual ones of this machine are listed.
    """
    if directory is None:
        raise click.UsageError(f"Name a directory, such as {_suggestions()}")
    if not directory.is_dir():
        raise OutputError(f"{directory} does not exist: create it, or use one of {_suggestions()}")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise OutputError(
            f"{directory} is not writable: run as an administrator, or use a directory of your "
            "own and set HDF5_PLUGIN_PATH to it"
        )
    target = directory / LIBRARY_PATH.name
    if target.exists() and target.samefile(LIBRARY_PATH):
        raise OutputError(f"{target} is the plugin itself: choose another directory")
    with output_path(target, force=True) as temporary:
        shutil.copyfile(LIBRARY_PATH, temporary)
        temporary.chmod(0o755)
    if not quiet:
        click.echo(f"{target} installed")
        if str(directory.resolve()) not in _SYSTEM_DIRECTORIES:
            click.echo(f"Programs find it with HDF5_PLUGIN_PATH={directory.resolve()}")


def _suggestions() -> str:
    """Name the usual directories, those that exist on this machine first."""
    present = [name for name in _SYSTEM_DIRECTORIES if Path(name).is_dir()]
    return ", ".join(present or _SYSTEM_DIRECTORIES[:2])
