"""Calls of tools that cost nothing, remembered for 72 h: a price set later may be dated back."""

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from tollway.contract.ledger_entries import FreeCall, FreeCallsEntry, LedgerEntry
from tollway.contract.usage import UsageEvent
from tollway.domain.calendar import MINUTE_MS
from tollway.domain.charging import MAX_PACK_BYTES
from tollway.domain.crowding import FREE_CALLS, Crowds
from tollway.domain.dedup import HORIZON_HOURS
from tollway.domain.stateful import Changes, Stateful
from tollway.domain.verdicts import Moment

__all__ = ["MAX_FREE_CALL_BYTES", "FreeCalls"]

# What is remembered in a partition, as it stands in the ledger: some 80,000 calls. Past that the
# oldest minute leaves early, and a later price does not charge it.
MAX_FREE_CALL_BYTES = 32 * 1024 * 1024
# As long as an event may be booked at its own time: so long every account that it counts for is
# there, and a correction finds it.
REMEMBERED_MINUTES: Final = HORIZON_HOURS * 60

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(FreeCall).decode
_texts: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Batch(Stateful):
    """The free calls of one minute of log time, in one closing of the books: one record."""

    __slots__ = ("calls", "minute", "size", "stamp")

    # Each as text, which is less than half of what it would be as an object.
    calls: list[bytes]

    def __init__(self, minute: int, stamp: int) -> None:
        super().__init__()
        self.minute = minute
        self.stamp = stamp
        self.calls = []
        self.size = 0

    def key(self) -> str:
        return f"free|{self.minute}|{self.stamp}"

    def entry(self, stamp: int) -> LedgerEntry:
        return FreeCallsEntry(
            minute=self.minute, calls=msgspec.Raw(b"[" + b",".join(self.calls) + b"]")
        )


class FreeCalls:
    """Which tool calls were booked as free lately, in the order of the log."""

    __slots__ = ("batches", "changes", "crowds", "moment", "open", "size")

    batches: deque[Batch]
    open: Batch | None

    def __init__(self, changes: Changes, moment: Moment, crowds: Crowds) -> None:
        self.changes = changes
        self.crowds = crowds
        self.moment = moment
        self.batches = deque()
        self.open = None
        self.size = 0

    def remember(self, event: UsageEvent, booked_ms: int) -> None:
        moment = self.moment
        minute = moment.time_ms // MINUTE_MS
        batch = self.open
        if batch is None or batch.minute != minute or batch.size > MAX_PACK_BYTES:
            # Of the offset of its first call: no key is ever used twice.
            batch = self.open = Batch(minute, (moment.generation << 48) + moment.offset + 1)
            self.batches.append(batch)
            self.changes.touch(batch)
        call = _encode(FreeCall(event, booked_ms, moment.offset))
        batch.calls.append(call)
        batch.size += len(call)
        self.size += len(call)
        if self.size > MAX_FREE_CALL_BYTES:
            self.crowds.note(FREE_CALLS, self._leave_until(self.batches[0].minute))

    def close(self) -> None:
        """The open batch is written as it is; what comes goes into another."""
        self.open = None

    def turn(self, minute: int) -> None:
        self._leave_until(minute - REMEMBERED_MINUTES)

    def _leave_until(self, minute: int) -> int:
        """By whole minutes of the log: where its books were closed must not show. How many left."""
        left = 0
        while self.batches and self.batches[0].minute <= minute:
            batch = self.batches.popleft()
            left += len(batch.calls)
            self._leave(batch)
        return left

    def _leave(self, batch: Batch) -> None:
        self.size -= batch.size
        if batch is self.open:
            self.open = None
        self.changes.forget(batch)

    def take(self, workspace: str, tool: str, is_due: Callable[[FreeCall], bool]) -> list[FreeCall]:
        """Takes the calls of a tool out that are due, in the order of the log."""
        taken: list[FreeCall] = []
        mark = b'"tool":' + _encode(tool)
        for batch in self.batches:
            kept: list[bytes] = []
            for text in batch.calls:
                # Reading costs twenty times what looking for the name does.
                call = _decode(text) if mark in text else None
                if (
                    call is not None
                    and call.event.workspace == workspace
                    and call.event.tool == tool
                    and is_due(call)
                ):
                    taken.append(call)
                else:
                    kept.append(text)
            if len(kept) < len(batch.calls):
                self._keep(batch, kept)
        if taken:
            for batch in [batch for batch in self.batches if not batch.calls]:
                self._leave(batch)
            self.batches = deque(batch for batch in self.batches if batch.calls)
        return taken

    def _keep(self, batch: Batch, kept: list[bytes]) -> None:
        size = sum(map(len, kept))
        self.size -= batch.size - size
        batch.calls, batch.size = kept, size
        self.changes.touch(batch)

    def restore(self, key: str, entry: FreeCallsEntry) -> None:
        """In any order; `restored` puts them into the log's."""
        batch = Batch(entry.minute, int(key.rsplit("|", 1)[1]))
        batch.calls = [bytes(text) for text in _texts(entry.calls)]
        batch.size = sum(map(len, batch.calls))
        self.size += batch.size
        self.batches.append(batch)

    def restored(self) -> None:
        self.batches = deque(sorted(self.batches, key=_log_order))


def _log_order(batch: Batch) -> int:
    return batch.stamp
