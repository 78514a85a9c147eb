"""What a host need not wait for: a thread of ours does it, in the order in which it was given."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

__all__ = ["MAX_WAITING", "Errand", "Errands"]

# Each may hold a response. Past that the host does it itself: nothing is lost.
MAX_WAITING: Final = 256

# Must not raise.
Errand = Callable[[], object]


class Errands:
    """One thread, begun with the first errand."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Errand | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._beginning = threading.Lock()
        self._closed = threading.Event()

    def give(self, errand: Errand) -> None:
        """Done soon; or at once, where too many wait or the process is ending."""
        late = self._closed.is_set() or self._waiting.qsize() >= MAX_WAITING
        if late or (self._thread is None and not self._begin()):
            errand()
            return
        self._waiting.put(errand)
        if self._closed.is_set():
            # Closed just now: the thread may be gone already.
            self._do_what_waits()

    def finish(self, timeout_s: float) -> bool:
        """Waits until what was given by now is done; says whether it is."""
        thread = self._thread
        if thread is None or thread is threading.current_thread() or not thread.is_alive():
            return True
        done = threading.Event()
        self._waiting.put(done.set)
        return done.wait(timeout_s)

    def close(self, timeout_s: float) -> None:
        """What comes later is done by who gives it."""
        self._closed.set()
        self.finish(timeout_s)
        self._waiting.put(None)

    def _begin(self) -> bool:
        # Never waiting: a signal handler may be the second.
        if not self._beginning.acquire(blocking=False):
            return False
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._serve, name="tollway-errands", daemon=True)
                thread.start()
                self._thread = thread
        except RuntimeError:
            # The system has no more threads, or the interpreter begins none at its end.
            return False
        finally:
            self._beginning.release()
        return True

    def _serve(self) -> None:
        while (errand := self._waiting.get()) is not None:
            errand()
            # The response in it is its host's to free, and the next one may be long in coming.
            del errand

    def _do_what_waits(self) -> None:
        ended = False
        while True:
            try:
                errand = self._waiting.get_nowait()
            except Empty:
                break
            if errand is None:
                ended = True
            else:
                errand()
        if ended:
            # It was for the thread.
            self._waiting.put(None)
