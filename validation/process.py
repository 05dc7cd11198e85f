# SPDX-License-Identifier: MIT
"""Process one data set with DIALS, as a user would, and keep the steps that are finished."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dials_host import export, run_dials
from reflections import CELL_A, LEAST_SPACING_A, SPACE_GROUP

_SYMMETRY = (
    f"space_group={SPACE_GROUP}",
    "unit_cell=" + ",".join(map(str, (*CELL_A, 90, 90, 90))),
)
# The cell is known: no need to refine fifty candidates.
_QUICK_INDEX = ("method=fft1d", "max_refine=2", "n_macro_cycles=2")
# Columns of the summary that dials.scale prints: overall, low and high resolution.
_MERGING = {"Rmerge(I)": "Rmerge", "I/sigma": "I/sigma", "CC half": "CC1/2"}


@dataclass(frozen=True)
class Step:
    """One program and the file that it is for."""

    command: tuple[str, ...]
    product: str

    @property
    def name(self) -> str:
        """Name of the program without its prefix."""
        return self.command[0].removeprefix("dials.")


def steps(frames: Path, mask: Path, *, merge: bool) -> list[Step]:
    """Return the programs to run.

    Parameters
    ----------
    frames, mask : Path
        NXmx file, and the pixels that DIALS may use.
    merge : bool
        Refine a model that varies with the rotation, and scale and merge; a few frames tell too
        little for that.
    """
    index = ("dials.index", "imported.expt", "strong.refl", *_SYMMETRY)
    if not merge:
        index = (*index, *_QUICK_INDEX)
    chain = [
        Step(("dials.import", str(frames), f"lookup.mask={mask}"), "imported.expt"),
        Step(("dials.find_spots", "imported.expt", "nproc=1"), "strong.refl"),
        Step(index, "indexed.expt"),
    ]
    model = "indexed"
    if merge:
        refine = ("dials.refine", "indexed.expt", "indexed.refl", "scan_varying=True")
        chain.append(Step(refine, "refined.expt"))
        model = "refined"
    limit = f"d_min={LEAST_SPACING_A}"
    integrate = ("dials.integrate", f"{model}.expt", f"{model}.refl", f"prediction.{limit}")
    # Only scaling looks at fitted profiles.
    fitting = (f"profile.fitting={merge}", "nproc=1")
    chain.append(Step((*integrate, *fitting), "integrated.refl"))
    if merge:
        scale = ("dials.scale", "integrated.expt", "integrated.refl", "anomalous=False", limit)
        chain.append(Step(scale, "scaled.refl"))
    return chain


def process(
    frames: Path,
    mask: Path,
    folder: Path,
    *,
    merge: bool,
    finished: Callable[[str, float], None] = lambda _name, _seconds: None,
) -> None:
    """Run DIALS on a file; steps whose product is there are not run again.

    Parameters
    ----------
    frames, mask : Path
        NXmx file, and the pixels that DIALS may use, as `dials_export.py` writes them.
    folder : Path
        Folder for everything that DIALS writes.
    merge : bool
        See `steps`.
    finished : callable
        Called with the name of a step and the seconds it took, when it is done.

    Raises
    ------
    DialsError
        A step failed.
    """
    for step in steps(frames.resolve(), mask.resolve(), merge=merge):
        if (folder / step.product).exists():
            continue
        start = time.monotonic()
        run_dials(list(step.command), folder, folder / f"{step.name}.out")
        finished(step.name, time.monotonic() - start)
    if not (folder / "integrated.npz").exists():
        export("tables", folder.resolve(), folder=folder)


def merging_statistics(log: str) -> dict[str, float]:
    r"""Read overall and outer-shell statistics from what dials.scale prints.

    Examples
    --------
    >>> log = "Summary of merging statistics\n  CC half    0.998  0.999  0.431\n"
    >>> merging_statistics(log)
    {'CC1/2': 0.998, 'CC1/2 outer': 0.431}
    """
    summary = log[log.rindex("Summary of merging statistics") :]
    found = {}
    for label, name in _MERGING.items():
        row = re.search(re.escape(label) + r"((?:\s+-?[\d.]+){3})", summary)
        if row:
            overall, _, outer = map(float, row[1].split())
            found |= {name: overall, f"{name} outer": outer}
    return found
