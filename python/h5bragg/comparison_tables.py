# SPDX-License-Identifier: MIT
"""What a comparison found about spots and background, as rows of text for people."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .shells import ShellSums
from .spot_comparison import CLASS_EDGES, NCLASSES, PairSums, SpotComparison


@dataclass(frozen=True)
class TextTable:
    """A small table.

    Parameters
    ----------
    header : tuple of str
        Shape (ncolumns,).
    rows : list of tuple of str
        Each of shape (ncolumns,).
    """

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


def class_name(index: int) -> str:
    """Name a class of intensities, in sigma.

    Examples
    --------
    >>> [class_name(i) for i in range(4)]
    ['below 5', '5 to 10', '10 to 20', '20 and more']
    """
    if index == 0:
        return f"below {CLASS_EDGES[0]:g}"
    if index == NCLASSES - 1:
        return f"{CLASS_EDGES[-1]:g} and more"
    return f"{CLASS_EDGES[index - 1]:g} to {CLASS_EDGES[index]:g}"


def spot_table(spots: SpotComparison) -> TextTable:
    """Tell the intensities by class: of spots, and at places of spots of the frame before."""
    header = ["I / sigma", "spots", "restored / raw", "rms/sigma"]
    selections = [spots.either]
    if spots.elsewhere.total.count[0]:
        selections.append(spots.elsewhere)
        header += ["places", *header[2:]]
    rows = [
        (name, *(cell for pairs in selections for cell in _pair_cells(pairs, index)))
        for index, name in enumerate(map(class_name, range(NCLASSES)))
    ]
    total = (cell for pairs in selections for cell in _pair_cells(pairs.total, 0))
    return TextTable(tuple(header), [*rows, ("all", *total)])


def shell_table(shells: ShellSums) -> TextTable:
    """Tell the mean background by resolution, in counts a pixel."""
    unit = "resolution, A" if shells.unit == "A" else "radius, pixels"
    rows: list[tuple[str, ...]] = [
        (
            shell_name(shell.inner, shell.outer, shells.unit),
            f"{shell.raw:#.4g}".rstrip("."),
            f"{shell.restored:#.4g}".rstrip("."),
            "-" if math.isnan(shell.ratio) else f"{shell.ratio:.4f}",
        )
        for shell in shells.shells
    ]
    return TextTable((unit, "raw", "restored", "restored / raw"), rows)


def shell_name(inner: float, outer: float, unit: str) -> str:
    """Name a shell by where it begins and ends.

    Examples
    --------
    >>> shell_name(5000.0, 7.35, "A"), shell_name(7.35, 3.68, "A"), shell_name(3.2, 210, "pixels")
    ('above 7.35', '7.35 to 3.68', '3 to 210')
    """
    if unit != "A":
        return f"{inner:.0f} to {outer:.0f}"
    return f"above {outer:.2f}" if inner > 100 else f"{inner:.2f} to {outer:.2f}"


def ratio_text(ratio: float, error: float) -> str:
    """Write a ratio with its standard error in units of the last digit, as crystallographers do.

    Examples
    --------
    >>> ratio_text(0.99513, 0.0081), ratio_text(0.8123, 0.021), ratio_text(1.0, 0.0)
    ('0.995(8)', '0.81(2)', '1.0000')
    >>> ratio_text(0.9888, 0.00099), ratio_text(1.00004, 2e-6), ratio_text(0.5, float("nan"))
    ('0.989(1)', '1.0000(1)', '-')
    """
    if math.isnan(ratio) or math.isnan(error) or error > 1:
        return "-"
    if error == 0:
        return f"{ratio:.4f}"
    # 0.095 and more of a digit is a whole one: 0.989(1), not 0.9888(10).
    digits = min(max(-math.floor(math.log10(error / 0.95)), 1), 4)
    return f"{ratio:.{digits}f}({max(round(error * 10**digits), 1)})"


def _pair_cells(pairs: PairSums, index: int) -> tuple[str, str, str]:
    count = int(pairs.count[index])
    if not count:
        return "0", "-", "-"
    ratio, error = float(pairs.ratio[index]), float(pairs.ratio_error[index])
    return str(count), ratio_text(ratio, error), f"{pairs.rms_sigma[index]:.2f}"
