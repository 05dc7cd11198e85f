# SPDX-License-Identifier: MIT
"""The partial file of `h5bragg compress`: chunks as they are made, so that a killed run can go on.

An HDF5 file that was not closed cannot be read.  So every chunk also goes to the end of
OUTPUT.partial, a plain file: a head (magic, length and CRC-32, then JSON that says what is being
compressed), and one record a chunk (magic, first frame, length, rotation, CRC-32 of these; then
the chunk, which has a checksum of its own).  Whatever the moment of a kill, all records but the
last one are whole.  The file goes when the output has its name.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .codec import inspect
from .compression_task import first_difference
from .errors import ChunkError, H5braggError, ReadBackError
from .output_file import OutputError

_MAGIC = b"h5bragg partial 1\n"
_HEAD = struct.Struct("<QI")  # length and CRC-32 of the JSON that follows
_RECORD = struct.Struct("<4sIQI")  # magic, first frame, length of the chunk, number of angles
_ANGLES = struct.Struct("<dd")  # angle and width of a frame; NaN where the input tells none
_CRC = struct.Struct("<I")
_RECORD_MAGIC = b"chnk"
# A record that claims more angles than frames of any chunk is no record.
_MOST_ANGLES = 1 << 16

Rotation = tuple[float, float]


@dataclass(frozen=True)
class KeptChunk:
    """One chunk of a partial file.

    Parameters
    ----------
    start : int
        Number of its first frame.
    rotation : sequence of (float, float)
        Angle and width of each frame in degrees, NaN where they are not known.
    offset, nbytes : int
        Where the chunk is in the file.
    """

    start: int
    rotation: Sequence[Rotation]
    offset: int
    nbytes: int


class PartialFile:
    """Chunks on disk that outlive the process; see `open_partial`.

    Parameters
    ----------
    path : Path
        The file.
    descriptor : int
        It, opened to read and write, and locked.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._end = 0
        self.kept: list[KeptChunk] = []
        self.nframes = 0

    def read_head(self, *, allow_damage: bool = False) -> dict[str, Any] | None:
        """Return what the file says is being compressed; None if it ends within its head.

        Parameters
        ----------
        allow_damage : bool
            Return None for a damaged head, too.

        Raises
        ------
        OutputError
            The file is another one that happens to have this name, or damaged.
        """
        start = os.pread(self._descriptor, len(_MAGIC) + _HEAD.size, 0)
        if start[: len(_MAGIC)] != _MAGIC[: len(start)]:
            raise OutputError(
                f"{self.path} is no unfinished output of h5bragg: move it to another name"
            )
        if len(start) < len(_MAGIC) + _HEAD.size:
            return None
        length, crc = _HEAD.unpack(start[len(_MAGIC) :])
        text = os.pread(self._descriptor, length, len(start))
        if len(text) < length:
            return None
        if zlib.crc32(text) != crc:
            if allow_damage:
                return None
            raise OutputError(f"{self.path} is damaged: begin again with --force")
        self._end = len(start) + length
        head: dict[str, Any] = json.loads(text)
        return head

    def begin(self, head: dict[str, Any]) -> None:
        """Empty the file and say what is being compressed."""
        os.ftruncate(self._descriptor, 0)
        text = json.dumps(head).encode()
        self._end, self.nframes = 0, 0
        self._append(_MAGIC, _HEAD.pack(len(text), zlib.crc32(text)), text)

    def find_chunks(self, nframes: int, frames_per_chunk: int) -> None:
        """List the whole chunks, every checksum verified, and cut off what follows them."""
        self.kept, self.nframes = [], 0
        while self.nframes < nframes:
            count = min(frames_per_chunk, nframes - self.nframes)
            chunk = self._find_chunk(count)
            if chunk is None:
                break
            self.kept.append(chunk)
            self.nframes += count
            self._end = chunk.offset + chunk.nbytes
        os.ftruncate(self._descriptor, self._end)

    def read(self, chunk: KeptChunk) -> bytes:
        """Read the bytes of one chunk; any thread may do so."""
        return os.pread(self._descriptor, chunk.nbytes, chunk.offset)

    def append(self, chunk: bytes | NDArray[np.uint8], rotation: Sequence[Rotation]) -> None:
        """Add the chunk of the next frames, as many as there are rotations.

        Raises
        ------
        OSError
            It cannot be written; the chunks before it stay.
        """
        angles = b"".join(_ANGLES.pack(*frame) for frame in rotation)
        head = _RECORD.pack(_RECORD_MAGIC, self.nframes, len(chunk), len(rotation)) + angles
        self._append(head, _CRC.pack(zlib.crc32(head)), bytes(chunk))
        self.nframes += len(rotation)

    def _find_chunk(self, nframes: int) -> KeptChunk | None:
        """Return the chunk at the end of those found so far; None if it is not whole."""
        head = os.pread(self._descriptor, _RECORD.size, self._end)
        if len(head) < _RECORD.size:
            return None
        magic, start, nbytes, nangles = _RECORD.unpack(head)
        if magic != _RECORD_MAGIC or nangles > _MOST_ANGLES:
            return None
        rest = _ANGLES.size * nangles
        tail = os.pread(self._descriptor, rest + _CRC.size, self._end + _RECORD.size)
        if len(tail) < rest + _CRC.size:
            return None
        (crc,) = _CRC.unpack(tail[rest:])
        if zlib.crc32(head + tail[:rest]) != crc or (start, nangles) != (self.nframes, nframes):
            return None
        offset = self._end + _RECORD.size + rest + _CRC.size
        chunk = KeptChunk(start, list(_ANGLES.iter_unpack(tail[:rest])), offset, nbytes)
        try:
            inspect(self.read(chunk))
        except (ChunkError, MemoryError):
            return None
        return chunk

    def _append(self, *parts: bytes) -> None:
        """Write behind the last record; if that fails the file ends there as before."""
        waiting = memoryview(b"".join(parts))
        end = self._end
        try:
            while waiting:
                count = os.pwrite(self._descriptor, waiting, end)
                waiting, end = waiting[count:], end + count
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._end)
            raise
        self._end = end


