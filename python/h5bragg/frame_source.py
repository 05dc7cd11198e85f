# SPDX-License-Identifier: MIT
"""What every source of input frames has in common: frames.py opens them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import H5braggError
from .experiment import Experiment
from .pixels import DTYPES

# Types that the chunk format does not have, and the type each is stored as where its values fit.
_STORED_AS: dict[str, str] = {
    "bool": "uint8",
    "int8": "int16",
    "int64": "int32",
    "uint64": "uint32",
}


class InputError(H5braggError):
    """An input file is missing, damaged or not usable; the sentence says what to do."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One input frame.

    Parameters
    ----------
    pixels : ndarray
        Shape (slow, fast), a pixel type of the chunk format in native byte order.
    angle_deg : float or None
        Rotation angle at the start of the exposure, if the file tells it.
    width_deg : float or None
        Rotation during the exposure, if the file tells it.
    """

    pixels: NDArray[Any]
    angle_deg: float | None = None
    width_deg: float | None = None


class FrameSource(Protocol):
    """Frames of one input file, read one at a time and from any thread."""

    @property
    def path(self) -> Path:
        """The file, for messages."""

    @property
    def nframes(self) -> int:
        """Number of frames."""

    @property
    def shape(self) -> tuple[int, int]:
        """Frame shape (slow, fast)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Pixel type in native byte order, one of the chunk format's."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the frames are read from."""

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """Names of the datasets in the file that hold the frames; none in formats without."""

    @property
    def experiment(self) -> Experiment:
        """What the file's header says about the measurement."""

    @property
    def pixel_mask(self) -> NDArray[np.uint32] | None:
        """Bits of the NXmx pixel_mask, shape (slow, fast); None if the file has none."""

    def read(self, index: int) -> Frame:
        """Read one frame."""

    def close(self) -> None:
        """Release the file."""


def stored_dtype(dtype: np.dtype[Any], where: str) -> np.dtype[Any]:
    """Return the pixel type in which frames of some type are stored.

    Parameters
    ----------
    dtype : numpy.dtype
        Type in the input file, any byte order.
    where : str
        Name of the file, for the message.

    Raises
    ------
    InputError
        No type of the chunk format suits.

    Examples
    --------
    >>> import numpy as np
    >>> stored_dtype(np.dtype(">u2"), "a.edf"), stored_dtype(np.dtype("int64"), "b.h5")
    (dtype('uint16'), dtype('int32'))
    """
    native = np.dtype(_STORED_AS.get(dtype.name, dtype.name) if dtype.kind in "biu" else dtype)
    if native in DTYPES.values():
        return native
    names = ", ".join(sorted(str(known) for known in DTYPES.values()))
    raise InputError(
        f"{where} holds {dtype.name} values, but h5bragg stores integer counts: "
        f"convert the frames to one of {names} first"
    )


def as_stored(pixels: NDArray[Any], dtype: np.dtype[Any], where: str) -> NDArray[Any]:
    """Convert the pixels of one frame to the stored type without changing a value.

    Raises
    ------
    InputError
        A value does not fit the stored type.

    Examples
    --------
    >>> import numpy as np
    >>> as_stored(np.array([[3, -1]], "int64"), np.dtype("int32"), "b.h5")
    array([[ 3, -1]], dtype=int32)
    """
    limits = np.iinfo(dtype)
    is_safe = np.can_cast(pixels.dtype, dtype, "safe")
    if not is_safe and pixels.size:
        low, high = int(pixels.min()), int(pixels.max())
        if low < limits.min or high > limits.max:
            raise InputError(
                f"{where} holds {pixels.dtype.name} values from {low} to {high}, which do not fit "
                f"{dtype.name}, the widest type that suits: clip or rescale the frames first"
            )
    return np.ascontiguousarray(pixels, dtype=dtype)
