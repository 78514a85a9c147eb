"""The ledger of one partition: usage records in; charges, decisions, findings and state out.

State is a function of the records alone: time is the running maximum of the broker's timestamps,
and what leaves, leaves when that time passes, not when the books happen to be closed.
"""

from collections.abc import Sequence
from typing import Final

from tollway.contract.control import Decision, Finding
from tollway.contract.deadletter import DeadLetter, dead_letter
from tollway.contract.ledger_entries import LedgerEntry, PositionEntry
from tollway.contract.moments import canonical_ms, format_ms
from tollway.contract.topics import USAGE, partition_of
from tollway.contract.usage import UsageEvent
from tollway.domain.booking import Booker
from tollway.domain.calendar import HOUR_MS, MINUTE_MS
from tollway.domain.charging import Booking, ChargeLines
from tollway.domain.cloudevents import envelope_of, may_be_wrapped, reread, unwrap
from tollway.domain.counting import COUNTS, count_odd
from tollway.domain.crowding import FINGERPRINTS, WORKSPACES
from tollway.domain.making_room import Relief
from tollway.domain.prices import PriceBook
from tollway.domain.pricing import Pricer
from tollway.domain.reading import Unreadable, explicit_pico, read_usage, time_of
from tollway.domain.records import Headed, Headers, Stray
from tollway.domain.seeing import Seen
from tollway.domain.stateful import Changes
from tollway.domain.usage import Usage
from tollway.domain.verdicts import Moment
from tollway.domain.workspaces import Workspace

__all__ = ["HORIZON_MS", "LATE_MINUTES", "Ledger", "stamp_of"]

# Older events are booked at broker time: beyond it a duplicate could not be told any more.
HORIZON_MS: Final = 72 * HOUR_MS
FUTURE_MS: Final = 5 * MINUTE_MS
# Minutes leave after this long without events; what comes for them later is late.
LATE_MINUTES: Final = 15
# Purses without an account that are kept at hand between two minutes of the log.
MAX_HOLLOW: Final = 1_000


def stamp_of(generation: int, offset: int) -> int:
    """The version of what books write that end at a usage offset: rises with both."""
    return (generation << 48) + offset + 1


