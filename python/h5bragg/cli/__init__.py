# SPDX-License-Identifier: MIT
"""The command `h5bragg`."""

from .main import main

__all__ = ["main"]
