# SPDX-License-Identifier: MIT
"""Picture of a frame with its peaks ringed, a part of it enlarged, and the profile of the rings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .comparison_plot import picture_format
from .output_file import output_path
from .peak_scan import PeakView
from .peaks import Peaks
from .rings import Background, background

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PEAK_COLOR = "#d7301f"
_LINE_COLOR = "#08306b"
_MASK_COLOR = "#d9d9d9"
_GREY = "#969696"
_ZOOM_PIXELS = 120
# Shown pixels of a frame along its longer side; each is the largest of those that it stands for.
_SHOWN_PIXELS = 700
_ROUND_RESOLUTIONS = (20.0, 10.0, 6.0, 4.0, 3.0, 2.5, 2.0, 1.7, 1.5, 1.3, 1.2, 1.1, 1.0, 0.9, 0.8)


def plot_peaks(path: Path, view: PeakView, *, title: str) -> None:
    """Draw a frame with its peaks into an image file.

    Parameters
    ----------
    path : Path
        File to write, its format by its suffix; replaced if it exists.
    view : PeakView
        The frame and its peaks.
    title : str
        One line above the panels.

    Raises
    ------
    OutputError
        The file cannot be written, or has no suffix of a picture.
    """
    kind = picture_format(path)
    figure = draw_peaks(view, title=title)
    with output_path(path, force=True) as temporary:
        figure.savefig(temporary, format=kind)


def draw_peaks(view: PeakView, *, title: str) -> Figure:
    """Draw a frame with its peaks; the parameters are those of `plot_peaks`."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow import)

    figure = Figure(figsize=(13.6, 5.0), dpi=110, facecolor="white")
    grid = figure.add_gridspec(
        1, 3, width_ratios=(1.15, 1.15, 1), left=0.05, right=0.985, top=0.86, bottom=0.115,
        wspace=0.17,
    )  # fmt: skip
    figure.text(0.05, 0.94, title, fontsize=13, fontweight="bold", color="#252525")
    whole, part, profile = (figure.add_subplot(grid[0, k]) for k in range(3))
    corner = _busiest_window(view)
    _draw_whole(whole, view, corner)
    _draw_part(part, view, corner)
    _draw_profile(profile, view)
    return figure


