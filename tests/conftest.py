# SPDX-License-Identifier: MIT
"""What all tests share: slow tests run where CI is set, real frames are found or skipped."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow") or os.environ.get("CI"):
        return
    skip = pytest.mark.skip(reason="slow: set CI=1 or pass --slow to run it")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def data_path() -> Path:
    """Folder of the real frames; skips where they are absent."""
    path = Path(os.environ.get("H5BRAGG_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"real frames not found in {path}: set H5BRAGG_TEST_DATA to their folder")
    return path
