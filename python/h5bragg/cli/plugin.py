# SPDX-License-Identifier: MIT
"""h5bragg plugin: where the HDF5 plugin is, and how to put it where other programs look."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from .._clib import LIBRARY_PATH, PLUGIN_PATH, version
from ..output_file import OutputError, output_path
from ..plugin_check import PluginCheck, check_plugin
from ..plugin_files import PluginFile, look_at
from ..plugin_hosts import usual_directories
from ..plugin_problems import find_problems
from .options import QUIET

PROBLEM = 1

_PLACES = {
    "HDF5_PLUGIN_PATH": "looks for plugins where HDF5_PLUGIN_PATH says:",
    "HDF5's default": "looks for plugins in HDF5's default directories, as HDF5_PLUGIN_PATH is not "
    "set:",
    "--directory": "looks for plugins in:",
}


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
    installed = version()  # a library that cannot be loaded is not worth copying
    before = look_at(target) if target.exists() else None
    with output_path(target, force=True) as temporary:
        shutil.copyfile(LIBRARY_PATH, temporary)
        temporary.chmod(0o755)
    if not quiet:
        click.echo(f"{target} installed, version {installed}{_replaced(before)}")
        if str(directory.resolve()) not in usual_directories():
            click.echo(f"Programs find it with HDF5_PLUGIN_PATH={directory.resolve()}")


@plugin.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    default=None,
    help="Look there.  [default: where HDF5 looks, HDF5_PLUGIN_PATH included]",
)
@click.option(
    "--program",
    default=None,
    metavar="PROGRAM",
    help="h5dump, or a Python that has h5py.  [default: this Python]",
)
@QUIET
def check(*, directory: Path | None, program: str | None, quiet: bool) -> int:
    """Read built-in frames as a program that knows HDF5 alone, and say what is wrong.

    Exit status 1 means that something is wrong.
    """
    found = check_plugin(directory, program)
    problems = find_problems(found)
    if not quiet:
        click.echo("\n".join(_check_lines(found)))
    for problem in problems:
        click.echo(f"problem: {problem.sentence}\n  do this: {problem.fix}")
    if not problems and not quiet:
        click.echo("All is well.")
    return PROBLEM if problems else 0


def _check_lines(found: PluginCheck) -> list[str]:
    """Tell where HDF5 looks, what is there, and what was read."""
    where = _PLACES[found.source]
    if found.host.directories is None:
        where = "looks for plugins in directories that it does not tell"
    lines = [found.host.program, where]
    for directory in found.directories:
        lines.append(f"  {directory.path}" + (f" {directory.reason}" if directory.reason else ""))
        for item in directory.plugins:
            used = ", in use" if item == found.in_use else ""
            lines.append(f"    {item.path.name}: {_describe(item)}{used}")
    for name, reason in found.frames.items():
        text = "as it must be" if reason is None else reason
        lines.append(f"built-in frame of {name.replace('_', ' ')}: {text}")
    return lines


def _describe(plugin: PluginFile) -> str:
    if plugin.error is not None:
        return plugin.error
    if plugin.version is None:
        return f"another library, {plugin.filter_name}"
    formats = " and ".join(map(str, plugin.formats)) or "none that is known here"
    return f"version {plugin.version}, reads chunk formats: {formats}"


def _replaced(before: PluginFile | None) -> str:
    """Say what was there before the installation, if it was another version."""
    if before is None or before.version == version():
        return ""
    kind = f"version {before.version}" if before.version else "a file that is no good"
    return f", in place of {kind}"


def _suggestions() -> str:
    """Name the usual directories, those that exist on this machine first."""
    present = [name for name in usual_directories() if Path(name).is_dir()]
    return ", ".join(present or usual_directories())
