# SPDX-License-Identifier: MIT
"""Picture of a comparison: raw, restored, difference, and the profile over the rings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .comparison import FramePair
from .mask_bits import is_masked, mask_codes
from .output_file import OutputError, output_path
from .ring_test import LEAST_PIXELS, RingMoments
from .rings import background

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RAW_COLOR = "#9ecae1"
_RESTORED_COLOR = "#08306b"
_MASK_COLOR = "#d9d9d9"
_PANEL_PIXELS = 520
_ZOOM_PIXELS = 90


def plot_comparison(
    path: Path,
    pair: FramePair,
    *,
    moments: tuple[RingMoments, RingMoments] | None,
    title: str,
) -> None:
    """Draw a comparison into an image file.

    Parameters
    ----------
    path : Path
        File to write, its format by its suffix; replaced if it exists.
    pair : FramePair
        The frame to show.
    moments : tuple of RingMoments or None
        Raw and restored moments of the discarded pixels; None if nothing was discarded.
    title : str
        One line above the panels.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    kind = picture_format(path)
    figure = draw_comparison(pair, moments=moments, title=title)
    with output_path(path, force=True) as temporary:
        figure.savefig(temporary, format=kind)


def draw_comparison(
    pair: FramePair, *, moments: tuple[RingMoments, RingMoments] | None, title: str
) -> Figure:
    """Draw a comparison; the parameters are those of `plot_comparison`."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow import)

    figure = Figure(figsize=(12.6, 8.2), dpi=110, facecolor="white")
    grid = figure.add_gridspec(
        2, 3, height_ratios=(1.55, 1), left=0.055, right=0.985, top=0.905, bottom=0.07,
        wspace=0.06, hspace=0.24,
    )  # fmt: skip
    figure.text(0.055, 0.955, title, fontsize=13, fontweight="bold", color="#252525")
    _draw_frames([figure.add_subplot(grid[0, i]) for i in range(3)], pair)
    _draw_profiles(figure, grid, pair, moments)
    return figure


def picture_format(path: Path) -> str:
    """Return the image format that a file name asks for.

    Raises
    ------
    OutputError
        It is none that can be drawn.

    Examples
    --------
    >>> from pathlib import Path
    >>> picture_format(Path("a.PNG"))
    'png'
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  (slow import)

    known = FigureCanvasAgg.get_supported_filetypes()
    kind = path.suffix.lstrip(".").lower()
    if kind not in known:
        raise OutputError(f"{path} has no suffix of a picture: end its name in .png, .pdf or .svg")
    return kind


def _draw_frames(axes: list[Axes], pair: FramePair) -> None:
    """Draw raw, restored and difference, each with an enlarged corner."""
    masked = is_masked(pair.raw, mask_codes(pair.info.params, pair.raw.dtype))
    raw, restored = (
        np.where(masked, np.nan, frame).astype(float) for frame in (pair.raw, pair.restored)
    )
    top = float(np.nanpercentile(raw, 99.8)) + 1
    zoom = _zoom_window(raw, top)
    panels = (
        ("raw", raw, "Greys", 0.0, top),
        ("restored", restored, "Greys", 0.0, top),
        (
            "difference: restored \N{MINUS SIGN} raw",
            restored - raw,
            "RdBu_r",
            -max(top / 3, 2),
            max(top / 3, 2),
        ),
    )
    for axis, (name, image, colors, low, high) in zip(axes, panels, strict=True):
        _draw_image(axis, image, colors, (low, high), zoom)
        axis.set_title(name, fontsize=11, loc="left", color="#252525")
    axes[0].set_ylabel("slow axis, pixels", fontsize=9)
    for axis in axes:
        axis.set_xlabel("fast axis, pixels", fontsize=9)
        axis.tick_params(labelsize=8, labelleft=axis is axes[0])


