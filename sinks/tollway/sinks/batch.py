"""Records gathered for one round of inserts, and the offsets to commit after it."""

from collections.abc import Iterable

from tollway.sinks.raw_records import raw_line
from tollway.sinks.records import Line, Place, Record
from tollway.sinks.rows import MalformedRecord, rows_of

__all__ = ["MAX_BATCH_BYTES", "MAX_BATCH_RECORDS", "Batch"]

MAX_BATCH_RECORDS = 20_000
MAX_BATCH_BYTES = 16 * 1024 * 1024


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
        self.records += 1
        self.size_bytes += len(record.value or b"")

    def reach(self, place: Place, offset: int, now_s: float) -> None:
        """Once this batch is stored, reading goes on at `offset`."""
        if self.began_s is None:
            self.began_s = now_s
        self.offsets[place] = max(offset, self.offsets.get(place, 0))

    def forget(self, lost: Iterable[Place]) -> None:
        """Leaves partitions to their next reader; rows of them already sent do no harm."""
        gone = {place for place in lost if self.offsets.pop(place, None) is not None}
        if gone:
            self.lines = [line for line in self.lines if line.origin.place not in gone]
            self.malformed = [each for each in self.malformed if each[0].place not in gone]

    def by_table(self) -> dict[str, list[Line]]:
        tables: dict[str, list[Line]] = {}
        for line in self.lines:
            tables.setdefault(line.table, []).append(line)
        return tables
