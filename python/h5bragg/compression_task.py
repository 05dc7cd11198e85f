# SPDX-License-Identifier: MIT
"""What a run of `compress` works on, in words that the next run can compare with its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import _clib
from .filter import Bragg
from .frame_source import InputError
from .frames import FrameSequence

# Size and time of last change: what tells a file that has been changed.
_Stamp = list[Any]


def task_head(frames: FrameSequence, bragg: Bragg, *, frames_per_chunk: int) -> dict[str, Any]:
    """Describe a run: all that the bytes of its chunks depend on.

    Parameters
    ----------
    frames : FrameSequence
        The input.
    bragg : Bragg
        Geometry and parameters.
    frames_per_chunk : int

    Returns
    -------
    dict
        Fit for JSON: ``version``, ``frames``, ``shape``, ``dtype``, ``frames_per_chunk``,
        ``parameters``, ``filter`` (cd_values, which tell the geometry or its hash), and ``inputs``
        with ``path``, ``datasets``, ``nframes`` and ``files`` (path, size, time of last change).
    """
    head = {
        "version": _clib.version(),
        "frames": len(frames),
        "shape": frames.stack_shape,
        "dtype": frames.dtype.name,
        "frames_per_chunk": frames_per_chunk,
        "parameters": asdict(bragg.params),
        "filter": bragg.filter_options,
        "inputs": [
            {
                "path": os.path.abspath(source.path),  # noqa: PTH100
                "datasets": list(source.dataset_names),
                "nframes": source.nframes,
                "files": [_stamp(path) for path in source.files],
            }
            for source in frames.sources
        ],
    }
    plain: dict[str, Any] = json.loads(json.dumps(head))  # tuples become lists
    return plain


def check_unchanged(head: dict[str, Any]) -> None:
    """Make sure that no input has changed since it was described.

    Raises
    ------
    InputError
        One has, or is gone.
    """
    for source in head["inputs"]:
        for old in source["files"]:
            if _stamp(Path(old[0])) != old:
                raise InputError(
                    f"{old[0]} has changed while it was read: compress it again when no program "
                    "writes it any more"
                )


def first_difference(old: dict[str, Any], new: dict[str, Any], nkept: int) -> str | None:
    """Say in what the descriptions of two runs differ.

    Parameters
    ----------
    old, new : dict
        See `task_head`.
    nkept : int
        Frames that were compressed in the old run: files of later ones may have changed.

    Returns
    -------
    str or None
        Words such as "snr_pick was 4 and is 3"; None if nothing differs.
    """
    names = {
        "version": "the version of h5bragg",
        "dtype": "the pixel type",
        "shape": "the shape of the frames",
        "frames_per_chunk": "the number of frames a chunk",
    }
    pairs = [(text, old[name], new[name]) for name, text in names.items()]
    pairs += [
        (name, value, new["parameters"].get(name)) for name, value in old["parameters"].items()
    ]
    for text, was, now in pairs:
        if was != now:
            return f"{text} was {was} and is {now}"
    if old["filter"] != new["filter"]:
        return "the geometry differs"
    return _input_difference(old["inputs"], new["inputs"], nkept)


def _input_difference(
    old: list[dict[str, Any]], new: list[dict[str, Any]], nkept: int
) -> str | None:
    """Say in what the inputs of two runs differ."""
    if len(old) != len(new):
        return f"the number of inputs was {len(old)} and is {len(new)}"
    start = 0
    for number, (was, now) in enumerate(zip(old, new, strict=True), start=1):
        path = now["path"]
        for name, text in (
            ("path", f"input {number}"),
            ("datasets", f"what is read of {path}"),
            ("nframes", f"the number of frames in {path}"),
        ):
            if was[name] != now[name]:
                return f"{text} was {was[name]} and is {now[name]}"
        if start < nkept and was["files"] != now["files"]:
            return f"{_changed(was['files'], now['files'])} has changed since"
        start += was["nframes"]
    return None


def _changed(old: Iterable[_Stamp], new: list[_Stamp]) -> str:
    """Return the name of the first file whose stamp is no longer the same."""
    return next((str(stamp[0]) for stamp in old if stamp not in new), str(new[0][0]))


def _stamp(path: Path) -> _Stamp:
    """Return path, size and time of last change; nothing of the last two if it is gone."""
    absolute = os.path.abspath(path)  # noqa: PTH100
    try:
        found = path.stat()
    except OSError:
        return [absolute, None, None]
    return [absolute, found.st_size, found.st_mtime_ns]