def _draw_whole(axis: Axes, view: PeakView, corner: tuple[int, int]) -> None:
    """Draw the frame, its peaks ringed, and a frame around the part that is enlarged."""
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    ny, nx = view.pixels.shape
    shown = _largest_of_blocks(view, max(1, -(-max(ny, nx) // _SHOWN_PIXELS)))
    _show(axis, shown, (0, nx, ny, 0))
    axis.plot(
        view.peaks.fast_px, view.peaks.slow_px, "o", markersize=4.5, markerfacecolor="none",
        markeredgecolor=_PEAK_COLOR, markeredgewidth=0.6, rasterized=len(view.peaks) > 5000,
    )  # fmt: skip
    edge = min(_ZOOM_PIXELS, ny, nx)
    axis.add_patch(
        Rectangle((corner[1], corner[0]), edge, edge, fill=False, color=_LINE_COLOR, linewidth=1.2)
    )
    axis.set_title(f"{len(view.peaks)} peaks", fontsize=11, loc="left", color="#252525")
    axis.set_ylabel("slow axis, pixels", fontsize=9)


def _draw_part(axis: Axes, view: PeakView, corner: tuple[int, int]) -> None:
    """Draw a part of the frame pixel by pixel, with a circle and the SNR at each peak."""
    ny, nx = view.pixels.shape
    edge = min(_ZOOM_PIXELS, ny, nx)
    slow, fast = corner
    window = np.s_[slow : slow + edge, fast : fast + edge]
    image = np.where(view.valid[window], view.pixels[window], np.nan).astype(float)
    _show(axis, image, (fast, fast + edge, slow + edge, slow))
    inside = _inside(view.peaks, corner, edge)
    axis.plot(
        inside.fast_px, inside.slow_px, "o", markersize=13, markerfacecolor="none",
        markeredgecolor=_PEAK_COLOR, markeredgewidth=1.1,
    )  # fmt: skip
    for x, y, snr in zip(inside.fast_px, inside.slow_px, inside.snr, strict=True):
        axis.annotate(
            f"{snr:.0f}", (x, y), xytext=(6, 5), textcoords="offset points", fontsize=7,
            color=_PEAK_COLOR,
        )  # fmt: skip
    axis.set(xlim=(fast, fast + edge), ylim=(slow + edge, slow))
    axis.set_title("enlarged, with intensity / sigma", fontsize=11, loc="left", color="#252525")


def _draw_profile(axis: Axes, view: PeakView) -> None:
    """Draw the background of the rings, what is as high as a peak, and the peaks' maxima."""
    rings = background(view.pixels, view.geometry, view.params)
    counts, sigma = _in_counts(rings, view)
    used = (rings.npixels > 0) & np.isfinite(rings.radius_m) & (counts > 0)
    snr, mean, sigma = view.wanted.snr_pick, counts[used], sigma[used]
    at = _axis_of(rings, used, view)
    third_order = (snr * snr - 1) / 6 * np.minimum(sigma**2 / mean, 2) if snr > 1 else 0
    high = mean + snr * sigma + third_order
    axis.plot(at, high, color=_GREY, linewidth=1, label=f"{snr:g} sigma above it")
    axis.plot(at, mean, color=_LINE_COLOR, linewidth=1.2, label="background of the ring")
    peaks = view.peaks[np.isfinite(view.peaks.radius_m)]
    axis.plot(
        _axis_of_peaks(peaks, view), peaks.maximum, ".", color=_PEAK_COLOR, markersize=3.5,
        alpha=0.6, label="largest pixel of a peak", rasterized=True, zorder=0,
    )  # fmt: skip
    low = float(np.percentile(mean, 2)) if len(mean) else 0.1
    top = max(float(peaks.maximum.max(initial=1)), float(high.max(initial=1)))
    axis.set_yscale("log")
    axis.set_ylim(max(low / 3, 1e-4), 3 * top)
    axis.set_title("counts a pixel", fontsize=11, loc="left", color="#252525")
    axis.tick_params(labelsize=8)
    _label_radii(axis, at, view)
    axis.legend(frameon=False, fontsize=8, loc="upper right")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _in_counts(
    rings: Background, view: PeakView
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return background and sigma of each ring in counts, at its mean normalisation."""
    ring, normalisation = view.geometry.ring_map(view.params)
    on_ring = ring < len(rings.mean)
    number = np.bincount(ring[on_ring], minlength=len(rings.mean))
    total = np.bincount(ring[on_ring], normalisation[on_ring], minlength=len(rings.mean))
    mean_norm = total / np.maximum(number, 1)
    counts = rings.mean * mean_norm
    if view.params.error_model == "azimuthal":
        return counts, rings.std * mean_norm
    return counts, np.sqrt(np.maximum(counts, 0))


def _has_resolution(view: PeakView) -> bool:
    return view.geometry.wavelength_m > 0


def _axis_of(rings: Background, used: NDArray[np.bool_], view: PeakView) -> NDArray[np.float64]:
    """Return where rings are drawn: 1/d, or the radius in millimetres."""
    if not _has_resolution(view):
        return rings.radius_m[used] * 1e3
    sine = np.sin(rings.two_theta_rad[used] / 2)
    inverse: NDArray[np.float64] = 2 * sine / (view.geometry.wavelength_m * 1e10)
    return inverse


def _axis_of_peaks(peaks: Peaks, view: PeakView) -> NDArray[np.float64]:
    return 1 / peaks.resolution_a if _has_resolution(view) else peaks.radius_m * 1e3


def _label_radii(axis: Axes, at: NDArray[np.float64], view: PeakView) -> None:
    """Label the axis of 1/d with round resolutions."""
    if not _has_resolution(view):
        axis.set_xlabel("radius, mm", fontsize=9)
        return
    axis.set_xlabel("resolution, A", fontsize=9)
    if not len(at):
        return
    low, high = float(at.min()), float(at.max())
    ticks: list[float] = []
    for d in _ROUND_RESOLUTIONS:
        is_apart = not ticks or 1 / d - 1 / ticks[-1] > 0.1 * (high - low)
        if low <= 1 / d <= high and is_apart:
            ticks.append(d)
    axis.set_xticks([1 / d for d in ticks], [f"{d:g}" for d in ticks])


def _show(axis: Axes, image: NDArray[np.float64], extent: tuple[int, int, int, int]) -> None:
    """Show pixels in grey, masked ones apart; a root makes weak ones visible."""
    from matplotlib import colormaps  # noqa: PLC0415
    from matplotlib.colors import PowerNorm  # noqa: PLC0415

    colors = colormaps["Greys"].with_extremes(bad=_MASK_COLOR)
    finite = image[np.isfinite(image)]
    top = float(np.percentile(finite, 99.7)) + 1 if len(finite) else 1.0
    axis.imshow(
        image, cmap=colors, norm=PowerNorm(0.6, 0, top), extent=extent, interpolation="nearest"
    )
    axis.set_xlabel("fast axis, pixels", fontsize=9)
    axis.tick_params(labelsize=8)


def _largest_of_blocks(view: PeakView, step: int) -> NDArray[np.float64]:
    """Shrink the frame: each pixel is the largest of a square, so that spots stay visible."""
    values = np.where(view.valid, view.pixels, np.nan).astype(float)
    ny, nx = (-(-size // step) * step for size in values.shape)
    padded = np.full((ny, nx), -np.inf)
    padded[: values.shape[0], : values.shape[1]] = np.nan_to_num(values, nan=-np.inf)
    largest = padded.reshape(ny // step, step, nx // step, step).max((1, 3))
    return np.where(np.isfinite(largest), largest, np.nan)


def _inside(peaks: Peaks, corner: tuple[int, int], edge: int) -> Peaks:
    slow, fast = peaks.slow_px - corner[0], peaks.fast_px - corner[1]
    return peaks[(slow >= 0) & (slow < edge) & (fast >= 0) & (fast < edge)]


def _busiest_window(view: PeakView) -> tuple[int, int]:
    """Return the first pixel of the square with most peaks."""
    ny, nx = view.pixels.shape
    edge = min(_ZOOM_PIXELS, ny, nx)
    step = max(1, edge // 2)
    corners = [
        (slow, fast)
        for slow in range(0, ny - edge + 1, step)
        for fast in range(0, nx - edge + 1, step)
    ]
    return max(corners, key=lambda corner: len(_inside(view.peaks, corner, edge)))
