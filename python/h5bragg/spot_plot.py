# SPDX-License-Identifier: MIT
"""Picture of spots and background: restored against raw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .comparison_tables import class_name
from .shells import ShellSums
from .spot_comparison import NCLASSES, PairSums, SpotComparison, SpotFrame, mean_variance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LIGHT, _DARK, _ACCENT, _GREY = "#9ecae1", "#08306b", "#e6550d", "#969696"
_MASK_COLOR = "#c6dbef"
# Ratios are drawn on this scale about 1 at least: a change of a thousandth should look like one.
_LEAST_SPAN = 0.05
# Enlarged spots: how many, how far around, and up to which intensity / sigma.
_EXAMPLES, _REACH, _STRONGEST = 12, 10, 30.0
_ROUND_RESOLUTIONS = (
    *(50, 20, 10, 8, 6, 5, 4, 3, 2.5, 2),
    *(1.8, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1, 1, 0.9, 0.8, 0.7),
)


def draw_spots(spots: SpotComparison, shells: ShellSums) -> Figure:
    """Draw intensities, their ratios by class, and the background by resolution.

    Parameters
    ----------
    spots : SpotComparison
    shells : ShellSums
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow import)

    figure = Figure(figsize=(12.6, 4.1), dpi=110, facecolor="white")
    axes = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.055, right=0.99, top=0.9, bottom=0.14, wspace=0.24)
    _draw_intensities(axes[0], spots.pairs)
    _draw_ratios(axes[1], spots)
    _draw_background(axes[2], shells)
    for axis in axes:
        axis.tick_params(labelsize=8)
        axis.set_axisbelow(True)
        axis.grid(color="#f0f0f0")
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    return figure


def draw_examples(spots: SpotFrame) -> Figure:
    """Draw some spots of a frame enlarged, raw above restored, most of them weak.

    Parameters
    ----------
    spots : SpotFrame
        Spots near the edge are not drawn.
    """
    from matplotlib import colormaps  # noqa: PLC0415  (slow import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    ny, nx = spots.raw.shape
    places, raw, restored = spots.either
    slow, fast = places.slow, places.fast
    inside = (slow >= _REACH) & (slow < ny - _REACH) & (fast >= _REACH) & (fast < nx - _REACH)
    places, raw, restored = places[inside], raw[inside], restored[inside]
    strength = (raw.counts + restored.counts) / 2 / np.sqrt(mean_variance(raw, restored))
    order = np.argsort(strength)
    order = order[: max(np.searchsorted(strength[order], _STRONGEST), min(_EXAMPLES, len(order)))]
    shown = order[np.linspace(0, len(order) - 1, min(_EXAMPLES, len(order))).astype(int)]
    colors = colormaps["Greys"].with_extremes(bad=_MASK_COLOR)
    figure = Figure(figsize=(12.6, 2.7), dpi=110, facecolor="white")
    axes = figure.subplots(2, _EXAMPLES, squeeze=False)
    figure.subplots_adjust(left=0.055, right=0.995, top=0.98, bottom=0.1, wspace=0.06, hspace=0.05)
    for column in axes.T:
        for axis in column:
            axis.set_axis_off()
    for column, index in zip(axes.T, shown, strict=False):
        window = tuple(
            slice(int(at) - _REACH, int(at) + _REACH + 1)
            for at in (places.slow[index], places.fast[index])
        )
        cutouts = [
            np.where(spots.valid[window], frame[window], np.nan)
            for frame in (spots.raw, spots.restored)
        ]
        top = max(float(np.nanmax(cutout)) for cutout in cutouts) + 1e-6
        for axis, cutout in zip(column, cutouts, strict=True):
            axis.imshow(cutout, cmap=colors, vmin=0, vmax=0.8 * top, interpolation="nearest")
        before, after = raw.counts[index], restored.counts[index]
        column[1].text(
            0.5, -0.06, f"{before:.0f} \N{RIGHTWARDS ARROW} {after:.0f}",
            transform=column[1].transAxes, ha="center", va="top", fontsize=9,
        )  # fmt: skip
    for y, name in ((0.77, "raw"), (0.33, "restored"), (0.045, "counts")):
        figure.text(0.048, y, name, fontsize=9, ha="right", va="center")
    return figure