def partial_path(output: Path) -> Path:
    """Return the name of an output's partial file.

    Examples
    --------
    >>> partial_path(Path("scan.h5")).name
    'scan.h5.partial'
    """
    return output.with_name(f"{output.name}.partial")


@contextmanager
def open_partial(
    output: Path,
    head: dict[str, Any],
    *,
    resume: bool = False,
    force: bool = False,
    keep: bool = True,
) -> Iterator[PartialFile]:
    """Open the partial file of an output for one run, alone.

    It is deleted when the block ends well, and when no chunk got into it.  Otherwise it is kept,
    and the block's error says so.

    Parameters
    ----------
    output : Path
        The output.
    head : dict
        What is being compressed: see `compression_task.task_head`.
    resume : bool
        Go on with a file that is there: `PartialFile.kept` are its chunks.
    force : bool
        Without `resume`: begin again although one is there.
    keep : bool
        False: delete it in any case.

    Raises
    ------
    OutputError
        Another run is using it; it holds frames and neither `resume` nor `force` is given; it is
        of other frames or options; it cannot be written.
    """
    path = partial_path(Path(os.path.abspath(output)))  # noqa: PTH100  (as in output_file)
    descriptor, is_locked = _open_locked(path)
    try:
        partial = PartialFile(path, descriptor)
        _start(partial, head, resume=resume, force=force)
        if is_locked:
            _remove_leftovers(path.parent, output.name)
        try:
            yield partial
        except BaseException as error:
            # What was read back wrong is not to be used again.
            if isinstance(error, ReadBackError) or not (keep and partial.nframes):
                path.unlink(missing_ok=True)
            elif isinstance(error, (H5braggError, KeyboardInterrupt)):
                _tell_of(partial, error, head["frames"])
            raise
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _start(partial: PartialFile, head: dict[str, Any], *, resume: bool, force: bool) -> None:
    """Find what is there, or begin."""
    is_new = force and not resume
    old = partial.read_head(allow_damage=is_new)
    if old is not None and not is_new:
        partial.find_chunks(old["frames"], old["frames_per_chunk"])
    if not partial.nframes:
        try:
            partial.begin(head)
        except OSError as error:
            partial.path.unlink(missing_ok=True)
            raise OutputError(f"{partial.path} cannot be written: {error.strerror}") from error
        return
    assert old is not None
    if not resume:
        raise OutputError(
            f"{partial.path} holds {partial.nframes} of {old['frames']} frames of a run that did "
            "not finish: go on with --resume, or begin again with --force"
        )
    different = first_difference(old, head, partial.nframes)
    if different is not None:
        raise OutputError(
            f"{partial.path} cannot be resumed, as {different}: repeat the command that began it, "
            "or begin again with --force and without --resume"
        )


def _open_locked(path: Path) -> tuple[int, bool]:
    """Open the file and lock it, if the file system has locks: descriptor, whether it is locked.

    Whoever removes the file does so with the lock held.
    """
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise OutputError(
                f"{path} is in use: another run writes this output, wait until it has ended"
            ) from error
        except OSError:
            return descriptor, False
        try:
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor, True
        except FileNotFoundError:
            pass
        os.close(descriptor)  # another run has just finished with it


def _remove_leftovers(folder: Path, name: str) -> None:
    """Remove what runs that were killed have left: the lock says that no other one is at work."""
    leftover = re.compile(rf"\.{re.escape(name)}\.\d+\.tmp")
    for path in folder.iterdir():
        if leftover.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _tell_of(partial: PartialFile, error: BaseException, nframes: int) -> None:
    reason = str(error) or "interrupted"
    error.args = (
        f"{reason}; {partial.nframes} of {nframes} frames are kept in {partial.path}: repeat the "
        "command with --resume to go on",
    )
