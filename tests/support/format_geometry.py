# SPDX-License-Identifier: MIT
"""Geometry, tiles, rings and normalisation of docs/format.md: what is known of every tile."""

import math
from bisect import bisect_right
from dataclasses import dataclass

from format_numbers import Reader, divided, exp, require

CLASS_LIMITS = [exp((k - 0.5) / 32) for k in range(-126, 128)]
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Panel:
    slow: tuple[int, int]
    fast: tuple[int, int]
    o: Vector
    s: Vector
    f: Vector

    def point(self, i: int, j: int) -> list[float]:
        """Point i pixels slow and j pixels fast from the panel's corner, in metres."""
        return [(self.o[k] + i * self.s[k]) + j * self.f[k] for k in range(3)]

    def plane_distance(self) -> float:
        s, f, o = self.s, self.f, self.o
        n = [s[1] * f[2] - s[2] * f[1], s[2] * f[0] - s[0] * f[2], s[0] * f[1] - s[1] * f[0]]
        along = abs(n[0] * o[0] + n[1] * o[1] + n[2] * o[2])
        length = math.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2])
        return divided(along, length)


@dataclass(frozen=True)
class Geometry:
    distance: float
    panels: list[Panel]


def read_geometry(r: Reader, ny: int, nx: int) -> Geometry:
    distance, wavelength, npanels = r.numbers("ffI")
    require(1 <= npanels <= 1024, "The number of panels is not from 1 to 1024.")
    require(math.isfinite(distance) and math.isfinite(wavelength), "A distance is not finite.")
    panels = []
    for _ in range(npanels):
        s0, s1, f0, f1, *v = r.numbers("4H9f")
        require(s0 < s1 <= ny and f0 < f1 <= nx, "A panel leaves the frame or has no pixel.")
        require(all(map(math.isfinite, v)), "A panel's vector is not finite.")
        panels.append(Panel((s0, s1), (f0, f1), tuple(v[0:3]), tuple(v[3:6]), tuple(v[6:9])))
    return Geometry(distance, panels)


def panel_of_pixels(geometry: Geometry, ny: int, nx: int) -> list[list[int]]:
    """Index of every pixel's panel, -1 for none."""
    owner = [[-1] * nx for _ in range(ny)]
    for index, panel in enumerate(geometry.panels):
        for row in range(*panel.slow):
            for column in range(*panel.fast):
                require(owner[row][column] < 0, "Panels overlap.")
                owner[row][column] = index
    return owner


def radial(point: list[float]) -> float:
    """The radial coordinate 2 sin(theta)."""
    x, y, z = point
    t = x * x + y * y
    r = math.sqrt(t + z * z)
    if r == 0:
        return 0.0
    return math.sqrt(2.0 * (t / (r * (r + z)))) if z > 0 else math.sqrt(2.0 * (1.0 - z / r))


@dataclass(frozen=True)
class Corrections:
    polarization: float | None
    solid_angle: bool


def normalisation_class(
    point: list[float], plane: float, distance: float, corrections: Corrections
) -> int:
    x2, y2, z2 = (c * c for c in point)
    r2 = x2 + y2 + z2
    g = 1.0
    if corrections.polarization is not None:
        g = 0.5 * (1.0 + divided(z2 - corrections.polarization * (x2 - y2), r2))
    if corrections.solid_angle:
        g = g * divided(plane * (distance * distance), r2 * math.sqrt(r2))
    return -127 if math.isnan(g) else -127 + bisect_right(CLASS_LIMITS, g)


class Tiles:
    """Tiles of a frame; `cell` holds (ring, class) of every tile, None if it is blank."""

    def __init__(
        self, geometry: Geometry, shape: tuple[int, int], rings: int, corrections: Corrections
    ) -> None:
        self.ny, self.nx = shape
        self.nty, self.ntx = -(-self.ny // 4), -(-self.nx // 4)
        self.geometry, self.corrections = geometry, corrections
        self.pixels = [self.pixels_of(n) for n in range(self.nty * self.ntx)]
        self.map_rings(rings)

    def pixels_of(self, n: int) -> list[tuple[int, int]]:
        """(position, pixel index) of the tile's pixels within the frame."""
        top, left = 4 * (n // self.ntx), 4 * (n % self.ntx)
        return [
            (p, (top + p // 4) * self.nx + left + p % 4)
            for p in range(16)
            if top + p // 4 < self.ny and left + p % 4 < self.nx
        ]

    def map_rings(self, asked: int) -> None:
        owner = panel_of_pixels(self.geometry, self.ny, self.nx)
        planes = [panel.plane_distance() for panel in self.geometry.panels]
        found: list[tuple[float, int] | None] = []
        for n, pixels in enumerate(self.pixels):
            owners = {owner[i // self.nx][i % self.nx] for _, i in pixels}
            if owners == {-1} or len(owners) > 1:
                found.append(None)
                continue
            index = owners.pop()
            panel = self.geometry.panels[index]
            i = 4 * (n // self.ntx) + 2 - panel.slow[0]
            j = 4 * (n % self.ntx) + 2 - panel.fast[0]
            point = panel.point(i, j)
            k = normalisation_class(point, planes[index], self.geometry.distance, self.corrections)
            found.append((radial(point), k))
        self.nbins, scale, c0 = self.ring_scale(asked, [c[0] for c in found if c is not None])
        self.cell = [
            None if c is None else (min(math.floor((c[0] - c0) * scale), self.nbins - 1), c[1])
            for c in found
        ]

    def ring_scale(self, asked: int, coordinates: list[float]) -> tuple[int, float, float]:
        """Number of rings, rings per unit of the radial coordinate, its smallest value."""
        c0, c1 = min(coordinates, default=0.0), max(coordinates, default=0.0)
        f = self.geometry.panels[0].f
        h = math.sqrt(f[0] * f[0] + f[1] * f[1] + f[2] * f[2])
        require(asked or h > 0, "Pixels of the first panel have no width.")
        nbins = asked
        if not asked:
            wanted = (c1 - c0) * self.geometry.distance / (2.0 * h)
            nbins = min(max(math.ceil(wanted), 1), 1024)
        width = (c1 - c0) / nbins if c1 > c0 else 1.0
        return nbins, 1.0 / width, c0
