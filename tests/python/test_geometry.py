# SPDX-License-Identifier: MIT
"""Geometry: beam centre and tilt, panels, masks, scattering angles and the ring map."""

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from h5bragg import FlatDetector, Geometry, GeometryError, Panel, SparsifyParams
from h5bragg.geometry import NO_RING
from h5bragg.geometry.flat_fit import fit_flat_detector
from h5bragg.geometry.panel import rotation_angles, rotation_matrix

SHAPE = (60, 80)
# The format rounds the logarithm of the normalisation to steps of 1/32.
HALF_CLASS = 1 / 64 + 1e-5
angles = st.floats(-1.2, 1.2)


def upright(**changes: object) -> Geometry:
    options = {
        "shape": SHAPE,
        "pixel_size_m": (1e-3, 2e-3),
        "distance_m": 0.1,
        "beam_center_px": (20.5, 30.25),
        "wavelength_m": 1e-10,
    }
    return Geometry.flat(**{**options, **changes})


def upright_tiles(**changes: object) -> Geometry:
    """A detector whose pixels are the 4 x 4 tiles of `upright`, so that their centres agree."""
    coarse = {
        "shape": (SHAPE[0] // 4, SHAPE[1] // 4),
        "pixel_size_m": (4e-3, 8e-3),
        "beam_center_px": (20.5 / 4, 30.25 / 4),
    }
    return upright(**{**coarse, **changes})


def tiles(pixels: NDArray[Any]) -> NDArray[Any]:
    """The value of each tile of a frame whose tiles are uniform."""
    values = pixels[::4, ::4]
    np.testing.assert_array_equal(np.kron(values, np.ones((4, 4), pixels.dtype)), pixels)
    return values


def halves(gap: int = 4) -> list[Panel]:
    """Two panels one above the other in the frame, with a gap between them."""
    panel = upright().panels[0]
    middle = SHAPE[0] // 2
    step = np.asarray(panel.slow_m)

    def part(start: int, stop: int) -> Panel:
        origin = tuple(np.asarray(panel.origin_m) + start * step)
        return Panel((start, stop), (0, SHAPE[1]), origin, panel.slow_m, panel.fast_m)

    return [part(0, middle - gap // 2), part(middle + gap // 2, SHAPE[0])]


def test_upright_detector_has_fast_along_x_and_slow_along_y() -> None:
    (panel,) = upright().panels
    assert panel.fast_m == pytest.approx((2e-3, 0, 0))
    assert panel.slow_m == pytest.approx((0, 1e-3, 0))
    assert panel.origin_m == pytest.approx((-30.25 * 2e-3, -20.5 * 1e-3, 0.1))


def test_pixel_centre_is_half_a_pixel_from_the_corner() -> None:
    geometry = upright(beam_center_px=(20.5, 30.5))
    two_theta = geometry.two_theta_rad()
    assert two_theta[20, 30] == pytest.approx(0, abs=1e-7)
    assert two_theta[21, 30] == pytest.approx(math.atan(1e-3 / 0.1), rel=1e-6)
    assert two_theta[20, 29] == pytest.approx(math.atan(2e-3 / 0.1), rel=1e-6)


@given(rotations=st.tuples(angles, angles, st.floats(-math.pi, math.pi)))
@settings(deadline=None)
def test_direct_beam_hits_the_beam_centre_at_the_distance_however_tilted(
    rotations: tuple[float, float, float],
) -> None:
    geometry = upright(rotations_rad=rotations)
    assert geometry.beam_center_px == pytest.approx((20.5, 30.25), abs=1e-3)
    assert geometry.beam_distance_m == pytest.approx(0.1, rel=1e-5)
    perpendicular = rotation_matrix(*rotations)[2, 2] * 0.1
    assert geometry.distance_m == pytest.approx(perpendicular, rel=1e-5)


@given(rotations=st.tuples(angles, angles, st.floats(-3.1, 3.1)))
def test_rotation_angles_invert_the_rotation_matrix(rotations: tuple[float, float, float]) -> None:
    assert rotation_angles(rotation_matrix(*rotations)) == pytest.approx(rotations, abs=1e-9)


@given(rotations=st.tuples(angles, angles, st.floats(-3.1, 3.1)), flips=st.integers(0, 3))
@settings(deadline=None)
def test_panel_of_any_tilt_and_mirroring_becomes_a_flat_detector_of_the_same_angles(
    rotations: tuple[float, float, float], flips: int
) -> None:
    panel = upright(rotations_rad=rotations).panels[0]
    mirror = np.array([(-1) ** (flips & 1), (-1) ** (flips >> 1), 1.0])
    vectors = [tuple(np.asarray(v) * mirror) for v in (panel.origin_m, panel.slow_m, panel.fast_m)]
    mirrored = Panel(panel.slow, panel.fast, *vectors)
    flat = fit_flat_detector(mirrored, SHAPE, 1e-10)
    assert flat is not None
    np.testing.assert_allclose(flat.panel().two_theta_rad(), panel.two_theta_rad(), atol=1e-6)


def test_mirrored_upright_panel_is_fitted_without_rotations() -> None:
    panel = Panel((0, 60), (0, 80), (0.05, 0.03, 0.2), (0, -1e-3, 0), (-1e-3, 0, 0))
    flat = fit_flat_detector(panel, SHAPE, 0.0)
    assert flat is not None
    assert (flat.rot1, flat.rot2, flat.rot3) == pytest.approx((0, 0, 0))
    assert (flat.poni_slow_px, flat.poni_fast_px) == pytest.approx((30, 50))


def test_skew_or_partial_panel_is_no_flat_detector() -> None:
    skew = Panel((0, 60), (0, 80), (0, 0, 0.2), (0, 1e-3, 0), (1e-3, 1e-5, 0))
    partial = Panel((0, 59), (0, 80), (0, 0, 0.2), (0, 1e-3, 0), (1e-3, 0, 0))
    assert fit_flat_detector(skew, SHAPE, 0.0) is None
    assert fit_flat_detector(partial, SHAPE, 0.0) is None


def test_flat_detector_is_kept_for_the_filter_options() -> None:
    flat = upright().flat_detector
    assert isinstance(flat, FlatDetector)
    assert flat.shape == SHAPE
    assert (flat.poni_slow_px, flat.poni_fast_px, flat.distance_m) == (20.5, 30.25, 0.1)


def test_one_pixel_size_stands_for_both_axes() -> None:
    assert upright(pixel_size_m=3e-3).pixel_size_m == (3e-3, 3e-3)


@pytest.mark.parametrize("params", [SparsifyParams(), SparsifyParams(radial_bins=17)])
def test_rings_are_numbered_outwards_from_the_beam(params: SparsifyParams) -> None:
    rotations = (0.2, -0.3, 0.4)
    ring = tiles(upright(rotations_rad=rotations).ring_map(params)[0])
    radius = np.tan(upright_tiles(rotations_rad=rotations).two_theta_rad())
    order = np.argsort(radius, axis=None)
    edges = np.diff(ring.ravel()[order].astype(int))
    # Rings share an edge to the rounding of float32, so a few neighbours may swap.
    backwards = np.flatnonzero(edges < 0)
    assert np.all(np.diff(radius.ravel()[order])[backwards] < 1e-6)
    assert len(np.unique(ring)) > 10


def test_automatic_rings_are_about_one_per_two_pixels() -> None:
    geometry = upright(shape=(400, 300), pixel_size_m=1e-3, beam_center_px=(200, 150), distance_m=5)
    ring, _ = geometry.ring_map()
    assert int(ring.max()) + 1 == pytest.approx(math.hypot(200, 150) / 2, rel=0.02)


def test_normalisation_follows_polarization_and_solid_angle() -> None:
    geometry = upright(distance_m=0.05, wavelength_m=0)
    off = SparsifyParams(polarization=None, solid_angle=False)
    assert np.ptp(geometry.ring_map(off)[1]) == 0
    solid_angle = tiles(geometry.ring_map(SparsifyParams(polarization=None))[1])
    expected = np.cos(upright_tiles(distance_m=0.05, wavelength_m=0).two_theta_rad()) ** 3
    np.testing.assert_allclose(np.log(solid_angle / expected), 0, atol=HALF_CLASS)
    along_x = geometry.ring_map(SparsifyParams(polarization=1, solid_angle=False))[1]
    # No scattering along the polarization: weak at the ends of the fast axis, not of the slow.
    assert along_x[20, 79] < 0.6
    assert along_x[59, 30] > 0.85


def test_pixels_on_no_panel_have_no_ring_and_no_angle() -> None:
    geometry = Geometry.from_panels(halves(gap=4), shape=SHAPE, wavelength_m=1e-10)
    ring, _ = geometry.ring_map()
    gap = np.zeros(SHAPE, bool)
    gap[28:32] = True
    np.testing.assert_array_equal(ring == NO_RING, gap)
    np.testing.assert_array_equal(np.isnan(geometry.two_theta_rad()), gap)


def test_tiles_that_do_not_lie_on_one_panel_have_no_ring() -> None:
    geometry = Geometry.from_panels(halves(gap=6), shape=SHAPE, wavelength_m=1e-10)
    ring, _ = geometry.ring_map()
    blank = np.zeros(SHAPE, bool)
    blank[24:36] = True  # rows 27 to 32 are on no panel
    np.testing.assert_array_equal(ring == NO_RING, blank)
    touching = Geometry.from_panels(halves(gap=0), shape=SHAPE, wavelength_m=1e-10)
    blank[:] = False
    blank[28:32] = True  # row 30 begins the second panel
    np.testing.assert_array_equal(touching.ring_map()[0] == NO_RING, blank)


def test_tiles_cut_by_the_edge_of_the_frame_belong_to_the_ring_of_their_middle() -> None:
    whole = upright().ring_map(SparsifyParams(radial_bins=9))[0]
    cut = upright(shape=(58, 77)).ring_map(SparsifyParams(radial_bins=9))[0]
    np.testing.assert_array_equal(cut, whole[:58, :77])


def test_panels_of_one_plane_have_the_angles_of_the_whole() -> None:
    whole = upright()
    parts = Geometry.from_panels(halves(gap=0), shape=SHAPE, wavelength_m=1e-10)
    assert parts.flat_detector is None
    assert parts.distance_m == pytest.approx(0.1)
    np.testing.assert_allclose(parts.two_theta_rad(), whole.two_theta_rad(), atol=1e-7)


def test_many_panels_have_no_single_centre() -> None:
    geometry = Geometry.from_panels(halves(), shape=SHAPE, wavelength_m=1e-10)
    with pytest.raises(GeometryError, match="2 panels"):
        _ = geometry.beam_center_px
    with pytest.raises(GeometryError, match="2 panels"):
        _ = geometry.pixel_size_m


def test_beam_centre_of_a_panel_counts_in_the_frame() -> None:
    lower = halves()[1]
    assert lower.beam_center_px == pytest.approx((20.5, 30.25), abs=1e-3)
    assert lower.beam_distance_m == pytest.approx(0.1)


def test_panel_parallel_to_the_beam_has_no_beam_centre() -> None:
    panel = Panel((0, 4), (0, 4), (0.1, 0, 0), (0, 1e-3, 0), (0, 0, 1e-3))
    with pytest.raises(GeometryError, match="parallel"):
        _ = panel.beam_center_px


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"distance_m": 0}, "must be positive"),
        ({"distance_m": -0.1}, "must be positive"),
        ({"distance_m": math.nan}, "finite"),
        ({"pixel_size_m": 0}, "pixel size must be positive"),
        ({"pixel_size_m": (1e-3, -1e-3)}, "pixel size must be positive"),
        ({"wavelength_m": -1e-10}, "wavelength"),
        ({"beam_center_px": (math.inf, 0)}, "finite"),
        ({"shape": (0, 80)}, "no shape of frames"),
        ({"rotations_rad": (3.0, 0, 0)}, "must be positive"),
        ({"mask": np.zeros((80, 60))}, "the mask has shape"),
    ],
)
def test_impossible_flat_detector_is_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(GeometryError, match=sentence):
        upright(**changes)


