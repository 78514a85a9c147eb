"""A webhook: what the callbacks are told is posted as JSON, from a thread of its own."""

import json
import logging
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Final

from tollway.compat.agentbudget.reports import Report
from tollway.compat.agentbudget.sessions import Callback, Callbacks

__all__ = ["MAX_WAITING", "Webhook"]

TIMEOUT_S: Final = 5.0
# What waits for a slow receiver; past that, new ones are dropped and logged.
MAX_WAITING: Final = 100

_log = logging.getLogger("tollway")


class Webhook:
    """Posts `{event_type, session_id, data}`; an agent never waits for it."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"webhook_url {url[:40]!r} is no address of http or https")
        self._url = url
        self._waiting: queue.Queue[tuple[str, Report]] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def beside(self, callbacks: Callbacks) -> Callbacks:
        """The same callbacks, and the webhook before each."""
        return Callbacks(
            on_soft_limit=self._both("soft_limit", callbacks.on_soft_limit),
            on_hard_limit=self._both("hard_limit", callbacks.on_hard_limit),
            on_loop_detected=self._both("loop_detected", callbacks.on_loop_detected),
        )

    def wait(self) -> None:
        """Until everything has been posted, or has failed."""
        self._waiting.join()

    def _both(self, event_type: str, callback: Callback | None) -> Callable[[Report], None]:
        def told(report: Report) -> None:
            self._put(event_type, report)
            if callback is not None:
                callback(report)

        return told

    def _put(self, event_type: str, report: Report) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._post_all, name="tollway-webhook", daemon=True
                )
                self._thread.start()
        try:
            self._waiting.put_nowait((event_type, report))
        except queue.Full:
            _log.error("the webhook is too slow: %s is not told", event_type)

    def _post_all(self) -> None:
        while True:
            event_type, report = self._waiting.get()
            try:
                self._post(event_type, report)
            except (urllib.error.URLError, OSError, ValueError, TypeError) as error:
                _log.warning("the webhook was not told %s: %s", event_type, type(error).__name__)
            finally:
                self._waiting.task_done()

    def _post(self, event_type: str, report: Report) -> None:
        told = {"event_type": event_type, "session_id": report["session_id"], "data": report}
        request = urllib.request.Request(
            self._url,
            data=json.dumps(told).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):
            pass
