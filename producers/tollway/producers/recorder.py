"""`record`: makes a usage event of what the agent says, and counts exactly what gets lost."""

import os
import random
import threading
from collections import deque
from collections.abc import Iterator, Mapping

import msgspec

from tollway.contract.usage import MAX_EVENT_BYTES, UsageEvent
from tollway.producers.ambient import Fields, RunBooks, attributed, merge, run_books
from tollway.producers.complaints import Complaints
from tollway.producers.counts import Counts, numbers, numbers_taken
from tollway.producers.events import Invalid, event_of, now
from tollway.producers.outbox import LossReason, Outbox, OutboxClosed, OutboxFull, OutboxRefused
from tollway.producers.watching import shown

__all__ = ["LOCAL_WORKSPACE", "MAX_LOSS_KEYS", "MAX_WORKSPACES", "UNATTRIBUTED", "Recorder"]

# Past this many the process takes a new producer id, whose numbers start anew.
MAX_WORKSPACES = 10_000
MAX_LOSS_KEYS = 1_000
MAX_TALLY_KEYS = 1_000
# What a session counts under where nobody said whose money it is; nothing of it is sent.
LOCAL_WORKSPACE = "local"
# The agent of a loss event where the lost event named none.
UNATTRIBUTED = "unattributed"
_NAME_LENGTH = 512

_encode = msgspec.json.Encoder().encode
# workspace, agent, reason
LossKey = tuple[str, str, LossReason]


class _Lane:
    """One workspace of one producer: its key, and the running number of its next event."""

    __slots__ = ("key", "producer", "seq", "workspace")

    def __init__(self, producer: str, workspace: str) -> None:
        self.producer = producer
        self.workspace = workspace
        self.key = workspace.encode()
        self.seq: Iterator[int] = numbers()


class _Producer:
    """One running process, as the worker knows it: (id, seq) is a record, once."""

    __slots__ = ("id", "lanes")

    def __init__(self) -> None:
        self.id = os.urandom(8).hex()
        self.lanes: dict[str, _Lane] = {}


