"""One process's metering: a recorder, a guard, and what connects them to the broker."""

import logging
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from tollway.producers.ambient import Allowed, Fields
from tollway.producers.counts import Counts
from tollway.producers.errands import Errands
from tollway.producers.errors import BadSettings
from tollway.producers.guard import Guard, GuardState
from tollway.producers.hashes import Hashes
from tollway.producers.listeners import Listeners
from tollway.producers.outbox import LossReason, Outbox, Tail
from tollway.producers.recorder import LOCAL_WORKSPACE, Recorder
from tollway.producers.settings import Settings, plaintext_hosts

__all__ = ["Metering", "Stats", "Wire", "kafka_wire"]

_log = logging.getLogger("tollway")

# What calls that have ended say is counted in a moment; `stats` waits for it no longer than this.
_STATS_WAIT_S = 1.0

# Opens what carries events out, and, where there is a guard, what brings decisions in.
Wire = Callable[[Settings, Recorder, Guard | None], tuple[Outbox, Tail | None]]


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the calls of `record`: recorded = delivered + queued + the dropped."""

    producer: str
    recorded: int
    queued: int
    dropped: dict[LossReason, int]
    # `off` without brokers or without a workspace: `check` allows everything.
    guard: GuardState | Literal["off"]
    decisions: int
    # How often `check` blocked, or allowed without knowing, and what it could not read.
    guard_counts: dict[str, int]
    # Without brokers: events of each agent.
    tally: dict[str, int]


def kafka_wire(
    settings: Settings, recorder: Recorder, guard: Guard | None
) -> tuple[Outbox, Tail | None]:
    # Here, because the driver takes 40 ms to load: a process that never meters does not pay.
    from tollway.producers.kafka import KafkaOutbox
    from tollway.producers.kafka_tail import ControlTail

    outbox = KafkaOutbox(
        settings, on_lost=recorder.lost_in_transit, each_second=recorder.report_losses
    )
    if guard is None:
        return outbox, None
    try:
        return outbox, ControlTail(settings, guard)
    except BadSettings:
        outbox.close(0.0)
        raise


class Metering:
    """Opened once; `renewed` makes another of it in a forked child."""

    def __init__(
        self,
        settings: Settings,
        wire: Wire | None,
        listeners: Listeners,
        *,
        guard: Guard | None = None,
    ) -> None:
        self.settings = settings
        self._wire = wire
        self.listeners = listeners
        self.defaults = _defaults(settings, wire)
        self.hashes = Hashes(settings.key)
        # Faults of ours that adapters met.
        self.faults: Counts[str] = Counts(max_keys=1, overflow=str)
        self.recorder = Recorder(self.defaults)
        self.errands = Errands()
        # What was found to be allowed outside of every `attribute`: see `process.check`.
        self.allowed: Allowed = {}
        self.guard = guard
        if guard is None and wire is not None and settings.workspace is not None:
            self.guard = Guard(
                settings.workspace, listeners, on_stale=settings.on_stale, wait_s=settings.wait_s
            )
        self._tail: Tail | None = None
        self._opened_s = time.monotonic()
        if wire is not None:
            self.recorder.outbox, self._tail = wire(settings, self.recorder, self.guard)
        self._announce()

    def renewed(self) -> "Metering":
        """For a forked child: its own producer id and connections, its parent's knowledge."""
        child = Metering(self.settings, self._wire, self.listeners, guard=self.guard)
        child.hashes = self.hashes
        child.recorder.books = self.recorder.books
        return child

    def abandon(self) -> None:
        if self.recorder.outbox is not None:
            self.recorder.outbox.abandon()
        if self._tail is not None:
            self._tail.abandon()
        if self.guard is not None:
            self.guard.after_fork()

    def settle(self, connecting_s: float) -> None:
        """Waits until the broker was reached, if it was begun less than this long ago."""
        left_s = self._opened_s + connecting_s - time.monotonic()
        if left_s > 0 and self._tail is not None and self.guard is not None:
            self.guard.ready(left_s)

    def flush(self, timeout_s: float) -> int:
        outbox = self.recorder.outbox
        if outbox is None:
            return 0
        deadline_s = time.monotonic() + timeout_s
        self.errands.finish(timeout_s)
        self.recorder.report_losses()
        return outbox.flush(max(0.0, deadline_s - time.monotonic()))

    def close(self, timeout_s: float) -> None:
        """Flushes and stops within about `timeout_s`; says how many events were lost by it."""
        deadline_s = time.monotonic() + timeout_s
        outbox = self.recorder.outbox
        if outbox is None:
            return
        self.errands.close(timeout_s)
        self.recorder.report_losses()
        outbox.close(max(0.0, deadline_s - time.monotonic()))
        if self._tail is not None:
            self._tail.close(max(0.2, deadline_s - time.monotonic()))
        lost = self.recorder.lost().get("shutdown", 0)
        if lost:
            _log.error("the process ends with %d usage events not delivered", lost)

    def stats(self) -> Stats:
        self.errands.finish(_STATS_WAIT_S)
        recorder, guard = self.recorder, self.guard
        by_agent: dict[str, int] = {}
        for (_, agent), count in recorder.tally.totals().items():
            by_agent[agent] = by_agent.get(agent, 0) + count
        counts = self.listeners.failed.totals() | self.faults.totals()
        if guard is not None:
            counts |= guard.counts.totals()
            if guard.decisions_refused():
                counts["no_room"] = guard.decisions_refused()
        return Stats(
            producer=recorder.producer,
            recorded=recorder.calls(),
            queued=0 if recorder.outbox is None else recorder.outbox.queued(),
            dropped=recorder.lost(),
            guard="off" if guard is None else guard.state(),
            decisions=0 if guard is None else guard.decisions_held(),
            guard_counts=counts,
            tally=by_agent,
        )

    def _announce(self) -> None:
        if self._wire is None:
            _log.info("no TOLLWAY_BROKERS: usage is only counted here, and every call is allowed")
        elif self.guard is None:
            _log.warning("no TOLLWAY_WORKSPACE: check() knows no decisions and allows every call")
        hosts = plaintext_hosts(self.settings)
        if hosts:
            _log.warning("events travel unencrypted to %s", ", ".join(hosts))


def _defaults(settings: Settings, wire: Wire | None) -> Fields:
    workspace = settings.workspace or (LOCAL_WORKSPACE if wire is None else None)
    given = {"workspace": workspace, "agent": settings.agent}
    return {name: value for name, value in given.items() if value is not None}
