"""Records gathered for one round of inserts, and the offsets to commit after it."""

from collections.abc import Iterable
from typing import Final, Self

from tollway.contract.topics import LEDGER
from tollway.sinks.raw_records import raw_line
from tollway.sinks.records import Line, Place, Record
from tollway.sinks.rows import MalformedRecord, rows_of

__all__ = ["MAX_BATCH_BYTES", "MAX_BATCH_RECORDS", "Batch"]

MAX_BATCH_RECORDS = 20_000
MAX_BATCH_BYTES = 16 * 1024 * 1024

# The last record of each closing of the books.
_POSITION_KEY: Final = b"position"


class Batch:
    """`raw_life` is the life of the log under which raw records are kept too; None keeps none."""

    def __init__(self, raw_life: int | None) -> None:
        self._raw_life = raw_life
        self.lines: list[Line] = []
        self.malformed: list[tuple[Record, MalformedRecord]] = []
        # The next offset to read of each partition, once this batch is stored.
        self.offsets: dict[Place, int] = {}
        self.records = 0
        self.size_bytes = 0
        self.began_s: float | None = None
        # Where raw records are kept: offsets of ledger records whose closing is not whole yet.
        self._open: dict[Place, list[int]] = {}

    def __bool__(self) -> bool:
        return bool(self.offsets)

    @property
    def full(self) -> bool:
        return self.records >= MAX_BATCH_RECORDS or self.size_bytes >= MAX_BATCH_BYTES

    def add(self, record: Record, now_s: float) -> None:
        self.reach(record.place, record.offset + 1, now_s)
        try:
            self.lines.extend(rows_of(record))
        except MalformedRecord as error:
            self.malformed.append((record, error))
        if self._raw_life is not None:
            line = raw_line(record, self._raw_life)
            if line is not None:
                self.lines.append(line)
            if record.topic == LEDGER.name:
                self._follow_closing(record)
        self.records += 1
        self.size_bytes += len(record.value or b"")

    def _follow_closing(self, record: Record) -> None:
        if record.key == _POSITION_KEY:
            self._open.pop(record.place, None)
        else:
            self._open.setdefault(record.place, []).append(record.offset)

    @property
    def writable(self) -> bool:
        """Whether anything would be left of it after `cut`."""
        waiting = sum(map(len, self._open.values()))
        return self.full or self.records > waiting or not self.offsets.keys() <= self._open.keys()

    def cut(self) -> Self:
        """Takes out what must wait: books that come back as half a closing would not balance.

        A closing larger than a batch is not waited for.
        """
        rest = type(self)(self._raw_life)
        if self.full:
            return rest
        for place, offsets in self._open.items():
            rest.reach(place, self.offsets[place], self.began_s or 0.0)
            self.offsets[place] = offsets[0]
            rest.records += len(offsets)
        self.records -= rest.records
        rest.lines = [line for line in self.lines if self._waits(line.origin)]
        rest.malformed = [each for each in self.malformed if self._waits(each[0])]
        self.lines = [line for line in self.lines if not self._waits(line.origin)]
        self.malformed = [each for each in self.malformed if not self._waits(each[0])]
        rest.size_bytes = sum(len(line.body) for line in rest.lines)
        self.size_bytes = max(0, self.size_bytes - rest.size_bytes)
        rest._open, self._open = self._open, {}
        return rest

    def _waits(self, record: Record) -> bool:
        offsets = self._open.get(record.place)
        return offsets is not None and record.offset >= offsets[0]

    def reach(self, place: Place, offset: int, now_s: float) -> None:
        """Once this batch is stored, reading goes on at `offset`."""
        if self.began_s is None:
            self.began_s = now_s
        self.offsets[place] = max(offset, self.offsets.get(place, 0))

    def forget(self, lost: Iterable[Place]) -> None:
        """Leaves partitions to their next reader; rows of them already sent do no harm."""
        gone = {place for place in lost if self.offsets.pop(place, None) is not None}
        if gone:
            self._open = {
                place: offsets for place, offsets in self._open.items() if place not in gone
            }
            self.lines = [line for line in self.lines if line.origin.place not in gone]
            self.malformed = [each for each in self.malformed if each[0].place not in gone]

    def by_table(self) -> dict[str, list[Line]]:
        tables: dict[str, list[Line]] = {}
        for line in self.lines:
            tables.setdefault(line.table, []).append(line)
        return tables
