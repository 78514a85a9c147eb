"""The loop of the sinks: poll, gather, hand over, and commit what the store has acknowledged.

One thread polls and never waits for the store, so the group never evicts it; a second one writes.
At most two batches are in memory: one being written, one being gathered. When the second is full
the partitions are paused.
"""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event
from typing import Protocol

import msgspec

from tollway.sinks.batch import Batch
from tollway.sinks.health import Health
from tollway.sinks.metrics import SinkMetrics
from tollway.sinks.records import Place, Record

__all__ = ["BatchWriter", "CommitFailed", "Polled", "Pump", "Source"]

MAX_BATCH_AGE_S = 0.5
_POLL_S = 0.1
_HEALTH_EVERY_S = 1.0

_log = logging.getLogger(__name__)


class CommitFailed(Exception):
    """The group did not take offsets; unless their partitions are lost, they are tried again."""


class Polled(msgspec.Struct, frozen=True):
    """`lost` partitions belong to another reader now, or will be read again from their commit.

    `ends` are offsets up to which a partition is read to its end: past the last record, because
    the marks of transactions have offsets too.
    """

    records: list[Record]
    lost: list[Place]
    ends: dict[Place, int]


class Source(Protocol):
    """The topics, as a member of the group."""

    def poll(self, timeout_s: float) -> Polled: ...
    def commit(self, offsets: dict[Place, int]) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def lag(self) -> dict[str, int]: ...
    def assigned(self) -> bool: ...
    def drained(self) -> bool: ...


class BatchWriter(Protocol):
    def write(self, batch: Batch) -> bool: ...


class Pump:
    """`drain_s`: how long, once told to stop, it still reads on towards the ends of the topics."""

    def __init__(
        self,
        source: Source,
        writer: BatchWriter,
        health: Health,
        metrics: SinkMetrics,
        *,
        raw_life: int | None = None,
        drain_s: float = 0.0,
    ) -> None:
        self._source = source
        self._writer = writer
        self._health = health
        self._metrics = metrics
        self._drain_s = drain_s
        self._gathering = Batch(raw_life)
        self._writing: tuple[Batch, Future[bool]] | None = None
        # Stored, and not yet taken by the group.
        self._to_commit: dict[Place, int] = {}
        self._paused = False

    def run(self, stop: Event) -> None:
        executor = ThreadPoolExecutor(1, thread_name_prefix="tollway-sink-writer")
        try:
            self._loop(executor, stop)
        finally:
            # A writer that waits for the store must not keep a process whose loop has ended.
            stop.set()
            executor.shutdown()
            self._tell_health()

    def _loop(self, executor: ThreadPoolExecutor, stop: Event) -> None:
        next_health_s = 0.0
        stop_at_s: float | None = None
        while True:
            now_s = time.monotonic()
            stored = self._settle()
            self._hand_over(executor, now_s, at_once=stop.is_set())
            if now_s >= next_health_s:
                next_health_s = now_s + _HEALTH_EVERY_S
                self._tell_health()
            if not stop.is_set():
                self._gather(now_s)
                continue
            if stop_at_s is None:
                stop_at_s = now_s + self._drain_s
            overdue = now_s >= stop_at_s
            if not stored or self._finished(overdue=overdue):
                return
            if overdue and self._writing is not None:
                wait([self._writing[1]], timeout=_POLL_S)
            else:
                self._gather(now_s)

    def _gather(self, now_s: float) -> None:
        if self._gathering.full and not self._paused:
            self._source.pause()
            self._paused = True
        polled = self._source.poll(_POLL_S)
        self._forget(polled.lost)
        for record in polled.records:
            self._gathering.add(record, now_s)
        for place, offset in polled.ends.items():
            self._gathering.reach(place, offset, now_s)

    def _forget(self, lost: Iterable[Place]) -> None:
        places = list(lost)
        if not places:
            return
        self._gathering.forget(places)
        for place in places:
            self._to_commit.pop(place, None)
            if self._writing is not None:
                # Its rows are under way; only their offsets are not ours to commit any more.
                self._writing[0].offsets.pop(place, None)

    def _hand_over(self, executor: ThreadPoolExecutor, now_s: float, *, at_once: bool) -> None:
        batch = self._gathering
        if self._writing is not None or batch.began_s is None or not batch.writable:
            return
        if not (at_once or batch.full or now_s - batch.began_s >= MAX_BATCH_AGE_S):
            return
        self._gathering = batch.cut()
        self._writing = (batch, executor.submit(self._writer.write, batch))
        if self._paused:
            self._source.resume()
            self._paused = False

    def _settle(self) -> bool:
        """Commits what is stored; False where the writer gave a batch up."""
        if self._writing is not None and self._writing[1].done():
            batch, outcome = self._writing
            self._writing = None
            if not outcome.result():
                _log.warning("stopped with %d records not stored; they stay unread", batch.records)
                return False
            self._to_commit.update(batch.offsets)
        if self._to_commit:
            try:
                self._source.commit(self._to_commit)
            except CommitFailed as error:
                self._metrics.failed_commits.inc()
                _log.warning("offsets wait for the next commit: %s", error)
            else:
                self._to_commit = {}
        return True

    def _finished(self, *, overdue: bool) -> bool:
        if self._writing is not None or (self._gathering and self._gathering.writable):
            return False
        return overdue or self._source.drained()

    def _tell_health(self) -> None:
        lag = self._source.lag()
        for topic, records in lag.items():
            self._metrics.lag_records.labels(topic).set(records)
        writing = 0 if self._writing is None else self._writing[0].size_bytes
        self._metrics.backlog_bytes.set(self._gathering.size_bytes + writing)
        self._health.lags(lag, assigned=self._source.assigned())
