# SPDX-License-Identifier: MIT
"""SparsifyParams: every parameter of the sparsification, stated once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from ._clib import STATUS, check, ffi, library
from .errors import ParameterError

ErrorModel = Literal["poisson", "azimuthal", "hybrid"]
_ERROR_MODELS: tuple[ErrorModel, ...] = get_args(ErrorModel)

# What each preset changes in the defaults; docs/cli.md has a table of what comes out.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "light": {"local_step": 3.0, "local_significance": 3.5},
    "careful": {"local_step": 1.0, "local_significance": 2.3125},
}

# What each field accepts, for error messages; the C library decides whether a value is good.
_ACCEPTED = {
    "snr_pick": "a number above 0, at most 127",
    "snr_clip": "a number from 0 to 127, 0 leaving Chauvenet's cut-off alone",
    "cycles": "an integer from 0 to 255",
    "error_model": "one of " + ", ".join(repr(name) for name in _ERROR_MODELS),
    "radial_bins": "0 (automatic) or an integer up to 4096",
    "local_counts": "0 (off) or 4 (on)",
    "local_step": "a multiple of 0.25 from 0.25 to 4",
    "local_significance": "a number from 0.0625 to 7.9375",
    "coarse_limit": "0 (never), 8, 24 or 64",
    "polarization": "None or a number from -1 to 1",
    "solid_angle": "True or False",
    "mask_codes": "None (automatic) or at most two integers, each near an end of the pixel "
    "type's range or just below 0",
    "seed": "an integer from 0 to 4294967295",
}


@dataclass(frozen=True, kw_only=True)
class SparsifyParams:
    """How to sparsify a frame.

    Parameters
    ----------
    snr_pick : float
        Pixels above background + `snr_pick` * sigma are stored exactly; with local counts their
        whole tiles are.  Without local counts 2 is a good choice: then reflections below this
        threshold lose intensity.
    snr_clip : float
        Least cut-off, in sigma, of the sigma-clip that finds the background; 0 leaves the choice
        to Chauvenet's criterion, which grows with the number of pixels in a ring.
    cycles : int
        Most cycles of the sigma-clip; it stops early when nothing more is rejected.
    error_model : {"poisson", "azimuthal", "hybrid"}
        Where sigma comes from: "poisson" sets the variance of a ring to its mean (photon-counting
        detectors), "azimuthal" measures it in the ring, "hybrid" clips with the measured one and
        picks with the mean.
    radial_bins : int
        Number of radial bins (rings); 0 makes one per two pixels, at most 1024.
    local_counts : int
        4 keeps for every tile of 4 x 4 pixels how many counts it held, to a fraction of their
        counting noise, so that weak reflections, shadows and uneven background survive; 0 is off:
        a tile then holds what its ring holds on average, files are smaller, and the next three
        parameters mean nothing.
    local_step : float
        How finely the counts of a tile are kept: in steps of this many of their standard
        deviations, a multiple of 0.25 up to 4.  Larger steps make smaller files and noisier weak
        intensities; with 1 the step adds a twelfth to the variance.  Counts so few that one is
        more than this are kept as they are.
    local_significance : float
        Tiles that, together with their neighbours, look like a reflection of at least this many
        sigma are stored exactly.  Lower values keep more of the shape of weak reflections, and
        more chance clusters of counts, hence larger files.  Above 3, tiles of such a reflection
        that hold hardly more than background, and no pixel that stands out, are left out.  Rounded
        to 1/16.
    coarse_limit : int
        Where a block of 16 x 16 pixels expects fewer background counts than this, its tiles share
        one sum, as a sum of each would cost more than it tells; 0 (never), 8, 24 or 64.  It
        matters for frames with less than 0.25 counts a pixel.
    polarization : float or None
        Polarization factor of the beam, 1 = fully along the lab's x axis, -1 = along y; None
        makes no correction.
    solid_angle : bool
        Correct for the solid angle of a pixel.
    mask_codes : tuple of int or None
        Pixel values that mark masked pixels.  None chooses by pixel type: the two highest values
        of unsigned types, -1 and -2 of signed ones.
    seed : int
        Seed of the restored noise; it travels in the chunk, so every read gives the same pixels.

    Raises
    ------
    ParameterError
        A value is out of range; the message names the field.

    Examples
    --------
    >>> from h5bragg import SparsifyParams
    >>> SparsifyParams(snr_pick=3).snr_pick
    3.0
    >>> SparsifyParams(snr_pick=-1)
    Traceback (most recent call last):
    ...
    h5bragg.errors.ParameterError: snr_pick=-1.0 is not usable: give a number above 0, at most 127
    """

    snr_pick: float = 4.0
    snr_clip: float = 0.0
    cycles: int = 5
    error_model: ErrorModel = "poisson"
    radial_bins: int = 0
    local_counts: int = 4
    local_step: float = 1.5
    local_significance: float = 2.875
    coarse_limit: int = 24
    polarization: float | None = 0.99
    solid_angle: bool = True
    mask_codes: tuple[int, ...] | None = None
    seed: int = 0

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> SparsifyParams:
        """Return the parameters of a preset.

        Parameters
        ----------
        name : {"default", "light", "careful"}
            "default" is what `SparsifyParams()` gives; "light" makes smaller files, "careful"
            larger ones that keep more of weak reflections.
        **overrides
            Fields to set otherwise than the preset does.

        Raises
        ------
        ParameterError
            There is no preset of that name, or a value is out of range.

        Examples
        --------
        >>> from h5bragg import SparsifyParams
        >>> SparsifyParams.preset("default") == SparsifyParams()
        True
        >>> SparsifyParams.preset("light", seed=7).seed
        7
        """
        if name not in PRESETS:
            names = ", ".join(repr(known) for known in PRESETS)
            raise ParameterError(f"there is no preset {name!r}: give one of {names}")
        return cls(**{**PRESETS[name], **overrides})

    def __post_init__(self) -> None:
        """Convert to plain Python values and check them."""
        for name, convert in _CONVERTERS.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, convert(value))
            except (TypeError, ValueError, OverflowError) as error:
                raise _unusable(name, value) from error
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default and not _is_accepted(field.name, value):
                raise _unusable(field.name, value)


def _exact_int(value: Any) -> int:
    """Convert to int, refusing booleans and floats that are not whole."""
    if isinstance(value, bool) or int(value) != value:
        raise TypeError(f"{value!r} is not an integer")
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, (bool, str, bytes)):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _flag(value: Any) -> bool:
    if value not in (True, False):
        raise TypeError(f"{value!r} is neither True nor False")
    return bool(value)


# Plain Python values compare, hash and print alike wherever they came from (NumPy, JSON, C).
_CONVERTERS: dict[str, Any] = {
    "snr_pick": _number,
    "snr_clip": _number,
    "cycles": _exact_int,
    "radial_bins": _exact_int,
    "local_counts": _exact_int,
    "local_step": _number,
    "local_significance": _number,
    "coarse_limit": _exact_int,
    "polarization": lambda value: None if value is None else _number(value),
    "solid_angle": _flag,
    "mask_codes": lambda codes: None if codes is None else tuple(_exact_int(c) for c in codes),
    "seed": _exact_int,
}


def _unusable(name: str, value: object) -> ParameterError:
    return ParameterError(f"{name}={value!r} is not usable: give {_ACCEPTED[name]}")


def _fill(struct: Any, name: str, value: Any) -> None:
    """Write one field of SparsifyParams into an h5bragg_params."""
    if name == "error_model":
        struct.error_model = _ERROR_MODELS.index(value)
    elif name == "polarization":
        struct.use_polarization = value is not None
        struct.polarization = 0.0 if value is None else value
    elif name == "solid_angle":
        struct.use_solid_angle = value
    elif name == "mask_codes":
        struct.auto_mask_codes = value is None
        struct.n_mask_codes = len(value or ())
        for i, code in enumerate(value or ()):
            struct.mask_codes[i] = code
    else:
        setattr(struct, name, value)


def _is_accepted(name: str, value: Any) -> bool:
    """Whether the C library takes a value of one field, for at least one pixel type.

    One field at a time, the others at their defaults, so that the message can name it.
    """
    struct = ffi.new("h5bragg_params *")
    library().h5bragg_params_init(struct)
    try:
        _fill(struct, name, value)
    except (OverflowError, IndexError, ValueError, TypeError):
        return False
    pixel_types = ffi.typeof("h5bragg_pixel_type").relements.values()
    ok = STATUS["H5BRAGG_OK"]
    return any(library().h5bragg_params_check(struct, pixel) == ok for pixel in pixel_types)


def params_to_c(params: SparsifyParams, *, file_big_endian: bool = False) -> Any:
    """Return the h5bragg_params (cffi pointer) of a SparsifyParams."""
    struct = ffi.new("h5bragg_params *")
    library().h5bragg_params_init(struct)
    for field in fields(params):
        _fill(struct, field.name, getattr(params, field.name))
    struct.file_big_endian = file_big_endian
    return struct


def params_from_c(struct: Any) -> SparsifyParams:
    """Return the SparsifyParams of an h5bragg_params (cffi struct)."""
    codes = tuple(int(struct.mask_codes[i]) for i in range(struct.n_mask_codes))
    return SparsifyParams(
        snr_pick=struct.snr_pick,
        snr_clip=struct.snr_clip,
        cycles=struct.cycles,
        error_model=_ERROR_MODELS[struct.error_model],
        radial_bins=struct.radial_bins,
        local_counts=struct.local_counts,
        local_step=struct.local_step,
        local_significance=struct.local_significance,
        coarse_limit=struct.coarse_limit,
        polarization=struct.polarization if struct.use_polarization else None,
        solid_angle=bool(struct.use_solid_angle),
        mask_codes=None if struct.auto_mask_codes else codes,
        seed=struct.seed,
    )


def check_params(params: Any, pixel_type: int, pixel_name: str) -> None:
    """Raise ParameterError if an h5bragg_params does not suit a pixel type.

    Parameters
    ----------
    params : cffi pointer to h5bragg_params
    pixel_type : int
        h5bragg_pixel_type of the frames.
    pixel_name : str
        The same type in NumPy's words, for the message.
    """
    status = library().h5bragg_params_check(params, pixel_type)
    check(status, f"these parameters do not suit {pixel_name} pixels")


def effective_params(
    params: SparsifyParams | None,
    polarization: float | None,
    /,
    *,
    preset: str | None = None,
    **overrides: Any,
) -> SparsifyParams:
    """Return the parameters to use when a caller may leave them out.

    Parameters
    ----------
    params : SparsifyParams or None
        Taken as they are; None means those of the preset with the geometry's polarization.
    polarization : float or None
        Polarization factor that the geometry's file names, if any.
    preset : str or None
        Name of a preset, see `SparsifyParams.preset`; None means the defaults.
    **overrides
        Fields to replace, see `SparsifyParams`.

    Raises
    ------
    ParameterError
        There is no such preset, or both parameters and a preset are given.
    """
    if params is None:
        named = {} if polarization is None else {"polarization": polarization}
        return SparsifyParams.preset(preset or "default", **{**named, **overrides})
    if preset is not None:
        raise ParameterError(
            f"params and preset={preset!r} cannot both be used: "
            f"give SparsifyParams.preset({preset!r}, ...) as params"
        )
    return replace(params, **overrides) if overrides else params
