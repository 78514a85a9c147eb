"""How the sinks are: written by their threads, read by whoever asks."""

from threading import Lock

import msgspec

__all__ = ["Health", "HealthReport"]


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """`ready`: partitions are assigned and the store took what it was last given."""

    ready: bool
    last_insert_ms: int | None
    lag: dict[str, int]
    detail: str


class Health:
    def __init__(self) -> None:
        self._lock = Lock()
        self._assigned = False
        self._away = ""
        self._last_insert_ms: int | None = None
        self._lag: dict[str, int] = {}

    def report(self) -> HealthReport:
        with self._lock:
            detail = self._away or ("" if self._assigned else "no partitions are assigned yet")
            return HealthReport(
                ready=not detail,
                last_insert_ms=self._last_insert_ms,
                lag=dict(self._lag),
                detail=detail,
            )

    def stored(self, now_ms: int) -> None:
        with self._lock:
            self._last_insert_ms = now_ms
            self._away = ""

    def away(self, detail: str) -> None:
        with self._lock:
            self._away = detail

    def lags(self, lag: dict[str, int], *, assigned: bool) -> None:
        with self._lock:
            self._lag = lag
            self._assigned = assigned
