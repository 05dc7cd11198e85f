# SPDX-License-Identifier: MIT
"""The device that the kernels are tested on: PoCL, which computes on the CPU."""

import os
from dataclasses import replace

import pytest

from h5bragg.errors import DeviceError
from h5bragg.opencl import Device, find_device


@pytest.fixture(scope="session", params=[False, True], ids=["kernels of GPUs", "kernels of CPUs"])
def device(request: pytest.FixtureRequest) -> Device:
    """H5BRAGG_TEST_DEVICE, a choice as of find_device, or PoCL; in CI it has to be there."""
    try:
        found = find_device(os.environ.get("H5BRAGG_TEST_DEVICE", "opencl:portable"))
    except DeviceError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{error}; for PoCL: apt-get install pocl-opencl-icd; pip install pyopencl")
    if request.param and not found.is_cpu:
        pytest.skip(f"{found.name} is no CPU")
    return replace(found, is_cpu=request.param)
