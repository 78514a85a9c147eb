"""Complaints to the host's log, each kind once: an outage must not fill it."""

import logging

__all__ = ["MAX_COMPLAINTS", "Complaints"]

MAX_COMPLAINTS = 50

_log = logging.getLogger("tollway")


class Complaints:
    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, kind: str, text: str) -> None:
        if kind not in self._said and len(self._said) < MAX_COMPLAINTS:
            self._said.add(kind)
            _log.warning("%s; the next such ones are not logged", text)

    def fault(self, error: Exception) -> None:
        """A fault of ours that its host does not notice: its type, and no text of it."""
        name = type(error).__name__
        if name not in self._said and len(self._said) < MAX_COMPLAINTS:
            self._said.add(name)
            _log.error("tollway failed with %s; calls go on, unmetered", name)