class Recorder:
    """Turns fields into events. Any thread; no locks; nothing raised.

    Without an outbox, events are counted by agent and go nowhere.
    """

    def __init__(self, defaults: Fields, outbox: Outbox | None = None) -> None:
        self._defaults = defaults
        self.outbox = outbox
        # Without brokers: the books of the whole process, for what runs in no session.
        self.books: RunBooks | None = None
        self._producer = _Producer()
        # Its own generator: the host may have seeded the global one.
        self._random_bits = random.Random(os.urandom(16)).getrandbits
        self._calls = numbers()
        self._lost: Counts[LossKey] = Counts(
            max_keys=MAX_LOSS_KEYS, overflow=lambda key: ("", UNATTRIBUTED, key[2])
        )
        self.tally: Counts[tuple[str, str]] = Counts(
            max_keys=MAX_TALLY_KEYS, overflow=lambda _: ("", UNATTRIBUTED)
        )
        self._reporting = threading.Lock()
        self._reported: dict[LossKey, int] = {}
        # Loss events that were lost themselves: (workspace, agent, reason, how many).
        self._returned: deque[tuple[str, str, LossReason, int]] = deque()
        self._complaints = Complaints()

    def calls(self) -> int:
        return numbers_taken(self._calls)

    @property
    def producer(self) -> str:
        return self._producer.id

    def record(self, event: UsageEvent | Mapping[str, object] | None, fields: Fields) -> object:
        """What the books of the session around it say of the event; None without a session."""
        next(self._calls)
        full: Fields = {}
        workspace = ""
        booked: object = None
        try:
            full = self._gather(event, fields)
            workspace = _name(full.get("workspace"))
            lane = self._producer.lanes.get(workspace or LOCAL_WORKSPACE)
            if lane is None:
                lane = self._open_lane(workspace or LOCAL_WORKSPACE)
            made = _made(full, lane)
            # First here: a session counts what it spends also while the broker is away.
            booked = shown(made, self._book(made))
            self._send(made, lane.key, workspace)
        except Exception as error:  # noqa: BLE001 (metering must never break what it meters)
            reason, detail = _why(error)
            self._lose(workspace, _name(full.get("agent")), reason, detail)
        return booked

    def _book(self, event: UsageEvent) -> object:
        books = run_books()
        if books is None or books.session != event.session:
            books = self.books
            if books is None:
                return None
        try:
            return books.book(event)
        except Exception as error:  # noqa: BLE001 (what cannot be booked here is sent all the same)
            self._complaints.say("books", f"a session missed an event: {type(error).__name__}")
            return None

    def _gather(self, event: UsageEvent | Mapping[str, object] | None, fields: Fields) -> Fields:
        if event is not None:
            # For an event, its fields that differ from the defaults: attribution fills the rest.
            given = msgspec.to_builtins(event) if isinstance(event, UsageEvent) else dict(event)
            fields = {**given, **fields}
        if None in fields.values():
            # An adapter that knows nothing says None; that must not hide what is attributed.
            fields = {name: value for name, value in fields.items() if value is not None}
        around = attributed(self._defaults)
        # Tags alone are merged one by one.
        return merge(around, fields) if "tags" in fields else {**around, **fields}

    def _send(self, event: UsageEvent, key: bytes, workspace: str) -> None:
        if not workspace:
            raise Invalid("$.workspace: missing; say TOLLWAY_WORKSPACE or init(workspace=...)")
        if self.outbox is None:
            self.tally.add((workspace, event.agent))
            return
        value = _encode(event)
        if len(value) > MAX_EVENT_BYTES:
            self._lose(workspace, event.agent, "too_large", f"over {MAX_EVENT_BYTES} bytes")
            return
        self.outbox.put(key, value)

    def _open_lane(self, workspace: str) -> _Lane:
        producer = self._producer
        if len(producer.lanes) >= MAX_WORKSPACES:
            producer = self._producer = _Producer()
        return producer.lanes.setdefault(workspace, _Lane(producer.id, workspace))

    def _lose(self, workspace: str, agent: str, reason: LossReason, detail: str) -> None:
        self._lost.add((workspace, agent or UNATTRIBUTED, reason))
        text = f"a usage event was dropped, {reason}: {detail}"
        self._complaints.say(text, text)

    def lost_in_transit(self, value: bytes, reason: LossReason) -> None:
        """The outbox could not deliver this event."""
        event = msgspec.json.decode(value, type=UsageEvent)
        if event.kind != "loss":
            self._lose(event.workspace, event.agent, reason, "it did not get to the broker")
            return
        for word, count in (event.lost or {}).items():
            told = msgspec.convert(word, LossReason)
            self._returned.append((event.workspace, event.agent, told, count))

    def lost(self) -> dict[LossReason, int]:
        """Everything lost since the process began, by reason."""
        total: dict[LossReason, int] = {}
        for (_, _, reason), count in self._lost.totals().items():
            total[reason] = total.get(reason, 0) + count
        return total

    def report_losses(self) -> None:
        """Tells the worker what was lost, once the outbox drains."""
        # One at a time, and never waiting: a signal handler may be the second.
        if self.outbox is None or not self._reporting.acquire(blocking=False):
            return
        try:
            while self._returned:
                workspace, agent, reason, count = self._returned.popleft()
                self._reported[workspace, agent, reason] -= count
            if self.outbox.has_room():
                self._report(self.outbox)
        finally:
            self._reporting.release()

    def _report(self, outbox: Outbox) -> None:
        by_payer: dict[tuple[str, str], dict[str, int]] = {}
        for (workspace, agent, reason), total in self._lost.totals().items():
            new = total - self._reported.get((workspace, agent, reason), 0)
            # Without a workspace there is nobody to tell but this process's log and stats.
            if new > 0 and workspace:
                by_payer.setdefault((workspace, agent), {})[reason] = new
                self._reported[workspace, agent, reason] = total
        for (workspace, agent), lost in by_payer.items():
            # Without a number: a loss event that is lost itself is told again, so it leaves no gap.
            event = UsageEvent(
                id=f"{self._random_bits(128):032x}",
                producer=self._producer.id,
                time=now(),
                kind="loss",
                workspace=workspace,
                agent=agent,
                lost=lost,
            )
            value = _encode(event)
            try:
                outbox.put(workspace.encode(), value)
            except (OutboxFull, OutboxRefused, OutboxClosed):
                self.lost_in_transit(value, "queue_full")


def _made(full: Fields, lane: _Lane) -> UsageEvent:
    # Taken even if the event is then lost: the worker sees the gap.
    seq = next(lane.seq)
    full["workspace"] = lane.workspace
    full["producer"] = lane.producer
    full["seq"] = seq
    if "id" not in full:
        # Of a record that is only once.
        full["id"] = f"{lane.producer}-{seq}"
    if "agent" not in full:
        # Visible as a row of its own; dropped it would be spend that nobody sees.
        full["agent"] = UNATTRIBUTED
    return event_of(full)


def _why(error: Exception) -> tuple[LossReason, str]:
    match error:
        case OutboxFull():
            return "queue_full", "the outbox is full; is the broker away?"
        case OutboxRefused():
            return "refused", str(error)
        case OutboxClosed():
            return "shutdown", "the process is ending"
        case Invalid():
            return "invalid", str(error)
        case _:
            return "internal", type(error).__name__


def _name(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= _NAME_LENGTH else ""
