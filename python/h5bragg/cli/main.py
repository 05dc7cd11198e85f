# SPDX-License-Identifier: MIT
"""Entry point: the group of commands, and how errors reach the user."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

import click

import h5bragg

from ..errors import H5braggError, ReadBackError
from .compare import compare
from .compress import compress
from .config import config
from .demo import demo
from .densify import densify
from .info import info
from .peaks import peaks
from .plugin import plugin

DIFFERENCE = 1
BAD_INPUT = 2
INTERRUPTED = 130


@click.group(
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(h5bragg.__version__, prog_name="h5bragg")
def h5bragg_command() -> None:
    """Sparsify X-ray diffraction frames in HDF5 files that any HDF5 program reads dense."""


for _command in (compress, densify, info, compare, peaks, config, plugin, demo):
    h5bragg_command.add_command(_command)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Exit status 0 is success, 1 that `compare` or `--verify` found a difference, `info --verify`
    damage or `plugin check` a problem, 2 bad input (one sentence on standard error says what to
    do), 130 an interrupt.

    Parameters
    ----------
    arguments : list of str or None
        None takes them from the command line.
    """
    # A terminated run removes its unfinished output like an interrupted one.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = h5bragg_command.main(arguments, prog_name="h5bragg", standalone_mode=False)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "h5bragg"
        _fail(f"{error.format_message().rstrip('.')}; see '{command} --help'")
    except click.ClickException as error:
        _fail(error.format_message())
    except (click.Abort, KeyboardInterrupt) as error:
        # click replaces an interrupt, which may tell what is kept, by its own.
        told = str(error.__cause__ or error)
        _fail(told or "interrupted; no output was written", INTERRUPTED)
    except ReadBackError as error:
        _fail(str(error), DIFFERENCE)
    except H5braggError as error:
        _fail(str(error))
    except MemoryError as error:
        _fail(f"not enough memory: {error or 'use fewer frames a chunk'}")
    except BrokenPipeError:
        sys.stderr.close()  # a pager was closed: nobody to tell
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(sentence: str, status: int = BAD_INPUT) -> NoReturn:
    print("h5bragg:", " ".join(sentence.split()), file=sys.stderr)  # noqa: T201
    sys.exit(status)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
