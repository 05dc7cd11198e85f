# SPDX-License-Identifier: MIT
"""Virtual environments with other versions of libraries, made once a test session."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest


def make_environment(factory: pytest.TempPathFactory, name: str, packages: tuple[str, ...]) -> str:
    """Returns the Python of an environment that holds these wheels.

    Workers of pytest-xdist share it: the first one makes it, the others wait.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / f"venv-{name}"
    python = folder / "bin" / "python"
    done = folder / "complete"
    with Path(shared, f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            run(sys.executable, "-m", "venv", "--without-pip", folder)
            install_wheels(str(python), *packages)
            done.touch()
    return str(python)


def install_wheels(python: str, *packages: str) -> None:
    """Installs wheels for another Python with the pip of this one."""
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--quiet", "--no-compile", "--only-binary=:all:", *packages)


def run(*command: str | Path) -> None:
    """Runs a command; its output is the reason where it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