def _draw_intensities(axis: Axes, pairs: NDArray[np.float32]) -> None:
    """Draw each spot as a point, on axes that are linear near 0 and logarithmic beyond."""
    axis.set_title("intensity of each spot", fontsize=11, loc="left")
    axis.set_xlabel("raw, counts", fontsize=9)
    axis.set_ylabel("restored, counts", fontsize=9)
    if not len(pairs):
        axis.text(0.5, 0.5, "no spots", transform=axis.transAxes, ha="center")
        return
    raw, restored, sigma = pairs.T
    top = 1.3 * float(max(raw.max(), restored.max(), 20))
    bottom = float(min(raw.min(), restored.min(), 0))
    for scale in (axis.set_xscale, axis.set_yscale):
        scale("symlog", linthresh=10, linscale=0.5)
    line = np.concatenate([np.linspace(bottom, 10, 50), np.geomspace(10, top, 100)])
    # What two countings of one spot would differ by, had each its own noise.
    typical = np.sqrt(np.maximum(line, 0) + float(np.median(sigma**2 - np.maximum(raw, 0))))
    axis.fill_between(
        line, line - 2 * typical, line + 2 * typical, color="#eeeeee", lw=0,
        label="\N{PLUS-MINUS SIGN} 2 counting sigma",
    )  # fmt: skip
    axis.plot(line, line, color=_GREY, linewidth=0.8)
    axis.plot(raw, restored, ".", color=_DARK, markersize=3, alpha=0.5, rasterized=True)
    axis.set(xlim=(bottom, top), ylim=(bottom, top))
    axis.legend(frameon=False, fontsize=8, loc="upper left")


def _draw_ratios(axis: Axes, spots: SpotComparison) -> None:
    """Draw the ratio of sums of each class, of both selections."""
    axis.set_title("sum of intensities, restored / raw", fontsize=11, loc="left")
    axis.set_xlabel("intensity / sigma", fontsize=9)
    selections = [
        (spots.either, -0.1, _DARK, "o", "spots found in either frame"),
        (spots.elsewhere, 0.1, _ACCENT, "s", "where the frame before has spots"),
    ]
    span = _LEAST_SPAN
    axis.axhline(1, color=_GREY, linewidth=0.8)
    for pairs, shift, color, marker, label in selections:
        shown = np.flatnonzero(_is_worth_drawing(pairs))
        if not len(shown):
            continue
        ratio, error = pairs.ratio[shown], pairs.ratio_error[shown]
        span = max(span, 1.15 * float(np.max(np.abs(ratio - 1) + error)))
        axis.errorbar(
            shown + shift, ratio, error, color=color, marker=marker, markersize=5,
            linestyle="none", capsize=3, label=label,
        )  # fmt: skip
    axis.set_xticks(range(NCLASSES), [class_name(i) for i in range(NCLASSES)])
    axis.set(xlim=(-0.5, NCLASSES - 0.5), ylim=(1 - span, 1 + min(span, 0.5)))
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False, fontsize=8, loc="lower right")


def _is_worth_drawing(pairs: PairSums) -> NDArray[np.bool_]:
    """Return which classes have more than noise to show."""
    worth: NDArray[np.bool_] = (pairs.count > 0) & (np.nan_to_num(pairs.ratio_error, nan=9) < 0.3)
    return worth


def _draw_background(axis: Axes, shells: ShellSums) -> None:
    """Draw the mean background over the resolution, raw under restored."""
    axis.set_title("background, mean counts a pixel", fontsize=11, loc="left")
    bins = shells.bins
    by_resolution = shells.unit == "A"
    # Equal steps along the axis are equal steps in 1/d, labelled by d.
    middles = [
        (1 / shell.inner + 1 / shell.outer) / 2
        if by_resolution
        else (shell.inner + shell.outer) / 2
        for shell in bins
    ]
    axis.plot(middles, [s.raw for s in bins], color=_LIGHT, linewidth=4.5, label="raw")
    axis.plot(middles, [s.restored for s in bins], color=_DARK, linewidth=1.1, label="restored")
    if bins:
        # The glare of the beam would flatten all else.
        axis.set_ylim(0, 1.3 * float(np.percentile([s.raw for s in bins], 96)) + 1e-6)
    axis.set_xlabel(
        "resolution, A" if by_resolution else "distance from the beam, pixels", fontsize=9
    )
    if by_resolution and middles:
        ticks = _resolution_ticks(middles[0], middles[-1])
        axis.set_xticks([1 / d for d in ticks], [f"{d:g}" for d in ticks])
    axis.legend(frameon=False, fontsize=9)


def _resolution_ticks(low: float, high: float) -> list[float]:
    """Return round resolutions whose inverses lie between two values, not too close."""
    ticks: list[float] = []
    for d in _ROUND_RESOLUTIONS:
        is_apart = not ticks or 1 / d - 1 / ticks[-1] > 0.07 * (high - low)
        if low <= 1 / d <= high and is_apart:
            ticks.append(d)
    return ticks
