# SPDX-License-Identifier: MIT
"""What is wrong where HDF5 does not find the plugin, or finds a wrong one, and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from ._clib import FILTER_ID, LIBRARY_PATH, PLUGIN_PATH
from .plugin_check import PluginCheck
from .plugin_files import PluginFile
from .plugin_hosts import usual_directories

_SHOW_IT = f"export HDF5_PLUGIN_PATH={PLUGIN_PATH}"


@dataclass(frozen=True)
class Problem:
    """Something that is wrong, and what to do about it.

    Parameters
    ----------
    sentence, fix : str
    """

    sentence: str
    fix: str


def find_problems(check: PluginCheck) -> list[Problem]:
    """Return all that is wrong, causes first; nothing if all is well.

    Parameters
    ----------
    check : PluginCheck
        See `check_plugin`.
    """
    causes = chain(
        _environment_problems(check),
        _directory_problems(check),
        _file_problems(check),
        _version_problems(check),
        _own_problems(check),
    )
    found = list(causes)
    return [*found, *_read_problems(check, is_explained=bool(found))]


def _environment_problems(check: PluginCheck) -> Iterator[Problem]:
    if check.environment.get("HDF5_PLUGIN_PRELOAD") == "::":
        yield Problem(
            "HDF5_PLUGIN_PRELOAD is '::', which forbids HDF5 all plugins",
            "unset HDF5_PLUGIN_PRELOAD",
        )
    fill = check.environment.get("H5BRAGG_FILL")
    if fill not in (None, "", "noise", "mean"):
        yield Problem(
            f"H5BRAGG_FILL is {fill!r}, but must be 'noise' or 'mean'", "unset H5BRAGG_FILL"
        )


def _directory_problems(check: PluginCheck) -> Iterator[Problem]:
    if check.source != "HDF5_PLUGIN_PATH":
        return  # HDF5's default directories need not be there
    if check.host.directories is not None and not check.directories:
        yield Problem("HDF5_PLUGIN_PATH is set but empty, so that HDF5 looks nowhere", _SHOW_IT)
    for directory in check.directories:
        if directory.reason is not None:
            tilde = ", as HDF5 does not expand ~" * str(directory.path).startswith("~")
            yield Problem(
                f"{directory.path}, named in HDF5_PLUGIN_PATH, {directory.reason}{tilde}",
                "correct HDF5_PLUGIN_PATH: HDF5 1.10 looks into no directory behind a bad one",
            )


def _file_problems(check: PluginCheck) -> Iterator[Problem]:
    """Find files that are no good, and files that are not ours."""
    has_good_one = any(plugin.is_bragg and plugin.is_usable for plugin in check.plugins)
    for plugin in check.plugins:
        if not plugin.is_bragg:
            used = ", and HDF5 uses it" if plugin == check.in_use else ""
            yield Problem(
                f"{plugin.path} is another library ({plugin.filter_name}) that has h5bragg's "
                f"filter number {FILTER_ID}{used}",
                "take it out of the directory",
            )
        elif plugin.error is not None:
            # Directories for several kinds of machines may stand side by side.
            if not (has_good_one and plugin.is_foreign):
                yield Problem(f"{plugin.path} cannot be loaded: {plugin.error}", _replace(plugin))
        elif not plugin.is_tried and not has_good_one:
            yield Problem(
                f"HDF5 does not try {plugin.path}: names of plugins begin with lib",
                f"rename it to {LIBRARY_PATH.name}",
            )


def _version_problems(check: PluginCheck) -> Iterator[Problem]:
    """Find copies of another version than the one in use, or than this package."""
    good = [plugin for plugin in check.plugins if plugin.is_bragg and plugin.is_usable]
    if not good:
        return
    used = check.in_use if check.in_use in good else good[0]
    for other in good:
        if other.version != used.version:
            older = min(other, used, key=_version_key)
            yield Problem(
                f"{used.path} is version {used.version} and {other.path} is version "
                f"{other.version}: HDF5 uses the first",
                _replace(older),
            )
    own = check.own.version
    if own is not None and all(own != plugin.version for plugin in good):
        is_older = _version_key(used) < _version_key(check.own)
        yield Problem(
            f"{used.path} is version {used.version}, but this h5bragg is version {own}",
            _replace(used) if is_older else "pip install --upgrade h5bragg",
        )


def _own_problems(check: PluginCheck) -> Iterator[Problem]:
    """Judge the plugin of the Python package, unless it was met in the directories."""
    own = check.own
    seen = {os.path.realpath(plugin.path) for plugin in check.plugins}
    if own.error is not None and os.path.realpath(own.path) not in seen:
        yield Problem(
            f"this package's own plugin {own.path} cannot be loaded: {own.error}",
            "pip install --force-reinstall h5bragg",
        )


def _read_problems(check: PluginCheck, *, is_explained: bool) -> Iterator[Problem]:
    """Tell what the program met; that frames are wrong only if no cause is known already."""
    if check.host.crash is not None:
        yield Problem(
            f"{check.host.program} ended with {check.host.crash} when HDF5 looked for the plugin",
            "do what is said above, or take the newest file out of the directories of plugins",
        )
        return
    bad = {name: reason for name, reason in check.frames.items() if reason is not None}
    if bad and check.directories and not check.plugins:
        where = ", ".join(str(directory.path) for directory in check.directories)
        yield Problem(
            f"HDF5 finds no h5bragg plugin, neither the file {LIBRARY_PATH.name} nor another, in "
            f"{where}",
            f"{_SHOW_IT}, or h5bragg plugin install {usual_directories()[0]}",
        )
        return
    if not is_explained:
        for name, reason in bad.items():
            yield Problem(
                f"built-in frame of {name.replace('_', ' ')}: {reason}",
                "see 'When it does not work' in docs/readers.md",
            )


def _replace(plugin: PluginFile) -> str:
    """Say how to get rid of a bad copy."""
    if plugin.path.name == LIBRARY_PATH.name:
        return f"h5bragg plugin install {plugin.path.parent}"
    return f"rm {plugin.path}"


def _version_key(plugin: PluginFile) -> tuple[int, ...]:
    words = (plugin.version or "").split(".")
    return tuple(int(word) if word.isdecimal() else -1 for word in words)
