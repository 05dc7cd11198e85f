# SPDX-License-Identifier: MIT
"""The examples in the docstrings of the installed package run as shown."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import h5bragg

MODULES = ["h5bragg", *(m.name for m in pkgutil.walk_packages(h5bragg.__path__, "h5bragg."))]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert result.failed == 0


def test_the_public_functions_have_examples() -> None:
    finder = doctest.DocTestFinder()
    tests = finder.find(h5bragg.codec, "codec") + finder.find(h5bragg.filter, "filter")
    with_examples = {test.name for test in tests if test.examples}
    assert {"codec.encode", "codec.inspect", "filter.Bragg", "filter.register"} <= with_examples
