# SPDX-License-Identifier: MIT
"""Draw what compression costs against what it saves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from settings import PEER_PREFIX, RAW, REPEAT
from table import Outcome

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import FixedLocator, NullLocator

# Name of the file, quantities to draw, label of the axis.
_FIGURES: tuple[tuple[str, tuple[tuple[str, str], ...], str], ...] = (
    ("rate_bias", (("bias_all", "all"), ("bias_outer", "outer shell")), "bias of intensities, %"),
    ("rate_cc", (("cc_truth_outer", "outer shell"),), "CC to truth, outer shell"),
    (
        "rate_cc_observations",
        (("cc_observed_outer", "outer shell"),),
        "CC to truth of single observations, outer shell",
    ),
)
_TICKS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40, 60, 100, 200)
_COLOURS = ("tab:blue", "tab:orange")


def draw_figures(folder: Path, outcomes: Sequence[Outcome]) -> list[Path]:
    """Draw the figures whose quantities were measured.

    Parameters
    ----------
    folder : Path
    outcomes : sequence of Outcome

    Returns
    -------
    list of Path
        The PNG files.
    """
    drawn = []
    for name, quantities, label in _FIGURES:
        if not any(quantities[0][0] in numbers for o in outcomes for numbers in o.found.values()):
            continue
        conditions = list(dict.fromkeys(outcome.condition for outcome in outcomes))
        figure, axes = plt.subplots(
            1, len(conditions), figsize=(1 + 4.2 * len(conditions), 4.2), squeeze=False
        )
        for panel, condition in zip(axes[0], conditions, strict=True):
            chosen = [outcome for outcome in outcomes if outcome.condition == condition]
            for (key, shown), colour in zip(quantities, _COLOURS, strict=False):
                _draw(panel, chosen, key, shown, colour)
            panel.set(title=condition, xscale="log", xlabel="times smaller than bitshuffle-LZ4")
            panel.xaxis.set_major_locator(FixedLocator(_TICKS))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            panel.margins(x=0.2, y=0.12)
            panel.grid(alpha=0.3)
        axes[0][0].set_ylabel(label)
        axes[0][0].legend(fontsize="small")
        figure.tight_layout()
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=130)
        plt.close(figure)
        drawn.append(path)
    return drawn


def _draw(panel: Any, outcomes: Sequence[Outcome], key: str, shown: str, colour: str) -> None:
    """Draw one quantity: a line through h5bragg's settings, a cross for the peer, raw's level."""
    raw = _mean(outcomes, RAW, key)
    if np.isfinite(raw):
        panel.axhline(raw, color=colour, ls=":", label=f"raw, {shown}")
    settings = list(dict.fromkeys(setting for o in outcomes for setting in o.found))
    points = [
        (_mean(outcomes, setting, "ratio"), _mean(outcomes, setting, key), setting)
        for setting in settings
        if setting not in (RAW, REPEAT)
    ]
    points = sorted(point for point in points if np.isfinite(point[1]))
    own = [point for point in points if not point[2].startswith(PEER_PREFIX)]
    peer = [point for point in points if point[2].startswith(PEER_PREFIX)]
    for group, style, name in ((own, "o-", "h5bragg"), (peer, "x", "pyFAI + FabIO")):
        if group:
            x, y, _ = zip(*group, strict=True)
            panel.plot(x, y, style, color=colour, label=f"{name}, {shown}")
    for x, y, setting in points:
        panel.annotate(
            setting, (x, y), xytext=(4, 5), textcoords="offset points", fontsize="x-small"
        )


def _mean(outcomes: Sequence[Outcome], setting: str, key: str) -> float:
    """Return the mean over the seeds; nan where nothing was measured."""
    values = [o.found[setting][key] for o in outcomes if key in o.found.get(setting, {})]
    return float(np.mean(values)) if values else float("nan")
