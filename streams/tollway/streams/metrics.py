"""The worker's figures for Prometheus: counted once a chunk, never labelled by agent or run."""

import logging
import time
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tollway.domain.crowding import EARLY
from tollway.streams.owner import Owner

__all__ = ["Metrics"]

_log = logging.getLogger("tollway.worker")
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """Counts of one worker process, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._events = Counter(
            "tollway_events_processed_total",
            "Usage records by what became of them.",
            ["result"],
            registry=registry,
        )
        self._lag = Gauge(
            "tollway_event_lag_seconds",
            "Age, by the broker's time, of the newest record applied.",
            ["partition"],
            registry=registry,
        )
        self._offset = Gauge(
            "tollway_usage_offset", "Last usage offset applied.", ["partition"], registry=registry
        )
        self._blocks = Gauge(
            "tollway_standing_decisions", "Verdicts in force.", ["partition"], registry=registry
        )
        self._closings = Histogram(
            "tollway_books_closing_seconds",
            "Time to close a partition's books.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._records = Counter(
            "tollway_books_records_total", "Records written in transactions.", registry=registry
        )
        self.recovery_seconds = Histogram(
            "tollway_recovery_seconds",
            "Time to take a partition over.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._counted: dict[int, dict[str, int]] = {}
        self._measure_state()

    def _measure_state(self) -> None:
        self._pieces = Gauge(
            "tollway_state_pieces",
            "How much state is held, by kind.",
            ["partition", "kind"],
            registry=self._registry,
        )
        self._early = Counter(
            "tollway_state_left_early_total",
            "State that left before its time because there was more than may be held, by kind.",
            ["kind"],
            registry=self._registry,
        )

    def owned(self, owner: Owner) -> None:
        """A partition was taken over: what its ledger has counted so far, others told."""
        self._counted[owner.partition] = dict(owner.ledger.counts)

    def gone(self, owner: Owner) -> None:
        """A partition was given back: its figures would stand still here."""
        label = str(owner.partition)
        shown: list[tuple[Gauge, tuple[str, ...]]] = [
            (gauge, (label,)) for gauge in (self._lag, self._offset, self._blocks)
        ]
        shown += [(self._pieces, (label, kind)) for kind in owner.ledger.sizes()]
        for gauge, labels in shown:
            # Older clients raise where nothing was shown yet.
            with suppress(KeyError):
                gauge.remove(*labels)

    def applied(self, owner: Owner, stamp_ms: int) -> None:
        """After a slice: what the ledger counted since the last one."""
        ledger = owner.ledger
        before = self._counted[owner.partition]
        for name, count in ledger.counts.items():
            grown = count - before.get(name, 0)
            if grown > 0 and name.startswith(EARLY):
                self._early.labels(name.removeprefix(EARLY)).inc(grown)
            elif grown > 0:
                self._events.labels(name).inc(grown)
            before[name] = count
        label = str(owner.partition)
        self._lag.labels(label).set(max(0.0, time.time() - stamp_ms / 1000))
        self._offset.labels(label).set(ledger.usage_offset)
        self._blocks.labels(label).set(len(ledger.verdicts.standing))

    def closed(self, owner: Owner, records: int, seconds: float) -> None:
        for kind, size in owner.ledger.sizes().items():
            self._pieces.labels(str(owner.partition), kind).set(size)
        self._records.inc(records)
        self._closings.observe(seconds)

    def note(self, message: str) -> None:
        _log.info(message)

    def text(self) -> bytes:
        return generate_latest(self._registry)
