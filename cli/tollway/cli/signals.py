"""Signals as something to wait for: a request to stop, a child's end, or time."""

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Self

__all__ = ["Signals"]

_CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)


class Signals:
    """Within its block, Ctrl-C and SIGTERM only set `stop_requested`. Main thread only."""

    def __init__(self) -> None:
        self.stop_requested = False

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._before = {number: signal.signal(number, self._catch) for number in _CAUGHT}
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float) -> None:
        """Until a signal comes, at most so long."""
        ready, _, _ = select.select([self._reader], [], [], seconds)
        if ready:
            os.read(self._reader, 4096)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self.stop_requested = True