class Ledger:
    """`apply` records, take what came out, `close` the books; `restore` continues from them.

    Not thread-safe: one owner calls it in order.
    """

    __slots__ = (
        "booker",
        "booking",
        "buried",
        "changes",
        "charge_lines",
        "commands_offset",
        "counts",
        "crowds",
        "generation",
        "log_minute",
        "log_ms",
        "misrouted",
        "moment",
        "partition",
        "partitions",
        "poison_run",
        "pricer",
        "prices",
        "seen",
        "strays",
        "sweeper",
        "usage",
        "usage_offset",
        "verdicts",
        "workspaces",
    )

    def __init__(
        self, partition: int, partitions: int, prices: PriceBook, generation: int = 1
    ) -> None:
        self.partition = partition
        self.partitions = partitions
        self.generation = generation
        self.prices = prices
        self.changes = Changes()
        self.counts: dict[str, int] = dict.fromkeys(COUNTS, 0)
        self.usage_offset = -1
        self.commands_offset = -1
        self.log_ms = 0
        self.log_minute = 0
        self.charge_lines = ChargeLines()
        self.misrouted: list[Stray] = []
        # The same of the call of `apply` at hand: workspaces, and where their records are.
        self.strays: list[tuple[str, int]] = []
        self.buried: list[DeadLetter] = []
        # Unreadable records in a row, up to now.
        self.poison_run = 0
        self.moment = Moment(partition, generation)
        self.booking = Booking()
        # The event at hand.
        self.usage: Usage | None = None
        self.crowds = Relief(self.counts, self.changes, self.moment)
        self.workspaces = self.crowds.workspaces
        self.verdicts = self.crowds.verdicts
        self.sweeper = self.crowds.sweeper
        self.seen = Seen(self.changes, self.counts, self.crowds, self.sweeper)
        self.seen.prints.generation = generation
        self.pricer = Pricer(self.changes, self.verdicts, prices, self.moment, self.crowds)
        self.booker = Booker(
            self.changes, self.verdicts, self.pricer, self.sweeper, self.moment, self.charge_lines
        )

    def apply(
        self,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None],
        offsets: Sequence[int],
        stamps_ms: Sequence[int],
        records: Sequence[Headed] | None = None,
    ) -> None:
        """Applies records in order; those that are in the books already are passed over.

        `records` are asked for headers where a value does not say all; without, there are none.
        """
        applied = 0
        for index, offset in enumerate(offsets):
            if offset <= self.usage_offset:
                continue
            self.usage_offset = offset
            applied += 1
            if stamps_ms[index] > self.log_ms:
                self._advance(stamps_ms[index])
            value = values[index]
            try:
                event = read_usage(value)
                # What has a producer is the SDK's, and whole.
                if event.producer is None and records is not None and may_be_wrapped(event):
                    headers = records[index].headers()
                    event = reread(value, headers, event) if headers else event
                self._take(event, index, offset)
                self.poison_run = 0
            except Unreadable as why:
                headers = None if records is None else records[index].headers()
                self._look_closer(why, index, offset, keys[index], value, headers)
        self.counts["events"] += applied
        if len(self.sweeper.hollow) > MAX_HOLLOW:
            self.sweeper.close_hollow()
        if self.strays:
            self._send_on(values, records)

    def _look_closer(
        self,
        why: Unreadable,
        index: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None,
    ) -> None:
        """Reads what is no event by itself as a CloudEvent, or makes a dead letter of it."""
        envelope = envelope_of(headers) if headers else None
        if envelope is not None:
            try:
                self._take(unwrap(value, envelope), index, offset)
            except Unreadable as inside:
                why = inside
            else:
                self.poison_run = 0
                return
        self.counts["dead_letters"] += 1
        self.poison_run += 1
        letter = dead_letter(
            why.reason,
            why.detail,
            topic=USAGE.name,
            partition=self.partition,
            offset=offset,
            time=format_ms(self.log_ms),
            key=key,
            value=value,
            headers=envelope,
        )
        self.buried.append(letter)

    def _advance(self, stamp_ms: int) -> None:
        """Moves time; what may leave by then leaves."""
        self.log_ms = stamp_ms
        self.moment.time_ms = stamp_ms
        self.booking.log_text = format_ms(stamp_ms)
        minute = stamp_ms // MINUTE_MS
        if minute != self.log_minute:
            if minute // 60 != self.log_minute // 60:
                self.seen.prints.turn(minute // 60)
            self.log_minute = minute
            self.sweeper.turn(stamp_ms)
            self.pricer.free.turn(minute)

    def _take(self, event: UsageEvent, index: int, offset: int) -> None:
        usage = self.usage
        if usage is None:
            usage = self.usage = Usage(event)
        else:
            usage.fill(event)
        booking = self.booking
        time_ms = canonical_ms(usage.time)
        booking.is_timely = time_ms >= 0
        if time_ms < 0:
            time_ms = time_of(usage)
        explicit = -1 if usage.cost is None else explicit_pico(usage.cost)
        workspace = self.workspaces.get(usage.workspace)
        if workspace is None:
            if partition_of(usage.workspace, self.partitions) != self.partition:
                self.strays.append((usage.workspace, index))
                return
            workspace = self.open_workspace(usage.workspace)
        if not self.seen.is_new(workspace, usage, offset, self.log_ms):
            self.counts["duplicates"] += 1
            if not workspace.lanes:
                self.sweeper.close_if_empty(workspace)
            return
        booking.offset = offset
        if time_ms > self.log_ms + FUTURE_MS or time_ms < self.log_ms - HORIZON_MS:
            booking.skewed, booking.is_timely = True, False
            booking.booked_ms = self.log_ms
        else:
            booking.skewed = False
            booking.booked_ms = time_ms
        booking.late = booking.booked_ms // MINUTE_MS < self.log_minute - LATE_MINUTES
        self.moment.offset = offset
        self.moment.event_id = usage.id
        self.booker.book(workspace, usage, booking, explicit)
        if booking.waits or booking.clamped or booking.late or booking.skewed or event.lost:
            count_odd(self.counts, event, booking)

    def _send_on(self, values: Sequence[bytes | None], records: Sequence[Headed] | None) -> None:
        for workspace, index in self.strays:
            headers = None if records is None else records[index].headers()
            self.misrouted.append(Stray(workspace, values[index] or b"", headers))
        self.counts["misrouted"] += len(self.strays)
        self.strays = []

    def open_workspace(self, name: str) -> Workspace:
        workspace = self.workspaces.get(name)
        if workspace is None:
            self.crowds.enter(WORKSPACES)
            workspace = Workspace(name, self.partition, self.crowds)
            self.workspaces[name] = workspace
        return workspace

    def sizes(self) -> dict[str, int]:
        """How much there is of each kind of state; `crowding` says how much there may be."""
        free = self.pricer.free.size
        others = {FINGERPRINTS: len(self.seen.prints.seen), "free_call_bytes": free}
        return self.crowds.sizes | others

    def take_charges(self) -> list[bytes]:
        """What was charged since last asked: JSON lines, in packs that are one record each."""
        return self.charge_lines.take()

    def take_verdicts(self) -> list[Decision | Finding]:
        """What was decided and found since last asked, in the order in which it was."""
        made = self.verdicts.made
        self.verdicts.made = []
        return made

    def take_misrouted(self) -> list[Stray]:
        sent_on, self.misrouted = self.misrouted, []
        return sent_on

    def take_buried(self) -> list[DeadLetter]:
        buried, self.buried = self.buried, []
        return buried

    def close(self) -> list[tuple[str, LedgerEntry | None]]:
        """What must be written for these books to continue elsewhere, the position last."""
        self.seen.prints.close()
        self.pricer.free.close()
        stamp = stamp_of(self.generation, self.usage_offset)
        records = self.changes.take(stamp)
        records.append(("position", self.position()))
        return records

    def position(self) -> PositionEntry:
        return PositionEntry(
            generation=self.generation,
            usage_offset=self.usage_offset,
            commands_offset=self.commands_offset,
            log_time_ms=self.log_ms,
            counts=dict(self.counts),
        )
