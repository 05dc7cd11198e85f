# SPDX-License-Identifier: MIT
"""Options that say how to sparsify, shared by the commands that encode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from ..errors import ParameterError
from ..geometry import Geometry
from ..params import PRESETS, SparsifyParams, effective_params

_Command = TypeVar("_Command", bound=Callable[..., Any])

_DEFAULTS = SparsifyParams()
# Without local counts a reflection below the threshold is lost, so that it has to be lower.
_SNR_PICK_ALONE = 2.0


class _Polarization(click.ParamType):  # type: ignore[type-arg]
    """A number, or `none`."""

    name = "number|none"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | str:
        """Return the number, or the word."""
        if value == "none":
            return "none"
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor 'none'", param, ctx)


# In the order in which --help lists them.
_OPTIONS = (
    click.option(
        "--preset",
        type=click.Choice(list(PRESETS)),
        default="default",
        show_default=True,
        help="Settings to start from: light = smaller files, careful = more of weak reflections; "
        "the options below go before it.",
    ),
    click.option(
        "--snr-pick",
        type=float,
        default=None,
        help="Keep pixels this many sigma above the background.  "
        f"[default: {_DEFAULTS.snr_pick:g}, or {_SNR_PICK_ALONE:g} with --local-counts 0]",
    ),
    click.option(
        "--local-counts",
        type=int,
        default=_DEFAULTS.local_counts,
        show_default=True,
        help="4 = tiles of 4 x 4 pixels keep how many counts they held, 0 = off.",
    ),
    click.option(
        "--local-step",
        type=float,
        default=_DEFAULTS.local_step,
        show_default=True,
        help="Step of these counts in their standard deviations, a multiple of 0.25 up to 4.",
    ),
    click.option(
        "--local-significance",
        type=float,
        default=_DEFAULTS.local_significance,
        show_default=True,
        help="Keep tiles exactly that look like a reflection of this many sigma.",
    ),
    click.option(
        "--coarse-limit",
        type=int,
        default=_DEFAULTS.coarse_limit,
        show_default=True,
        help="One sum for 16 x 16 pixels that expect fewer counts: 0 (never), 8, 24 or 64.",
    ),
    click.option(
        "--error-model",
        type=click.Choice(["poisson", "azimuthal", "hybrid"]),
        default="poisson",
        show_default=True,
        help="Where sigma comes from.",
    ),
    click.option(
        "--radial-bins",
        type=int,
        default=0,
        show_default=True,
        help="Number of rings; 0 = one per two pixels, at most 1024.",
    ),
    click.option(
        "--polarization",
        type=_Polarization(),
        default=None,
        help="Polarization factor, or 'none'.  [default: the geometry's, else 0.99]",
    ),
    click.option(
        "--mask-code",
        "mask_codes",
        type=int,
        multiple=True,
        help="Value of masked pixels; may be given twice.  [default: by pixel type]",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the restored noise."),
)


def encoding_options(command: _Command) -> _Command:
    """Add the options to a command, which hands them on to `encoding_params`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def encoding_params(
    context: click.Context, options: dict[str, Any], geometry: Geometry
) -> SparsifyParams:
    """Turn the preset and the options that were given into parameters.

    Parameters
    ----------
    context : click.Context
        Tells which options were given.
    options : dict
        Values of all options of `encoding_options`, by name.
    geometry : Geometry
        Its polarization is used if none is given.

    Raises
    ------
    ParameterError
        They cannot be used.
    """
    default = click.core.ParameterSource.DEFAULT
    given = {
        name: value
        for name, value in options.items()
        if name != "preset" and context.get_parameter_source(name) is not default
    }
    codes = given.pop("mask_codes", ())
    if len(codes) > 2:
        raise ParameterError(f"{len(codes)} mask codes are not usable: give at most two")
    given["mask_codes"] = codes or None
    if given.get("polarization") == "none":
        given["polarization"] = None
    params = effective_params(None, geometry.polarization, preset=options["preset"], **given)
    if params.local_counts == 0 and "snr_pick" not in given:
        return replace(params, snr_pick=_SNR_PICK_ALONE)
    return params
