# SPDX-License-Identifier: MIT
"""Progress bar on standard error, silent where that is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def frame_progress(label: str, nframes: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show how many frames are done.

    Parameters
    ----------
    label : str
        What is being done.
    nframes : int
        How many frames there are.
    quiet : bool
        Show nothing.

    Yields
    ------
    callable
        To call with the number of frames that have just been done.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=nframes)
        yield lambda count: bar.advance(task, count)
