# SPDX-License-Identifier: MIT
"""Frames that a file keeps as stacks of modules: (module, slow, fast) instead of (slow, fast).

The modules one below the other make a frame, in the same memory: a stack of shape (16, 512, 128)
is a frame of shape (8192, 128).  A stack of shape (slow, fast) is the frame itself.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any

from ..errors import GeometryError

# Of a frame: more does not fit the 16 bits that a chunk has for it.
MAX_SIDE = 65535
# Of what is made pixel by pixel on a file's word, such as masks: four times the largest detectors.
MAX_PIXELS = 1 << 27


def checked_shape(shape: Iterable[Any]) -> tuple[int, ...]:
    """Return the shape of a frame or a stack as plain numbers.

    Raises
    ------
    GeometryError
        They are not whole numbers, or no frame has so many pixels.

    Examples
    --------
    >>> from h5bragg.geometry.stack_shape import checked_shape
    >>> checked_shape([16, 512, 128])
    (16, 512, 128)
    """
    try:
        sides = tuple(operator.index(side) for side in shape)
    except TypeError as error:
        raise GeometryError(f"shape={shape!r} is not made of whole numbers") from error
    if len(sides) < 2 or min(sides) < 1 or max(flat_shape(sides)) > MAX_SIDE:
        raise GeometryError(
            f"{sides} is no shape of frames: give (slow, fast) of 1 to {MAX_SIDE} pixels each"
        )
    return sides


def checked_frame_shape(shape: Iterable[Any]) -> tuple[int, int]:
    """Return the shape (slow, fast) of a frame as plain numbers.

    Raises
    ------
    GeometryError
        They are not two, or not those of a frame; see `checked_shape`.

    Examples
    --------
    >>> from h5bragg.geometry.stack_shape import checked_frame_shape
    >>> checked_frame_shape([512, 128])
    (512, 128)
    """
    sides = checked_shape(shape)
    if len(sides) != 2:
        raise GeometryError(f"{sides} is no shape of a frame: give (slow, fast)")
    return sides[0], sides[1]


def check_pixel_count(shape: tuple[int, ...], what: str) -> None:
    """Refuse to make room for every pixel of a frame larger than any detector's.

    Parameters
    ----------
    shape : tuple of int
        Shape of the data of one frame.
    what : str
        What is to be made, for the message.

    Raises
    ------
    GeometryError

    Examples
    --------
    >>> from h5bragg.geometry.stack_shape import check_pixel_count
    >>> check_pixel_count((4362, 4148), "a mask")
    """
    if math.prod(shape) > MAX_PIXELS:
        raise GeometryError(
            f"{what} of shape {shape} is larger than {MAX_PIXELS} pixels: correct the shape"
        )


def flat_shape(stack: tuple[int, ...]) -> tuple[int, int]:
    """Return the shape (slow, fast) of the frame that a stack makes.

    Examples
    --------
    >>> from h5bragg.geometry.stack_shape import flat_shape
    >>> flat_shape((16, 512, 128)), flat_shape((512, 128))
    ((8192, 128), (512, 128))
    """
    return math.prod(stack[:-1]), int(stack[-1])


def first_row(module: tuple[int, ...], stack: tuple[int, ...]) -> int:
    """Return the row of the frame where a module begins.

    Parameters
    ----------
    module : tuple of int
        Index of the module, one number for each dimension but the last two.
    stack : tuple of int
        Shape of the stack.

    Examples
    --------
    >>> from h5bragg.geometry.stack_shape import first_row
    >>> first_row((3,), (16, 512, 128)), first_row((), (512, 128))
    (1536, 0)
    """
    row = 0
    for index, length in zip((*module, 0), stack[:-1], strict=True):
        row = row * length + index
    return row


def split_row(row: int, stack: tuple[int, ...]) -> tuple[int, ...]:
    """Return module and row within it of a row of the frame; the inverse of `first_row`.

    Examples
    --------
    >>> from h5bragg.geometry.stack_shape import split_row
    >>> split_row(1540, (16, 512, 128)), split_row(3, (512, 128))
    ((3, 4), (3,))
    """
    index: list[int] = []
    for length in reversed(stack[:-1]):
        row, last = divmod(row, length)
        index.insert(0, last)
    return tuple(index)
