# SPDX-License-Identifier: MIT
"""Detector geometries: the classes and the readers of geometry files."""

from .detector import NO_RING, Geometry
from .panel import FlatDetector, Panel

__all__ = ["NO_RING", "FlatDetector", "Geometry", "Panel"]
