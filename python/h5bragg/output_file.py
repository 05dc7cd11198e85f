# SPDX-License-Identifier: MIT
"""Write an output file whole or not at all: beside its place first, then renamed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py

from .errors import H5braggError, ReadBackError


class OutputError(H5braggError):
    """An output file cannot be written; the sentence says what to do."""


@contextmanager
def output_path(path: Path, *, force: bool = False, inputs: Iterable[Path] = ()) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends well.

    The finished file is flushed to the disk before it takes its name.  If the block fails, for
    whatever reason, nothing is left behind and a file of that name stays as it was.

    Parameters
    ----------
    path : Path
        The output.
    force : bool
        Replace a file of that name.
    inputs : iterable of Path
        Files that must not be replaced even so.

    Raises
    ------
    OutputError
        The folder is missing or read-only, the disk is full, the file exists already, or it is
        one of the inputs.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with output_path(pathlib.Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("done")
    ...     [found.name for found in pathlib.Path(folder).iterdir()]
    ['a.txt']
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would follow a link)
    inputs = tuple(inputs)
    check_output(path, force=force, inputs=inputs)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            temporary.touch(exist_ok=True)
            yield temporary
            _flush(temporary)
            # Somebody else may have written it in the meantime.
            check_output(path, force=force, inputs=inputs)
            temporary.replace(path)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {_reason(error)}") from error
    finally:
        temporary.unlink(missing_ok=True)
    with suppress(OSError):  # some file systems cannot flush a folder
        _flush(path.parent)


@contextmanager
def output_hdf5(
    path: Path,
    *,
    force: bool = False,
    inputs: Iterable[Path] = (),
    check: Callable[[Path], None] = lambda _: None,
) -> Iterator[h5py.File]:
    """Give a new HDF5 file that becomes `path` when the block ends well.

    Parameters
    ----------
    path, force, inputs
        See `output_path`, which also has the errors.
    check : callable
        Called with the closed file before it takes its name.  If it raises `ReadBackError` the
        file is kept as PATH.failed.
    """
    with output_path(path, force=force, inputs=inputs) as temporary:
        file = h5py.File(temporary, "w")
        try:
            yield file
        except BaseException:
            # A full disk makes closing fail as well; the first error is the one to tell.
            with suppress(OSError, RuntimeError):
                file.close()
            raise
        try:
            file.close()
        except RuntimeError as error:
            raise OSError(str(error)) from error
        try:
            check(temporary)
        except ReadBackError as error:
            failed = path.with_name(f"{path.name}.failed")
            temporary.replace(failed)
            error.args = (f"{path} was not written: {error}; what was is kept as {failed}",)
            raise


def check_output(path: Path, *, force: bool = False, inputs: Iterable[Path] = ()) -> None:
    """Refuse an output that cannot be written: parameters and errors are those of `output_path`."""
    if path.is_dir():
        raise OutputError(f"{path} is a directory: give a file name in it")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent} does not exist: create the folder first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path.parent} is not writable: choose another folder")
    if not path.exists():
        return
    for source in inputs:
        if source.exists() and path.samefile(source):
            raise OutputError(f"{path} is an input: choose another name for the output")
    if not force:
        raise OutputError(f"{path} exists already: choose another name or add --force")


def _flush(path: Path) -> None:
    """Make the operating system write a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    """Return the operating system's words, which HDF5 wraps in many of its own."""
    text = " ".join(str(error).split())
    found = re.search(r"error message = '([^']+)'", text)
    return found[1] if found else error.strerror or text[:200]
