# SPDX-License-Identifier: MIT
"""Options that say what is a peak, shared by the commands that find them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..peaks import PeakParams

_Command = TypeVar("_Command", bound=Callable[..., Any])
_DEFAULTS = PeakParams()

_OPTIONS = (
    click.option(
        "--peak-snr",
        type=float,
        default=_DEFAULTS.snr_pick,
        show_default=True,
        help="Peaks are this many sigma above the background, at least as many as --snr-pick of "
        "what is stored.",
    ),
    click.option(
        "--peak-patch",
        type=int,
        default=_DEFAULTS.patch,
        show_default=True,
        help="Edge of the patch of pixels around a peak, 3 or 5.",
    ),
    click.option(
        "--peak-connected",
        type=int,
        default=_DEFAULTS.connected,
        show_default=True,
        help="So many other pixels of the patch must be as high.",
    ),
    click.option(
        "--min-peaks",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="Keep hits only: leave out frames with fewer peaks, and list them.",
    ),
)


def peak_options(command: _Command) -> _Command:
    """Add the options to a command: peak_snr, peak_patch, peak_connected, min_peaks."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def peak_params(options: dict[str, Any]) -> PeakParams:
    """Take what is a peak out of the options.

    Raises
    ------
    ParameterError
        It cannot be used.
    """
    return PeakParams(
        snr_pick=options.pop("peak_snr"),
        patch=options.pop("peak_patch"),
        connected=options.pop("peak_connected"),
    )
