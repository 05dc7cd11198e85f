# SPDX-License-Identifier: MIT
"""Run Python code again and again in new processes, and kill them at chosen moments.

One process imports everything, and forks one that runs for each line it is sent: importing takes
longer than what is to be killed.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Any

# The last line of `setup` defines run(*arguments).
FORK_SERVER = """
import json, os, signal, sys, time
{setup}
print("ready", flush=True)
for line in sys.stdin:
    delay_s, arguments = json.loads(line)
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run(*arguments)
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        finally:
            os._exit(status)
    if delay_s is not None:
        time.sleep(delay_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status), time.monotonic() - start]), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit status, negative if it was killed, and how long it took."""

    status: int
    wall_s: float

    @property
    def was_killed(self) -> bool:
        return self.status < 0


class Runner:
    """Runs the function `run` that some source text defines, each time in a new process."""

    def __init__(self, setup: str) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", FORK_SERVER.replace("{setup}", setup)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "ready\n"

    def run(self, *arguments: Any, kill_after_s: float | None = None) -> Ended:
        """Run it, and kill it after so many seconds if it still runs then."""
        assert self._server.stdin is not None
        text = json.dumps([kill_after_s, [str(word) for word in arguments]])
        print(text, file=self._server.stdin, flush=True)
        status, wall_s = json.loads(self._read())
        return Ended(status, wall_s)

    def _read(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline()

    def __enter__(self) -> "Runner":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.communicate(timeout=60)
