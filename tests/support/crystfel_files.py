# SPDX-License-Identifier: MIT
"""CrystFEL geometry files of the kind that XFELs use, with made-up positions."""

import numpy as np

SWISSFEL_HEAD = """\
; Jungfrau 4M: eight modules one below the other
adu_per_photon = 1
res = 13333.3   ; 75 micron pixels
clen = 95.3 mm
photon_energy = 4570 eV
dim0 = %
dim1 = ss
dim2 = fs
data = /data/data
rigid_group_all = m0,m1,m2,m3,m4,m5,m6,m7
rigid_group_collection_all = all
"""
AGIPD_HEAD = """\
; AGIPD 1M: sixteen modules of eight ASICs, as a stack
photon_energy = 9300
adu_per_eV = 0.0001
clen = 0.1187
res = 5000
dim0 = %
dim2 = ss
dim3 = fs
data = /entry_1/instrument_1/detector_1/data
"""
CSPAD_HEAD = """\
; CSPAD: 64 ASICs in one slab, four quadrants of sixteen
adu_per_eV = 0.00338
res = 9090.91
clen = 0.0797
coffset = 0.001
wavelength = 1.322 A
"""


def _direction(vector: np.ndarray) -> str:
    return " ".join(f"{part:+.9f}{axis}" for part, axis in zip(vector, "xyz", strict=True))


def panel_lines(
    name: str,
    first: tuple[int, int],
    size: tuple[int, int],
    corner: tuple[float, float],
    turn_rad: float,
    *,
    tilt: tuple[float, float] = (0.0, 0.0),
) -> list[str]:
    """A panel turned about the beam; its tilt is the z part of (slow, fast)."""
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    return [
        f"{name}/min_ss = {first[0]}",
        f"{name}/max_ss = {first[0] + size[0] - 1}",
        f"{name}/min_fs = {first[1]}",
        f"{name}/max_fs = {first[1] + size[1] - 1}",
        f"{name}/fs = {_direction(np.array([cos, sin, tilt[1]]))}",
        f"{name}/ss = {_direction(np.array([-sin, cos, tilt[0]]))}",
        f"{name}/corner_x = {corner[0]:.6f}",
        f"{name}/corner_y = {corner[1]:.6f}",
    ]


def jungfrau_4m(skew: float = 1e-3) -> str:
    """Eight modules of 512 x 1024 pixels in two columns round the beam, each a bit off and tilted.

    With a skew of 0 their axes are perpendicular.
    """
    random = np.random.default_rng(4)
    lines = [SWISSFEL_HEAD]
    for i in range(8):
        row, column = i % 4, i // 4
        # Where the module's corner is in the lab, x to the left, fast axis to the right.
        corner = (1040.0 - 1070.0 * column, 1090.0 - 545.0 * row)
        shifted = tuple(np.asarray(corner) + random.normal(0, 1.5, 2))
        tilt = (random.normal(0, 1e-3), skew)
        turn = np.pi + random.normal(0, 2e-3)
        lines += panel_lines(f"m{i}", (512 * i, 0), (512, 1024), shifted, turn, tilt=tilt)
        lines.append(f"m{i}/coffset = {random.normal(0, 2e-4):.6f}")
    return "\n".join(lines) + "\n"


def agipd_1m() -> str:
    """Sixteen modules of 512 x 128 pixels, eight ASICs of 64 rows each, in four quadrants."""
    random = np.random.default_rng(16)
    lines = [AGIPD_HEAD]
    for module in range(16):
        quadrant, place = divmod(module, 4)
        turn = -np.pi / 2 * quadrant + random.normal(0, 3e-3)
        cos, sin = np.cos(turn), np.sin(turn)
        for asic in range(8):
            # In the quadrant's own axes; rows run away from the beam with 2 pixels between ASICs.
            local = (-140.0 * place + 20.0, 15.0 + 66.0 * asic)
            corner = (cos * local[0] - sin * local[1], sin * local[0] + cos * local[1])
            name = f"p{module}a{asic}"
            lines += panel_lines(name, (64 * asic, 0), (64, 128), corner, turn)
            lines.append(f"{name}/dim1 = {module}")
    return "\n".join(lines) + "\n"


def cspad() -> str:
    """64 ASICs of 185 x 194 pixels in a slab of 1480 x 1552, turned by quarters."""
    random = np.random.default_rng(64)
    lines = [CSPAD_HEAD]
    for quadrant in range(4):
        for asic in range(16):
            first = (185 * (asic // 2), 388 * quadrant + 194 * (asic % 2))
            quarter = (quadrant + asic // 4) % 4
            turn = np.pi / 2 * quarter + random.normal(0, 4e-3)
            corner = tuple(
                230.0 * np.array([asic % 4, asic // 4])
                + (1000.0 * (quadrant % 2) - 950.0, 1000.0 * (quadrant // 2) - 950.0)
                + random.normal(0, 2, 2)
            )
            lines += panel_lines(f"q{quadrant}a{asic}", first, (185, 194), corner, turn)
    return "\n".join(lines) + "\n"


DETECTORS = {"Jungfrau 4M": jungfrau_4m, "AGIPD 1M": agipd_1m, "CSPAD": cspad}
