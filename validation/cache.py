# SPDX-License-Identifier: MIT
"""Folders whose content is kept as long as what it was made from stays the same."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import h5py

from h5bragg.nxmx_file import DATA_PATH

_KEY = "made_from.json"


def kept_folder(folder: Path, **made_from: Any) -> Path:
    """Return a folder, emptied if it was made from something else.

    Parameters
    ----------
    folder : Path
    **made_from
        What the content depends on; JSON must hold it.

    Raises
    ------
    FileExistsError
        The folder holds files that are not ours.
    """
    key = json.dumps(made_from, sort_keys=True, indent=1)
    note = folder / _KEY
    if note.exists() and note.read_text(encoding="utf-8") == key:
        return folder
    if folder.exists() and not note.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} was not made by this program: give another work folder")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    note.write_text(key, encoding="utf-8")
    return folder


def files_digest(*paths: Path) -> str:
    """Return a digest of the content of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def frames_digest(path: Path) -> str:
    """Return a digest of the stored chunks of an NXmx file, whatever its metadata."""
    digest = hashlib.sha256()
    with h5py.File(path) as file:
        data = file[DATA_PATH]
        for number in range(data.id.get_num_chunks()):
            offset = data.id.get_chunk_info(number).chunk_offset
            digest.update(data.id.read_direct_chunk(offset)[1])
    return digest.hexdigest()[:16]
