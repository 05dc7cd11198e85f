# SPDX-License-Identifier: MIT
"""The device that the kernels are tested on: PoCL, which computes on the CPU."""

import os

import pytest

from h5bragg.errors import DeviceError
from h5bragg.opencl import Device, find_device


@pytest.fixture(scope="session")
def device() -> Device:
    """H5BRAGG_TEST_DEVICE, a choice as of find_device, or PoCL; in CI it has to be there."""
    try:
        return find_device(os.environ.get("H5BRAGG_TEST_DEVICE", "opencl:portable"))
    except DeviceError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{error}; for PoCL: apt-get install pocl-opencl-icd; pip install pyopencl")
