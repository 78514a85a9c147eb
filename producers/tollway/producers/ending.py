"""The end of a process: whatever ends it short of a kill, what is queued is flushed first."""

import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from tollway.producers.metering import Metering
from tollway.producers.settings import Settings

__all__ = ["EXIT_FLUSH_S", "mind_the_end"]

# How long the end of a process may wait for the broker.
EXIT_FLUSH_S = 2.0

_log = logging.getLogger("tollway")

_sigterm_before: Callable[[int, FrameType | None], object] | signal.Handlers | None = None


def _current() -> Metering | None:
    """The process's metering, as whoever minds its end says."""
    return None


def mind_the_end(settings: Settings, current: Callable[[], Metering | None]) -> None:
    """Sees to it that the end of the process flushes, however it ends short of a kill."""
    global _sigterm_before, _current
    _current = current
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)
    # A child of multiprocessing skips atexit, but runs these.
    util = sys.modules.get("multiprocessing.util")
    if util is not None and sys.modules["multiprocessing.process"].parent_process() is not None:
        util.Finalize(None, _at_exit, exitpriority=0)
    if not settings.sigterm or not settings.brokers:
        return
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGTERM)
    # None belongs to somebody in C; who ignores the signal wants nothing to happen.
    if before in {None, signal.SIG_IGN, _on_sigterm}:
        return
    _sigterm_before = before  # type: ignore[assignment]  # an int is SIG_DFL or SIG_IGN
    signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    metering = _current()
    if metering is not None:
        left = metering.flush(EXIT_FLUSH_S)
        if left:
            _log.error("SIGTERM: %d usage events are not delivered", left)
    if callable(_sigterm_before):
        _sigterm_before(number, frame)
        return
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _at_exit() -> None:
    metering = _current()
    if metering is not None:
        metering.close(EXIT_FLUSH_S)
        # The interpreter would free the clients, and so wait for their threads, which may never
        # come to an end: one that connects, or that hangs as `_before_fork` says.
        metering.abandon()
