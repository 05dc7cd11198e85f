# SPDX-License-Identifier: MIT
"""What can be done while another thread holds HDF5's lock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from h5py._objects import phil


def done_beside_the_lock(call: Callable[[], Any]) -> Any:
    """Call a function in a thread of its own while this one is in HDF5; return its result."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    with phil:
        thread.start()
        thread.join(timeout=60)
        assert not thread.is_alive()
    return found[0]