@pytest.mark.parametrize(
    ("panels", "sentence"),
    [
        ([], "0 panels"),
        ([halves()[0], halves()[0]], "two panels"),
        ([Panel((0, 61), (0, 80), (0, 0, 1), (0, 1, 0), (1, 0, 0))], "outside frames"),
        ([Panel((0, 1), (i, i + 1), (0, 0, 1), (0, 1, 0), (1, 0, 0)) for i in range(1025)], "1025"),
    ],
)
def test_impossible_panels_are_refused(panels: list[Panel], sentence: str) -> None:
    with pytest.raises(GeometryError, match=sentence):
        Geometry.from_panels(panels, shape=SHAPE, wavelength_m=1e-10)


@pytest.mark.parametrize(
    "arguments",
    [
        ((3, 3), (0, 4), (0, 0, 1), (0, 1, 0), (1, 0, 0)),
        ((-1, 3), (0, 4), (0, 0, 1), (0, 1, 0), (1, 0, 0)),
        ((0, 3), (0, 4), (0, 0, math.nan), (0, 1, 0), (1, 0, 0)),
        ((0, 3), (0, 4), (0, 0, 1), (0, 1, 0), (0, 2, 0)),
        ((0, 3), (0, 4), (0, 0, 1), (0, 0, 0), (1, 0, 0)),
    ],
)
def test_impossible_panel_is_refused(arguments: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(GeometryError):
        Panel(*arguments)


def test_mask_is_a_frozen_copy_and_nonzero_means_masked() -> None:
    bits = np.zeros(SHAPE, np.uint32)
    bits[3, 4] = 1 << 30
    geometry = upright(mask=bits)
    bits[5, 6] = 1
    assert geometry.mask is not None
    assert np.argwhere(geometry.mask).tolist() == [[3, 4]]
    with pytest.raises(ValueError, match="read-only"):
        geometry.mask[0, 0] = True


def test_mask_is_exchanged_and_removed() -> None:
    geometry = upright()
    masked = geometry.with_mask(np.ones(SHAPE, bool))
    assert masked.mask is not None
    assert masked.mask.all()
    assert masked.flat_detector == geometry.flat_detector
    assert masked.with_mask(None) == geometry
    with pytest.raises(GeometryError, match="the mask has shape"):
        geometry.with_mask(np.zeros((3, 3)))


def test_equality_looks_at_numbers_and_mask() -> None:
    mask = np.zeros(SHAPE, bool)
    assert upright() == upright()
    assert hash(upright()) == hash(upright())
    assert upright() != upright(distance_m=0.2)
    assert upright() != upright(mask=mask)
    assert upright(mask=mask) == upright(mask=mask)
    assert upright(mask=mask) != upright(mask=~mask)
    assert upright() != "a geometry"


def test_geometry_travels_between_processes() -> None:
    geometry = upright(mask=np.eye(*SHAPE))
    assert pickle.loads(pickle.dumps(geometry)) == geometry


def test_repr_tells_one_panel_by_its_beam_and_many_by_their_number() -> None:
    assert "beam (20.5, 30.25)" in repr(upright())
    assert "60 pixels masked" in repr(upright(mask=np.eye(*SHAPE)))
    assert "2 panels" in repr(Geometry.from_panels(halves(), shape=SHAPE, wavelength_m=0))