def _draw_image(
    axis: Axes,
    image: NDArray[np.float64],
    colors: str,
    limits: tuple[float, float],
    zoom: tuple[int, int],
) -> None:
    """Draw a frame and, in a corner, one window of it pixel by pixel."""
    from matplotlib import colormaps  # noqa: PLC0415
    from matplotlib.colors import Normalize, PowerNorm  # noqa: PLC0415

    colormap = colormaps[colors].with_extremes(bad=_MASK_COLOR)
    signed = limits[0] < 0
    norm: Any = Normalize(*limits) if signed else PowerNorm(0.6, *limits)
    style: dict[str, Any] = {"cmap": colormap, "norm": norm, "interpolation": "nearest"}
    ny, nx = image.shape
    binned = _binned(image, np.mean if signed else np.max)
    axis.imshow(binned, extent=(0, nx, ny, 0), **style)
    slow, fast = zoom
    size = min(_ZOOM_PIXELS, ny, nx)
    inset = axis.inset_axes((0.56, 0.56, 0.43, 0.43))
    inset.imshow(
        image[slow : slow + size, fast : fast + size],
        extent=(fast, fast + size, slow + size, slow),
        **style,
    )
    inset.set(xticks=[], yticks=[])
    for spine in inset.spines.values():
        spine.set(color="#e6550d", linewidth=1.4)
    axis.indicate_inset_zoom(inset, edgecolor="#e6550d", alpha=1, linewidth=1.2)


def _binned(image: NDArray[np.float64], reduce: Callable[..., Any]) -> NDArray[np.float64]:
    """Return a frame small enough to draw, reduced block by block of pixels."""
    step = max(1, round(max(image.shape) / _PANEL_PIXELS))
    ny, nx = (size // step * step for size in image.shape)
    blocks = image[:ny, :nx].reshape(ny // step, step, nx // step, step)
    is_masked_block = np.isnan(blocks).mean(axis=(1, 3)) > 0.5
    return np.where(is_masked_block, np.nan, reduce(np.nan_to_num(blocks), axis=(1, 3)))


def _zoom_window(raw: NDArray[np.float64], top: float) -> tuple[int, int]:
    """Return the corner of a window with many bright pixels and few masked, in the lower left."""
    size = min(_ZOOM_PIXELS, *raw.shape)
    ny, nx = raw.shape
    best, corner = -np.inf, (0, 0)
    for slow in range(ny // 2, ny - size + 1, size // 2):
        for fast in range(0, nx // 2 - size + 1, size // 2):
            window = raw[slow : slow + size, fast : fast + size]
            bright = np.count_nonzero(window > 2 * top)
            score = bright - 10.0 * np.count_nonzero(np.isnan(window))
            if score > best:
                best, corner = score, (slow, fast)
    return corner


def _draw_profiles(
    figure: Figure, grid: Any, pair: FramePair, moments: tuple[RingMoments, RingMoments] | None
) -> None:
    """Draw mean and variance of the discarded pixels over the rings."""
    below = grid[1, :].subgridspec(1, 2, wspace=0.14)
    axes = [figure.add_subplot(below[0, i]) for i in range(2)]
    info = pair.info
    two_theta = np.degrees(background(pair.raw, info.geometry, info.params).two_theta_rad)
    quantities = ("mean", "variance")
    for axis, quantity in zip(axes, quantities, strict=True):
        axis.set_title(f"{quantity} of the discarded pixels", fontsize=11, loc="left")
        axis.set_xlabel("ring: scattering angle 2\N{GREEK SMALL LETTER THETA}, degrees", fontsize=9)
        axis.set_ylabel("counts" if quantity == "mean" else "counts\N{SUPERSCRIPT TWO}", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.grid(color="#f0f0f0")
        axis.set_axisbelow(True)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        if moments is None:
            axis.text(0.5, 0.5, "no pixel was discarded", transform=axis.transAxes, ha="center")
            continue
        _, restored = moments
        nbins = min(len(two_theta), len(restored.count))
        enough = restored.count[:nbins] >= LEAST_PIXELS
        x = two_theta[:nbins][enough]
        before, after = (getattr(part, quantity)[:nbins][enough] for part in moments)
        axis.plot(x, before, color=_RAW_COLOR, linewidth=4.5, label="raw")
        axis.plot(x, after, color=_RESTORED_COLOR, linewidth=1.1, label="restored")
        axis.set_ylim(bottom=0)
        axis.legend(frameon=False, fontsize=9)
