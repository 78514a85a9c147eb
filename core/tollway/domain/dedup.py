"""Not billable twice: running numbers of producers, exact at any age, and fingerprints for 72 h."""

from bisect import bisect_right
from hashlib import blake2b
from typing import Final

from tollway.contract.ledger_entries import FingerprintsEntry, LedgerEntry, ProducerEntry
from tollway.contract.subjects import encode_name
from tollway.domain.crowding import FINGERPRINTS, Crowds
from tollway.domain.stateful import Changes, Stateful, Wheel

__all__ = ["Fingerprints", "Producer", "fingerprint"]

HORIZON_HOURS: Final = 72
MAX_FINGERPRINTS = 5_000_000
PRINT_BYTES: Final = 8
# Of one producer, gaps tracked one by one below its newest number; past that the oldest are given
# up.
MAX_GAPS = 10_000


def fingerprint(workspace: str, source: str, event_id: str) -> bytes:
    """8 bytes of BLAKE2b: nobody can craft an event that makes another's look like a duplicate."""
    return blake2b(f"{workspace}\0{source}\0{event_id}".encode(), digest_size=PRINT_BYTES).digest()


class Producer(Stateful):
    """The running numbers seen from one producer in one workspace.

    Numbers below `next_seq` have been seen, but for the ranges in `gaps`; those are the events
    lost or on their way. Below `floor` nothing is known any more: fingerprints decide alone.
    """

    __slots__ = ("first", "floor", "last", "last_ms", "next_seq", "producer", "workspace")

    workspace: str
    producer: str
    next_seq: int
    floor: int
    # Parallel lists of the ranges still missing, in order, both ends inclusive.
    first: list[int]
    last: list[int]
    last_ms: int

    def __init__(self, workspace: str, producer: str) -> None:
        super().__init__()
        self.workspace = workspace
        self.producer = producer
        self.next_seq = 0
        self.floor = 0
        self.first = []
        self.last = []
        self.last_ms = 0

    def has_seen(self, seq: int) -> bool:
        if seq >= self.next_seq or seq < self.floor:
            return False
        at = bisect_right(self.first, seq) - 1
        return at < 0 or self.last[at] < seq

    def see(self, seq: int) -> int:
        """Takes note of a number that `has_seen` did not know; by how many more are missing now.

        What is given up stays missing: nobody will know any more that it came after all.
        """
        skipped = 0
        if seq >= self.next_seq:
            skipped = seq - self.next_seq
            if skipped:
                self.first.append(self.next_seq)
                self.last.append(seq - 1)
            self.next_seq = seq + 1
        elif seq >= self.floor:
            self._fill(bisect_right(self.first, seq) - 1, seq)
            skipped = -1
        if len(self.first) > MAX_GAPS:
            self.give_up()
        return skipped

    def give_up(self) -> None:
        """Forgets which numbers of the oldest gap are missing: fingerprints decide there."""
        self.floor = self.last.pop(0) + 1
        self.first.pop(0)

    def _fill(self, at: int, seq: int) -> None:
        first, last = self.first[at], self.last[at]
        if first == last:
            del self.first[at]
            del self.last[at]
        elif seq == first:
            self.first[at] = seq + 1
        elif seq == last:
            self.last[at] = seq - 1
        else:
            self.last[at] = seq - 1
            self.first.insert(at + 1, seq + 1)
            self.last.insert(at + 1, last)

    def key(self) -> str:
        return f"producer|{encode_name(self.workspace)}|{encode_name(self.producer)}"

    def entry(self, stamp: int) -> LedgerEntry:
        return ProducerEntry(
            workspace=self.workspace,
            producer=self.producer,
            next_seq=self.next_seq,
            floor=self.floor,
            missing=list(zip(self.first, self.last, strict=True)),
            last_event_ms=self.last_ms,
        )


class Bucket(Stateful):
    """The fingerprints first seen in one hour of log time, in one closing of the books."""

    __slots__ = ("hour", "prints", "stamp")

    def __init__(self, hour: int, stamp: int) -> None:
        super().__init__()
        self.hour = hour
        self.stamp = stamp
        self.prints: list[bytes] = []

    def key(self) -> str:
        return f"fingerprints|{self.hour}|{self.stamp}"

    def entry(self, stamp: int) -> LedgerEntry:
        return FingerprintsEntry(hour=self.hour, fingerprints=b"".join(self.prints))


class Fingerprints:
    """Which (workspace, source, id) were seen in the last 72 hours of log time."""

    __slots__ = ("changes", "crowds", "generation", "open", "seen", "wheel")

    seen: set[bytes]
    open: Bucket | None

    def __init__(self, changes: Changes, crowds: Crowds) -> None:
        self.changes = changes
        self.crowds = crowds
        self.seen = set()
        self.open = None
        self.wheel = Wheel()
        # With the offset at which a bucket is opened it names it: no key is ever used twice.
        self.generation = 1

    def is_new(self, mark: bytes, hour: int, offset: int) -> bool:
        """Whether this fingerprint is new; then it is remembered."""
        seen = self.seen
        if mark in seen:
            return False
        seen.add(mark)
        bucket = self.open
        if bucket is None or bucket.hour != hour:
            bucket = Bucket(hour, (self.generation << 48) + offset + 1)
            self.open = bucket
            self.changes.touch(bucket)
            self.wheel.put(bucket, hour + HORIZON_HOURS)
        bucket.prints.append(mark)
        if len(seen) > MAX_FINGERPRINTS:
            self._leave_early()
        return True

    def close(self) -> None:
        """The open bucket is written as it is; what comes goes into another."""
        self.open = None

    def turn(self, hour: int) -> None:
        for piece in self.wheel.turn(hour):
            self._leave(piece)

    def _leave(self, piece: Stateful) -> None:
        assert isinstance(piece, Bucket)
        self.seen.difference_update(piece.prints)
        self.changes.drop(piece)
        if piece is self.open:
            self.open = None

    def _leave_early(self) -> None:
        before = len(self.seen)
        for piece in self.wheel.take_oldest():
            self._leave(piece)
        self.crowds.note(FINGERPRINTS, before - len(self.seen))

    def restore(self, key: str, entry: FingerprintsEntry) -> None:
        bucket = Bucket(entry.hour, int(key.rsplit("|", 1)[1]))
        marks = entry.fingerprints
        bucket.prints = [marks[at : at + PRINT_BYTES] for at in range(0, len(marks), PRINT_BYTES)]
        self.seen.update(bucket.prints)
        self.wheel.put(bucket, entry.hour + HORIZON_HOURS)
