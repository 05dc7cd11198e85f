# SPDX-License-Identifier: MIT
"""PONI files and corrections against pyFAI itself."""

from pathlib import Path

import numpy as np
import pytest
from pixel_positions import pixel_positions_m, worst_px

from h5bragg import Geometry, GeometryError, SparsifyParams
from h5bragg.geometry.known_detectors import KNOWN_DETECTORS, find_known_detector

pytest.importorskip("pyFAI")
import pyFAI
from pyFAI import detectors
from pyFAI.integrator.azimuthal import AzimuthalIntegrator

SHAPE = (132, 172)
TILES = (33, 43)
TILTS = [(0, 0, 0), (0.1, 0.2, 0.3), (-0.3, 0.15, 2.0), (0.02, -0.4, -3.0), (0, 0, -0.5)]


def integrator(
    rotations: tuple[float, float, float] = (0, 0, 0), orientation: int = 3, *, edge: int = 1
) -> AzimuthalIntegrator:
    """A detector of oblong pixels, far from square and with the beam off its centre.

    With an edge of 4 its pixels are the tiles of 4 x 4 pixels of the same detector.
    """
    config = {
        "pixel1": 1e-4 * edge, "pixel2": 1.5e-4 * edge,
        "max_shape": [n // edge for n in SHAPE], "orientation": orientation,
    }  # fmt: skip
    rot1, rot2, rot3 = rotations
    return AzimuthalIntegrator(
        dist=0.1, poni1=0.005, poni2=0.012, rot1=rot1, rot2=rot2, rot3=rot3, wavelength=1e-10,
        detector=detectors.detector_factory("Detector", config),
    )  # fmt: skip


def through_file(ai: AzimuthalIntegrator, path: Path) -> Geometry:
    ai.save(str(path))
    return Geometry.from_file(path)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
@pytest.mark.parametrize("rotations", TILTS)
def test_every_pixel_scatters_at_the_angle_of_pyfai(
    tmp_path: Path, rotations: tuple[float, float, float], orientation: int
) -> None:
    ai = integrator(rotations, orientation)
    geometry = through_file(ai, tmp_path / "detector.poni")
    expected = ai.center_array(SHAPE, unit="2th_rad")
    np.testing.assert_allclose(geometry.two_theta_rad(), expected, rtol=0, atol=1e-6)


POSE = """\
Distance: 0.1
Poni1: 0.005
Poni2: 0.012
Rot1: {0}
Rot2: {1}
Rot3: {2}
Wavelength: 1e-10
"""
VERSIONS = {
    "1": "PixelSize1: 1e-4\nPixelSize2: 1.5e-4\n",
    "2": "poni_version: 2\nDetector: Detector\n"
    'Detector_config: {"pixel1": 1e-4, "pixel2": 1.5e-4, "max_shape": [132, 172]}\n',
    **{
        f"2.1, orientation {orientation}": "poni_version: 2.1\nDetector: Detector\n"
        'Detector_config: {"pixel1": 1e-4, "pixel2": 1.5e-4, "max_shape": [132, 172], '
        f'"orientation": {orientation}}}\n'
        for orientation in (1, 2, 3, 4)
    },
}
# Readers mirror the axes that an orientation counts backwards (docs/geometry.md).
MIRRORS = {"1": (-1, -1, 1), "2": (1, -1, 1), "4": (-1, 1, 1)}


@pytest.mark.parametrize("version", list(VERSIONS))
@pytest.mark.parametrize(
    "rotations", [*TILTS[:2], *(pytest.param(tilt, marks=pytest.mark.slow) for tilt in TILTS[2:])]
)
def test_every_pixel_lies_where_pyfai_has_it(
    tmp_path: Path, rotations: tuple[float, float, float], version: str
) -> None:
    path = tmp_path / "detector.poni"
    path.write_text(VERSIONS[version] + POSE.format(*rotations))
    found = pixel_positions_m(Geometry.from_file(path, shape=SHAPE))
    # pyFAI's order is that of (beam, slow, fast); ours is (fast, slow, beam).
    oracle = pyFAI.load(str(path)).position_array(SHAPE)[..., ::-1]
    mirror = MIRRORS.get(version[-1] if "orientation" in version else "3", (1, 1, 1))
    assert worst_px(found, oracle * np.array(mirror), 1e-4) < 0.001


@pytest.mark.slow
def test_a_large_detector_lies_where_pyfai_has_it(tmp_path: Path) -> None:
    detector = detectors.detector_factory("Eiger2_4M")
    ai = AzimuthalIntegrator(
        dist=0.2, poni1=0.1, poni2=0.11, rot1=0.05, rot2=-0.1, wavelength=9e-11, detector=detector
    )
    geometry = through_file(ai, tmp_path / "detector.poni")
    oracle = ai.position_array(detector.max_shape)[..., ::-1]
    assert worst_px(pixel_positions_m(geometry), oracle, detector.pixel1) < 0.001


@pytest.mark.parametrize("rotations", TILTS)
def test_rings_are_rings_of_pyfai(tmp_path: Path, rotations: tuple[float, float, float]) -> None:
    ai = integrator(rotations)
    geometry = through_file(ai, tmp_path / "detector.poni")
    ring, _ = geometry.ring_map(SparsifyParams(radial_bins=50))
    ring = ring[::4, ::4]
    angle = integrator(rotations, edge=4).center_array(TILES, unit="2th_rad")
    radius = np.tan(angle) * geometry.distance_m
    outer = np.array([radius[ring == i].max(initial=0) for i in range(50)])
    inner = np.array([radius[ring == i].min(initial=np.inf) for i in range(50)])
    assert np.all(inner[1:] > outer[:-1] - 1e-8)


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
@pytest.mark.parametrize("factor", [0.99, -0.5])
@pytest.mark.parametrize("rotations", TILTS)
def test_normalisation_is_that_of_pyfai_but_for_its_steps(
    tmp_path: Path, rotations: tuple[float, float, float], factor: float, orientation: int
) -> None:
    ai = integrator(rotations, orientation)
    geometry = through_file(ai, tmp_path / "detector.poni")
    _, normalisation = geometry.ring_map(SparsifyParams(polarization=factor))
    tiles = integrator(rotations, orientation, edge=4)
    expected = tiles.polarization(TILES, factor=factor) * tiles.solidAngleArray(TILES)
    # The format rounds the logarithm of the normalisation to steps of 1/32.
    np.testing.assert_allclose(np.log(normalisation[::4, ::4] / expected), 0, atol=1 / 64 + 1e-5)


def test_known_detectors_are_those_of_pyfai() -> None:
    for name, known in KNOWN_DETECTORS.items():
        matches = [
            cls
            for cls in detectors.Detector.registry.values()
            if find_known_detector(cls.__name__) is known
        ]
        assert matches, name
        for cls in matches:
            detector = cls()
            assert detector.max_shape == known.shape
            assert detector.pixel1 == detector.pixel2 == pytest.approx(known.pixel_m)


def test_aliases_of_pyfai_find_the_same_detector() -> None:
    for cls in set(detectors.Detector.registry.values()):
        known = find_known_detector(cls.__name__)
        if known is not None:
            assert all(find_known_detector(alias) == known for alias in cls.aliases)


@pytest.mark.parametrize("name", ["Pilatus6M", "Eiger2CdTe_1MW", "Eiger1M", "Pilatus4_1M"])
def test_poni_of_a_named_detector(tmp_path: Path, name: str) -> None:
    detector = detectors.detector_factory(name)
    ai = AzimuthalIntegrator(
        dist=0.2, poni1=0.1, poni2=0.11, rot1=0.05, wavelength=9e-11, detector=detector
    )
    geometry = through_file(ai, tmp_path / "detector.poni")
    assert geometry.shape == detector.max_shape
    rows = np.s_[::97]
    expected = ai.center_array(detector.max_shape, unit="2th_rad")[rows]
    np.testing.assert_allclose(geometry.two_theta_rad()[rows], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["Aarhus", "Cirpad", "Pixirad1", "Xpad_flat"])
def test_irregular_detector_is_refused(tmp_path: Path, name: str) -> None:
    ai = AzimuthalIntegrator(dist=0.2, detector=detectors.detector_factory(name))
    with pytest.raises(GeometryError, match="not a regular flat detector"):
        through_file(ai, tmp_path / "detector.poni")
