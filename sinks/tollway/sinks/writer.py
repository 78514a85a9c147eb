"""Writes a batch until all of it is stored: bad rows aside, and again where the store is away."""

import logging
import time
from threading import Event
from typing import Protocol

from tollway.contract.deadletter import DeadLetter, Reason, dead_letter
from tollway.contract.moments import format_ms
from tollway.contract.topics import DEADLETTER
from tollway.sinks.batch import Batch
from tollway.sinks.clickhouse import StoreAway, StoreRefused
from tollway.sinks.health import Health
from tollway.sinks.metrics import SinkMetrics
from tollway.sinks.records import Line, Record

__all__ = ["Letters", "LettersUnconfirmed", "Store", "Writer"]

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0

_log = logging.getLogger(__name__)


class LettersUnconfirmed(Exception):
    """The broker did not confirm dead letters in time; they may be sent again."""


class Store(Protocol):
    """Takes rows: returns once they are stored, raises `StoreAway` or `StoreRefused`."""

    def insert(self, table: str, body: bytes) -> None: ...


class Letters(Protocol):
    """Sends dead letters: returns once all are confirmed, raises `LettersUnconfirmed`."""

    def send(self, letters: list[tuple[bytes | None, DeadLetter]]) -> None: ...


class Writer:
    """Safe to kill at any point: nothing is committed before `write` has answered True."""

    def __init__(
        self, store: Store, letters: Letters, stop: Event, health: Health, metrics: SinkMetrics
    ) -> None:
        self._store = store
        self._letters = letters
        self._stop = stop
        self._health = health
        self._metrics = metrics

    def write(self, batch: Batch) -> bool:
        """True once every row and dead letter of the batch is acknowledged.

        While the store or the broker is away it tries again, with the same rows; False where it
        was told to stop meanwhile.
        """
        letters = [
            _letter(record, error.reason, error.detail, record.value)
            for record, error in batch.malformed
        ]
        for table, lines in batch.by_table().items():
            refused = self._until_stored(table, lines)
            if refused is None:
                return False
            letters.extend(refused)
        return self._until_confirmed(letters)

    def _until_stored(
        self, table: str, lines: list[Line]
    ) -> list[tuple[bytes | None, DeadLetter]] | None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return self._store_all(table, lines)
            except StoreAway as error:
                self._health.away(str(error)[:500])
                self._metrics.store_up.set(0)
                self._metrics.retries.labels("store").inc()
                _log.warning("the store is away, again in %.1f s: %.300s", pause_s, error)
            if self._stop.wait(pause_s):
                return None
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _until_confirmed(self, letters: list[tuple[bytes | None, DeadLetter]]) -> bool:
        pause_s = _FIRST_PAUSE_S
        while letters:
            try:
                self._letters.send(letters)
            except LettersUnconfirmed as error:
                self._metrics.retries.labels("letters").inc()
                _log.warning("dead letters wait, again in %.1f s: %s", pause_s, error)
                if self._stop.wait(pause_s):
                    return False
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                for _, letter in letters:
                    self._metrics.dead_letters.labels(letter.reason).inc()
                return True
        return True

    def _store_all(self, table: str, lines: list[Line]) -> list[tuple[bytes | None, DeadLetter]]:
        """Halves what is refused until the bad rows stand alone; their neighbours are stored."""
        letters: list[tuple[bytes | None, DeadLetter]] = []
        parts = [lines]
        while parts:
            part = parts.pop()
            try:
                self._insert(table, part)
            except StoreRefused as error:
                if len(part) == 1:
                    rows = _single_rows(part[0])
                    if len(rows) == 1:
                        letters.extend(_refusal(part[0], str(error)))
                        continue
                    part = rows
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
        return letters

    def _insert(self, table: str, lines: list[Line]) -> None:
        body = (b"" if table == "raw_records" else b"\n").join([line.body for line in lines])
        rows = body.count(b"\n") + 1 if table == "charges" else len(lines)
        began_s = time.monotonic()
        self._store.insert(table, body)
        self._metrics.insert_seconds.labels(table).observe(time.monotonic() - began_s)
        self._metrics.batch_rows.labels(table).observe(rows)
        self._metrics.rows.labels(table).inc(rows)
        self._metrics.store_up.set(1)
        self._health.stored(time.time_ns() // 1_000_000)


def _single_rows(line: Line) -> list[Line]:
    """One charges record holds the rows of a chunk; every other line is one row."""
    if line.table != "charges":
        return [line]
    rows = [row for row in line.body.split(b"\n") if row.strip()]
    return [Line(line.table, row, line.origin) for row in rows] or [line]


def _refusal(line: Line, detail: str) -> list[tuple[bytes | None, DeadLetter]]:
    if line.origin.topic == DEADLETTER.name:
        # A dead letter of a dead letter would come back here for ever.
        _log.error(
            "the store refused the dead letter at %s/%d/%d: %.300s",
            line.origin.topic,
            line.origin.partition,
            line.origin.offset,
            detail,
        )
        return []
    return [_letter(line.origin, "refused_by_store", detail, line.body)]


def _letter(
    record: Record, reason: Reason, detail: str, value: bytes | None
) -> tuple[bytes | None, DeadLetter]:
    letter = dead_letter(
        reason,
        detail,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        time=format_ms(record.timestamp_ms),
        key=record.key,
        value=value,
    )
    return record.key, letter
