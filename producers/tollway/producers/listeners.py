"""Callbacks for decisions, so that a kill signal can interrupt work that is already going on."""

import logging
import threading
from collections.abc import Callable

from tollway.contract.control import Decision
from tollway.producers.counts import Counts
from tollway.producers.decisions import concerns

__all__ = ["MAX_LISTENERS", "Listeners", "OnDecision"]

MAX_LISTENERS = 10_000

OnDecision = Callable[[Decision], object]

_log = logging.getLogger("tollway")


class Listeners:
    """Who wants to hear of new decisions; outlives `init` and forks."""

    def __init__(self) -> None:
        self._entries: tuple[tuple[OnDecision, dict[str, object]], ...] = ()
        # Reentrant: a finalizer that ends a callback may run inside `add`.
        self._lock = threading.RLock()
        self.failed: Counts[str] = Counts(max_keys=1, overflow=str)

    def after_fork(self) -> None:
        self._lock = threading.RLock()

    def add(self, callback: OnDecision, dimensions: dict[str, object]) -> Callable[[], None]:
        entry = (callback, dimensions)
        with self._lock:
            if len(self._entries) >= MAX_LISTENERS:
                raise RuntimeError(
                    f"{MAX_LISTENERS} callbacks wait for decisions; on_decision() returns a"
                    " function that ends one: call it when the work is done"
                )
            self._entries = (*self._entries, entry)

        def end() -> None:
            with self._lock:
                self._entries = tuple(held for held in self._entries if held is not entry)

        return end

    def tell(self, decision: Decision) -> None:
        """Runs the callbacks that it concerns, in this thread."""
        if decision.mode == "observe":
            return
        for callback, dimensions in self._entries:
            if dimensions and not concerns(decision.subject, dimensions):
                continue
            try:
                callback(decision)
            except Exception as error:  # noqa: BLE001 (the host's code must not end our thread)
                self.failed.add("callback")
                name = type(error).__name__
                _log.error("an on_decision callback failed with %s at %s", name, decision.id)
