"""Child processes that log to a file, die with their parent and are always reaped."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["Child"]

_PR_SET_PDEATHSIG = 1
_TAIL_BYTES = 64 * 1024
KILL_WAIT_S = 10.0


class Child:
    """One process of a command that may be started again after it has ended.

    Linux ends it when the *thread* that started it ends: start children from a thread that lives
    as long as they shall.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self._env = env
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self.running:
            raise RuntimeError(f"{self.name} already runs with pid {self.pid}; stop it first")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        # Appending lets the file be cut while the child writes: that is how its size is limited.
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=None if self._env is None else dict(self._env),
                cwd=self._cwd,
                # Ctrl-C goes to us alone; we end the children in order.
                start_new_session=True,
                preexec_fn=_DIE_WITH_PARENT,
            )

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Of the last run; negative is the signal that ended it, None while it runs."""
        return None if self._process is None else self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP and SIGCONT make a process that hangs, for instance."""
        if self._process is not None:
            self._process.send_signal(number)

    def terminate(self) -> None:
        """SIGTERM, without waiting: to end several at the same time."""
        if self._process is not None:
            self._process.terminate()

    def stop(self, timeout_s: float) -> bool:
        """SIGTERM, then SIGKILL after `timeout_s`; False if it took the latter."""
        if self._process is None:
            return True
        self.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def kill(self) -> None:
        """SIGKILL: what a crash of the machine looks like to the others."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(KILL_WAIT_S)

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    # Bound before any fork: between fork and exec nothing may be imported or looked up.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    sigkill = int(signal.SIGKILL)

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, sigkill, 0, 0, 0)

    return die_with_parent


_DIE_WITH_PARENT = _die_with_parent()
