# SPDX-License-Identifier: MIT
"""Settings that are compared, and the files that they make of a raw one."""

from __future__ import annotations

import ast
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cache import files_digest, frames_digest, kept_folder
from scene import Scene
from simulate import RAW_NAME

from h5bragg import SparsifyParams, get_config
from h5bragg.frames import open_frames
from h5bragg.geometry import Geometry
from h5bragg.writer import compress

RAW = "raw"
REPEAT = "repeat"  # the raw frames of another draw of the counting noise
PEER_PREFIX = "pyfai-"
PEER = f"{PEER_PREFIX}1"
_FRAMES_NAME = "frames.h5"
_SIZE_NAME = "stored_nbytes.json"


class SettingError(Exception):
    """A setting is not written as it must be; the message says how."""


def parse_setting(setting: str) -> SparsifyParams:
    """Turn ``preset[:field=value[,field=value...]]`` into parameters.

    Examples
    --------
    >>> parse_setting("light:local_step=3").local_step
    3.0
    """
    preset, _, changes = setting.partition(":")
    overrides: dict[str, Any] = {}
    for change in filter(None, changes.split(",")):
        name, equals, value = change.partition("=")
        if not equals:
            raise SettingError(f"{setting!r} is no setting: write preset:field=value,field=value")
        try:
            overrides[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            overrides[name] = value
    try:
        return SparsifyParams.preset(preset, **overrides)
    except TypeError as error:
        raise SettingError(f"{setting!r} is no setting: {error}") from error


def make_frames(setting: str, source: Path, scene: Scene, folder: Path) -> tuple[Path, int]:
    """Return the file that a setting makes of the raw one, and its size in bytes.

    Parameters
    ----------
    setting : str
        `RAW`, ``pyfai-SIGMA``, or what `parse_setting` takes.
    source : Path
        Folder of the raw file.
    scene : Scene
    folder : Path
        Folder for the file; one that was made of the same frames in the same way is kept.
    """
    raw = source / RAW_NAME
    if setting in (RAW, REPEAT):
        return raw, raw.stat().st_size
    if setting.startswith(PEER_PREFIX):
        return _peer_frames(float(setting.removeprefix(PEER_PREFIX)), raw, scene, folder)
    library = files_digest(Path(str(get_config()["library"])))
    params = parse_setting(setting)
    made_from = {"raw": frames_digest(raw), "params": asdict(params), "library": library}
    output = kept_folder(folder, **made_from) / _FRAMES_NAME
    if not output.exists():
        _compress(raw, output, params)
    return output, output.stat().st_size


def _compress(raw: Path, output: Path, params: SparsifyParams) -> None:
    """Do what ``h5bragg compress`` does."""
    with open_frames([raw]) as frames:
        geometry = Geometry.from_file(raw, shape=frames.shape)
        compress(frames, output, geometry=geometry, params=params)


def _peer_frames(sigma: float, raw: Path, scene: Scene, folder: Path) -> tuple[Path, int]:
    """Send the frames through pyFAI and FabIO; the size is that of pyFAI's sparse frames."""
    from peer_frames import restore_with_peer

    kept_folder(folder, raw=frames_digest(raw), sigma=sigma)
    output, size = folder / _FRAMES_NAME, folder / _SIZE_NAME
    if not size.exists():
        size.write_text(json.dumps(restore_with_peer(raw, output, scene, sigma=sigma)))
    return output, int(json.loads(size.read_text()))
