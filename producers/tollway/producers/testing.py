"""For tests of agents: metering without a broker, with what was recorded and a guard to set."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from tollway.contract.control import Action, Cause, Decision, Heartbeat, control_key
from tollway.contract.subjects import Subject
from tollway.contract.usage import UsageEvent
from tollway.producers.guard import Guard
from tollway.producers.listeners import Listeners
from tollway.producers.local.norms import norms
from tollway.producers.metering import Metering
from tollway.producers.outbox import OutboxFull, Tail
from tollway.producers.process import install
from tollway.producers.recorder import Recorder
from tollway.producers.settings import OnStale, Settings

__all__ = ["MemoryOutbox", "Meter", "metered"]

_SETTLED_S = 10.0
_TIME = "2026-01-31T12:00:00.000Z"


class MemoryOutbox:
    """An outbox that keeps what it is given; `room` is how many more it takes."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.records: list[tuple[bytes, bytes]] = []
        self.room = room

    def put(self, key: bytes, value: bytes) -> None:
        if self.room <= 0:
            raise OutboxFull
        self.room -= 1
        self.records.append((key, value))

    def has_room(self) -> bool:
        return self.room > 0

    def queued(self) -> int:
        return 0

    def flush(self, timeout_s: float) -> int:
        return 0

    def close(self, timeout_s: float) -> None:
        self.room = 0

    def abandon(self) -> None:
        self.records = []


class Meter:
    """What a test sees of the metering: events that went out, and decisions to set."""

    def __init__(self, settings: Settings) -> None:
        self.outbox = MemoryOutbox()
        self._workspace = settings.workspace or ""
        self._clock_s = 0.0
        self._version = 0
        listeners = Listeners()
        self.guard = Guard(
            self._workspace,
            listeners,
            on_stale=settings.on_stale,
            monotonic_s=lambda: self._clock_s,
        )
        self.metering = Metering(settings, self._wire, listeners, guard=self.guard)
        self.guard.caught_up()
        self.beat()

    def _wire(
        self, settings: Settings, recorder: Recorder, guard: Guard | None
    ) -> tuple[MemoryOutbox, Tail | None]:
        return self.outbox, None

    def events(self) -> list[UsageEvent]:
        self.settle()
        return [msgspec.json.decode(value, type=UsageEvent) for _, value in self.outbox.records]

    def settle(self) -> None:
        """Waits until all calls that have ended are in the outbox."""
        self.metering.errands.finish(_SETTLED_S)

    def beat(self) -> None:
        """A heartbeat of the worker: the guard is fresh, until time passes."""
        heartbeat = Heartbeat(
            partition=0, generation=0, usage_offset=0, commands_offset=0, issued_at=_TIME
        )
        self.guard.take(b"heartbeat|0", msgspec.json.encode(heartbeat), 0.0)

    def pass_time(self, seconds: float) -> None:
        """Time goes by without a heartbeat: above 5 s the guard is stale, above 60 s blind."""
        self._clock_s += seconds

    def block(self, expires_at: str | None = None, **subject: str) -> Decision:
        """Blocks calls that match the subject: ``block(agent="bot")``; nothing named: all."""
        return self._decide("block", subject, expires_at)

    def warn(self, expires_at: str | None = None, **subject: str) -> Decision:
        return self._decide("warn", subject, expires_at)

    def lift(self, **subject: str) -> Decision:
        return self._decide("allow", subject, None)

    def _decide(self, action: Action, subject: Subject, expires_at: str | None) -> Decision:
        self._version += 1
        decision = Decision(
            id=f"decision-{self._version}",
            workspace=self._workspace,
            subject=subject,
            rule="budget:test",
            action=action,
            reason="budget_exceeded",
            message="the budget of this test is spent",
            spent="1.000000000000",
            limit="1.000000000000",
            expires_at=expires_at,
            cause=Cause(partition=0, offset=self._version, event_id="test"),
            version=(0, self._version, 0),
            issued_at=_TIME,
        )
        self.decide(decision)
        return decision

    def decide(self, decision: Decision) -> None:
        """Any decision, as the worker would publish it."""
        key = control_key(decision).encode()
        self.guard.take(key, msgspec.json.encode(decision), 0.0)


@contextmanager
def metered(
    workspace: str = "test", agent: str | None = "test", on_stale: OnStale = "open"
) -> Iterator[Meter]:
    """Within, `tollway.meter` records into memory and obeys the decisions set here."""
    meter = Meter(Settings(workspace=workspace, agent=agent, on_stale=on_stale))
    before = install(meter.metering)
    try:
        with norms.forgotten():
            yield meter
    finally:
        install(before)
        meter.metering.errands.close(_SETTLED_S)
