# SPDX-License-Identifier: MIT
"""Let a program that knows nothing of h5bragg read built-in frames; plugin_problems.py judges."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from ._clib import LIBRARY_PATH
from .frame_source import InputError
from .plugin_files import CHECK_FILE, PluginFile, find_plugins, look_at
from .plugin_hosts import HostRead, read_with


@dataclass(frozen=True, kw_only=True)
class SearchedDirectory:
    """A directory in which HDF5 looks for plugins.

    Parameters
    ----------
    path : Path
    reason : str or None
        Why HDF5 cannot look into it.
    plugins : sequence of PluginFile
        Copies of h5bragg, and others with its filter number, in the order in which HDF5 tries them.
    """

    path: Path
    reason: str | None = None
    plugins: Sequence[PluginFile] = ()


@dataclass(frozen=True, kw_only=True)
class PluginCheck:
    """What `check_plugin` found.

    Parameters
    ----------
    environment : mapping of str to str
        That of the program.
    host : HostRead
        The program and what it read.
    source : {"HDF5_PLUGIN_PATH", "--directory", "HDF5's default"}
        What says where HDF5 looks.
    directories : sequence of SearchedDirectory
    own : PluginFile
        The plugin of this Python package.
    in_use : PluginFile or None
        The file that HDF5 takes.
    frames : mapping of str to str or None
        For each built-in frame what is wrong with it; None if it is as it must be.
    """

    environment: Mapping[str, str]
    host: HostRead
    source: str
    directories: Sequence[SearchedDirectory]
    own: PluginFile
    in_use: PluginFile | None
    frames: Mapping[str, str | None]

    @property
    def plugins(self) -> list[PluginFile]:
        """All that is in the directories, in the order in which HDF5 tries it."""
        return [plugin for directory in self.directories for plugin in directory.plugins]


def check_plugin(directory: Path | None = None, program: str | None = None) -> PluginCheck:
    """Let a program read the built-in frames, and look into the directories that HDF5 searches.

    Parameters
    ----------
    directory : Path or None
        Look there rather than where HDF5 would; None leaves the environment as it is.
    program : str or None
        h5dump, or a Python that has h5py, by name or path; None is this Python.

    Raises
    ------
    InputError
        There is no such directory or program, or the program is of another kind.
    """
    environment = dict(os.environ)
    source = "HDF5_PLUGIN_PATH" if "HDF5_PLUGIN_PATH" in environment else "HDF5's default"
    if directory is not None:
        found = search_directory(directory.absolute())
        if found.reason is not None:
            raise InputError(f"{directory} {found.reason}: give a directory with the plugin")
        source = "--directory"
        environment["HDF5_PLUGIN_PATH"] = str(found.path)
    host = read_with(program, environment)
    directories = [search_directory(Path(name)) for name in host.directories or ()]
    return PluginCheck(
        environment=environment,
        host=host,
        source=source,
        directories=directories,
        own=look_at(LIBRARY_PATH),
        in_use=_find_in_use(host, directories),
        frames=_compare(host, environment.get("H5BRAGG_FILL") or "noise"),
    )


def search_directory(path: Path) -> SearchedDirectory:
    """Look into a directory.

    Parameters
    ----------
    path : Path
        It need not be there.
    """
    try:
        return SearchedDirectory(path=path, plugins=find_plugins(path))
    except FileNotFoundError:
        reason = "does not exist"
    except NotADirectoryError:
        reason = "is no directory"
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    return SearchedDirectory(path=path, reason=reason)


def _find_in_use(host: HostRead, directories: Sequence[SearchedDirectory]) -> PluginFile | None:
    """Return the plugin that was loaded; the first good one if the program does not tell."""
    plugins = [plugin for directory in directories for plugin in directory.plugins]
    if host.loaded is not None:
        return next((p for p in plugins if os.path.realpath(p.path) in host.loaded), None)
    if not any("sha256" in frame for frame in host.frames.values()):
        return None
    return next((plugin for plugin in plugins if plugin.is_usable), None)


def _compare(host: HostRead, fill: str) -> dict[str, str | None]:
    """Compare the pixels that were read with those that each built-in frame must have."""
    found: dict[str, str | None] = {}
    with h5py.File(CHECK_FILE, "r") as file:
        for name, data in file.items():
            read = host.frames.get(name, {"error": "it was not read"})
            is_right = read.get("sha256") == data.attrs.get(fill, data.attrs["noise"])
            found[name] = None if is_right else read.get("error", "its pixels are wrong")
    return found
