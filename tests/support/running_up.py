"""A real `tollway up` in a directory of its own, and commands run beside it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from select import select

__all__ = ["RunningUp", "running_up"]

READY_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class RunningUp:
    """Commands find it by its run file, like those of somebody in that directory."""

    directory: Path

    def tollway(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TOLLWAY_")
        }
        return subprocess.run(
            [sys.executable, "-m", "tollway.cli.main", *arguments],
            cwd=self.directory,
            env={**environment, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )


@contextmanager
def running_up(directory: Path) -> Iterator[RunningUp]:
    up = subprocess.Popen(
        [sys.executable, "-m", "tollway.cli.main", "up"],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert up.stdout is not None
        readable, _, _ = select([up.stdout], [], [], READY_SECONDS)
        first = up.stdout.readline() if readable else ""
        assert first.startswith("tollway is up"), first + up.stdout.read()
        yield RunningUp(directory=directory)
    finally:
        up.terminate()
        up.communicate(timeout=60)
