# SPDX-License-Identifier: MIT
"""Frames that a file keeps as stacks of modules: (module, slow, fast) instead of (slow, fast).

The modules one below the other make a frame, in the same memory: a stack of shape (16, 512, 128)
is a frame of shape (8192, 128).  A stack of shape (slow, fast) is the frame itself.
"""

from __future__ import annotations

import math


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
