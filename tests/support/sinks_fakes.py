"""A log, a group and a store in memory, as the sinks see them; each fails as the real one does."""

import json
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable

from tollway.contract.deadletter import DeadLetter
from tollway.sinks.clickhouse import StoreAway, StoreRefused
from tollway.sinks.pump import CommitFailed, Polled
from tollway.sinks.records import Place, Record
from tollway.sinks.writer import LettersUnconfirmed

__all__ = ["FakeGroup", "FakeLetters", "FakeStore", "Killed", "record"]

POLL_RECORDS = 10


class Killed(BaseException):
    """Stands for ``kill -9``: nobody catches it."""


def record(
    topic: str, value: object, *, offset: int = 0, partition: int = 0, key: bytes | None = b"acme"
) -> Record:
    """A record of a topic; a value that is not bytes becomes JSON."""
    body = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=key,
        value=body,
        timestamp_ms=1_773_144_000_000,
    )


class FakeGroup:
    """The log and what the group has committed outlive a member, which `join` makes anew."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.log: dict[Place, list[Record]] = {}
        for each in records:
            self.log.setdefault(each.place, []).append(each)
        self.committed: dict[Place, int] = {}
        self.commits_fail = 0
        self.polls = 0
        self.before_commit: Callable[[], None] = lambda: None
        self.join()

    def join(self) -> None:
        self.paused = False
        self.positions = {place: self.committed.get(place, 0) for place in self.log}
        self.lost: list[Place] = []

    def lose(self, place: Place) -> None:
        """A rebalance takes the partition and gives it back: it is read from its commit again."""
        self.positions[place] = self.committed.get(place, 0)
        self.lost.append(place)

    def poll(self, timeout_s: float) -> Polled:
        self.polls += 1
        records: list[Record] = []
        ends: dict[Place, int] = {}
        lost, self.lost = self.lost, []
        if self.paused:
            threading.Event().wait(0.001)
            return Polled([], lost, {})
        for place, log in self.log.items():
            first = bisect_left(log, self.positions[place], key=lambda each: each.offset)
            taken = log[first : first + POLL_RECORDS - len(records)]
            records.extend(taken)
            if taken:
                self.positions[place] = taken[-1].offset + 1
                if taken[-1] is log[-1]:
                    # A transaction's mark follows its last record.
                    self.positions[place] += 1
                    ends[place] = self.positions[place]
        if not records:
            threading.Event().wait(0.001)
        return Polled(records, lost, ends)

    def commit(self, offsets: dict[Place, int]) -> None:
        self.before_commit()
        if self.commits_fail:
            self.commits_fail -= 1
            raise CommitFailed("the coordinator moved")
        self.committed.update(offsets)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def lag(self) -> dict[str, int]:
        lag: dict[str, int] = {}
        for place, log in self.log.items():
            read = bisect_left(log, self.positions[place], key=lambda each: each.offset)
            lag[place[0]] = lag.get(place[0], 0) + len(log) - read
        return lag

    def assigned(self) -> bool:
        return True

    def drained(self) -> bool:
        return not any(self.lag().values())


class FakeStore:
    """Keeps lines by table; refuses bodies with the word `refuse`; away while `away` is above 0."""

    def __init__(self) -> None:
        self.lines: dict[str, list[bytes]] = {}
        self.away = 0
        self.inserts = 0
        self.largest_body = 0
        self.gate: threading.Event | None = None

    def insert(self, table: str, body: bytes) -> None:
        self.inserts += 1
        if self.gate is not None:
            self.gate.wait(30)
        if self.away:
            self.away -= 1
            raise StoreAway("connection refused")
        if b"refuse" in body:
            raise StoreRefused("Code: 27. Cannot parse input")
        self.largest_body = max(self.largest_body, len(body))
        self.lines.setdefault(table, []).extend(body.split(b"\n"))


class FakeLetters:
    def __init__(self) -> None:
        self.confirmed: list[tuple[bytes | None, DeadLetter]] = []
        self.unconfirmed = 0

    def send(self, letters: list[tuple[bytes | None, DeadLetter]]) -> None:
        if self.unconfirmed:
            self.unconfirmed -= 1
            raise LettersUnconfirmed("1 of 1 unconfirmed")
        self.confirmed.extend(letters)
