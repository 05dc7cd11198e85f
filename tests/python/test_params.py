# SPDX-License-Identifier: MIT
"""SparsifyParams: defaults, checks and the way to the C library and back."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from h5bragg import ParameterError, SparsifyParams
from h5bragg._clib import ffi, library
from h5bragg.params import PRESETS, check_params, effective_params, params_from_c, params_to_c

codes = st.sampled_from([(), (-1,), (-1, -2), (65535, 65534), (2**31 - 1,), (255,), (4294967295,)])
params = st.builds(
    SparsifyParams,
    snr_pick=st.floats(0.01, 127),
    snr_clip=st.floats(0, 127),
    cycles=st.integers(0, 255),
    error_model=st.sampled_from(["poisson", "azimuthal", "hybrid"]),
    radial_bins=st.just(0) | st.integers(2, 4096),
    local_counts=st.sampled_from([0, 4]),
    local_step=st.integers(1, 16).map(lambda quarters: quarters / 4),
    local_significance=st.floats(1 / 16, 127 / 16),
    coarse_limit=st.sampled_from([0, 8, 24, 64]),
    polarization=st.none() | st.floats(-1, 1),
    solid_angle=st.booleans(),
    mask_codes=st.none() | codes,
    seed=st.integers(0, 2**32 - 1),
)


def test_defaults_are_those_of_the_c_library() -> None:
    struct = ffi.new("h5bragg_params *")
    library().h5bragg_params_init(struct)
    assert params_from_c(struct) == SparsifyParams()


def test_defaults_keep_local_counts() -> None:
    made = SparsifyParams()
    assert (made.snr_pick, made.local_counts, made.local_step) == (4, 4, 1.5)
    assert (made.local_significance, made.coarse_limit) == (2.875, 24)


@given(params)
def test_every_field_survives_the_c_struct(params: SparsifyParams) -> None:
    assert params_from_c(params_to_c(params)) == params


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("snr_pick", 0),
        ("snr_pick", -1),
        ("snr_pick", 128),
        ("snr_pick", float("nan")),
        ("snr_pick", "2"),
        ("snr_clip", -0.5),
        ("snr_clip", float("inf")),
        ("cycles", 256),
        ("cycles", 2.5),
        ("cycles", True),
        ("error_model", "gaussian"),
        ("radial_bins", 4097),
        ("radial_bins", -1),
        ("radial_bins", float("inf")),
        ("local_counts", 1),
        ("local_counts", 3),
        ("local_counts", 5),
        ("local_counts", "4"),
        ("local_step", 0),
        ("local_step", 0.3),
        ("local_step", 4.25),
        ("local_step", float("nan")),
        ("local_significance", 0.06),
        ("local_significance", 8),
        ("local_significance", None),
        ("coarse_limit", 16),
        ("coarse_limit", -8),
        ("coarse_limit", 24.5),
        ("polarization", 1.5),
        ("polarization", float("nan")),
        ("solid_angle", "yes"),
        ("mask_codes", 5),
        ("mask_codes", (1, 2, 3)),
        ("mask_codes", (5000,)),
        ("mask_codes", (-1.5,)),
        ("seed", -1),
        ("seed", 2**32),
    ],
)
def test_bad_value_is_refused_by_the_name_of_its_field(field: str, value: object) -> None:
    with pytest.raises(ParameterError, match=rf"^{field}=.* is not usable: give ") as caught:
        SparsifyParams(**{field: value})
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_numpy_scalars_become_plain_python_values() -> None:
    made = SparsifyParams(
        snr_pick=np.float32(3), cycles=np.int64(4), mask_codes=np.array([-1, -2]), seed=np.uint32(7)
    )
    assert made == SparsifyParams(snr_pick=3.0, cycles=4, mask_codes=(-1, -2), seed=7)
    assert [type(v) for v in (made.snr_pick, made.cycles, made.seed)] == [float, int, int]
    assert hash(made) == hash(dataclasses.replace(made))


def test_params_are_frozen_and_keyword_only() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SparsifyParams().snr_pick = 3.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        SparsifyParams(3.0)  # type: ignore[misc]


def test_mask_codes_must_suit_the_pixel_type() -> None:
    settings = params_to_c(SparsifyParams(mask_codes=(-1, -2)))
    signed, unsigned = ffi.typeof("h5bragg_pixel_type").relements, "H5BRAGG_U16"
    check_params(settings, signed["H5BRAGG_I32"], "int32")
    with pytest.raises(ParameterError, match="uint16"):
        check_params(settings, signed[unsigned], "uint16")


def test_left_out_parameters_take_the_polarization_of_the_geometry() -> None:
    assert effective_params(None, 0.5).polarization == 0.5
    assert effective_params(None, None) == SparsifyParams()
    assert effective_params(None, 0.5, polarization=None).polarization is None


def test_presets_trade_size_for_weak_reflections() -> None:
    light, default, careful = map(SparsifyParams.preset, ("light", "default", "careful"))
    assert default == SparsifyParams()
    assert light.local_step >= default.local_step >= careful.local_step
    assert light.local_significance > default.local_significance > careful.local_significance
    assert set(PRESETS) == {"default", "light", "careful"}


def test_overrides_go_before_the_preset() -> None:
    made = SparsifyParams.preset("light", local_step=0.5, seed=3)
    light = SparsifyParams.preset("light")
    assert made == dataclasses.replace(light, local_step=0.5, seed=3)
    with pytest.raises(ParameterError, match="local_step=9"):
        SparsifyParams.preset("light", local_step=9)


@pytest.mark.parametrize("name", ["heavy", "", None, "Light"])
def test_unknown_preset_is_refused_with_the_names_that_there_are(name: str) -> None:
    with pytest.raises(ParameterError, match="'default', 'light', 'careful'") as caught:
        SparsifyParams.preset(name)
    assert "\n" not in str(caught.value)


def test_preset_takes_the_polarization_of_the_geometry_and_excludes_parameters() -> None:
    light = SparsifyParams.preset("light", polarization=0.5)
    assert effective_params(None, 0.5, preset="light") == light
    with pytest.raises(ParameterError, match="cannot both be used"):
        effective_params(light, None, preset="light")


def test_given_parameters_are_kept_but_for_overrides() -> None:
    given_params = SparsifyParams(snr_pick=3, polarization=0.9)
    assert effective_params(given_params, 0.5) is given_params
    assert effective_params(given_params, 0.5, seed=1) == dataclasses.replace(given_params, seed=1)
    with pytest.raises(TypeError):
        effective_params(given_params, None, snr_pik=1)
