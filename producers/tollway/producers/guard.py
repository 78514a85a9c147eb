"""The guard: what the worker decided, held in memory, so that asking "may I?" costs no I/O."""

import threading
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from tollway.contract.control import ControlRecord, Decision, Finding, Heartbeat
from tollway.contract.moments import MalformedMoment
from tollway.contract.subjects import encode_name, encode_subject
from tollway.producers.counts import Counts
from tollway.producers.decisions import DecisionIndex, InForce, Standing
from tollway.producers.errors import CallBlocked, warn_of
from tollway.producers.listeners import Listeners
from tollway.producers.settings import OnStale

__all__ = ["BLIND_AFTER_S", "STALE_AFTER_S", "Guard", "GuardState"]

# The worker's heart beats once a second.
STALE_AFTER_S = 5.0
BLIND_AFTER_S = 60.0

GuardState = Literal["warming", "fresh", "stale", "blind"]

_decoder = msgspec.json.Decoder(ControlRecord)


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Guard:
    """Decisions about one workspace. One thread tells it what it read; any thread asks.

    States: `warming` until the standing decisions are read; `fresh`; `stale` without a heartbeat
    for 5 s; `blind` after 60 s, or if nothing could be read for 60 s.
    """

    def __init__(
        self,
        workspace: str,
        listeners: Listeners,
        *,
        on_stale: OnStale = "open",
        wait_s: float = 0.0,
        monotonic_s: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        self.workspace = workspace
        # How the keys of its records begin: see `control_key`.
        self._prefix = encode_name(workspace).encode() + b"|"
        self._listeners = listeners
        self._on_stale = on_stale
        self._wait_s = wait_s
        self._monotonic_s = monotonic_s
        self._now_ms = now_ms
        self._began_s = monotonic_s()
        self._index = DecisionIndex()
        self._fresh_until_s = 0.0
        self._heard_s: float | None = None
        self._generation = -1
        self._warm = threading.Event()
        # What went otherwise than a decision said, and how often: see `Stats.guard_counts`.
        self.counts: Counts[str] = Counts(max_keys=20, overflow=lambda _: "other")

    def after_fork(self) -> None:
        """The child starts from what its parent knew; locks may have been held at the fork."""
        was_warm = self._warm.is_set()
        self._warm = threading.Event()
        if was_warm:
            self._warm.set()
        self.counts = Counts(max_keys=20, overflow=lambda _: "other")

    def still_allows(self, edition: object) -> bool:
        """Whether what nothing concerned under this edition of the decisions goes on so."""
        return edition is self._index.edition and self._monotonic_s() < self._fresh_until_s

    @property
    def edition(self) -> object:
        return self._index.edition

    def check(self, dimensions: dict[str, object]) -> bool:
        """Raises `CallBlocked`, warns `SpendWarning`, or returns: whether nothing concerns it."""
        if dimensions.get("workspace") != self.workspace:
            self.counts.add("other_workspace")
            return False
        if self._wait_s:
            wait_s, self._wait_s = self._wait_s, 0.0
            self._warm.wait(wait_s)
        standing = self._index.matching(dimensions)
        if standing:
            self._enforce(standing)
        if self._monotonic_s() >= self._fresh_until_s:
            self._check_unsure(dimensions)
        return not standing

    def _enforce(self, standing: tuple[Standing, ...]) -> None:
        now_ms = self._now_ms()
        blocks = [b for one in standing for b in one.blocks if b.expires_ms > now_ms]
        if blocks:
            decision = min(blocks, key=InForce.endurance).decision
            self.counts.add("blocked")
            raise CallBlocked(_blocked_text(decision), decision.reason, decision)
        for one in standing:
            for held in one.warnings:
                if held.expires_ms > now_ms:
                    _warn_once(held)

    def _check_unsure(self, dimensions: dict[str, object]) -> None:
        state = self.state()
        if state == "fresh":
            return
        closed = self._index.closed(dimensions)
        if closed or self._on_stale == "closed":
            self.counts.add(f"blocked_while_{state}")
            whose = f"the budget of {encode_subject(closed[0].subject)}" if closed else "on_stale"
            raise CallBlocked(
                f"the guard of workspace {self.workspace!r} is {state}: nobody can say whether"
                f" this call is allowed, and {whose} says closed",
                f"guard_{state}",
                closed[0] if closed else None,
            )
        self.counts.add(f"allowed_while_{state}")

    def state(self) -> GuardState:
        now_s = self._monotonic_s()
        if now_s < self._fresh_until_s:
            return "fresh"
        since_s = self._began_s if self._heard_s is None else self._heard_s
        if now_s - since_s > BLIND_AFTER_S:
            return "blind"
        return "stale" if self._warm.is_set() else "warming"

    def decisions_held(self) -> int:
        return len(self._index)

    def decisions_refused(self) -> int:
        return self._index.refused

    def ready(self, timeout_s: float) -> bool:
        """Waits until the standing decisions are read; says whether they are."""
        return self._warm.wait(timeout_s)

    def has_heard(self) -> bool:
        return self._heard_s is not None

    def caught_up(self) -> None:
        """Everything in the log was read: what stands is known."""
        if not self._warm.is_set():
            if self._heard_s is not None:
                self._fresh_until_s = self._heard_s + STALE_AFTER_S
            self._warm.set()

    def take(self, key: bytes, value: bytes | None, age_s: float) -> bool:
        """One record of the control topic; says whether the log is a new one, to be read again.

        `age_s` is how long ago the record was written, as far as one can tell.
        """
        own = key.startswith(self._prefix)
        if not own and not key.startswith(b"heartbeat|"):
            return False
        if value is None:
            self._index.forget(key.decode(errors="replace"))
            return False
        try:
            record = _decoder.decode(value)
            return self._hear(record, age_s)
        except (msgspec.DecodeError, MalformedMoment):
            # From a newer worker. What it says is unknown here, and it is repeated: count it.
            self.counts.add("unreadable")
            return False

    def _hear(self, record: ControlRecord, age_s: float) -> bool:
        match record:
            case Heartbeat():
                return self._beat(record, age_s)
            case Decision() if record.workspace == self.workspace:
                if self._index.apply(record, self._now_ms()) and self._warm.is_set():
                    self._listeners.tell(record)
            case Decision() | Finding():
                pass
        return False

    def _beat(self, heartbeat: Heartbeat, age_s: float) -> bool:
        heard_s = self._monotonic_s() - age_s
        self._heard_s = heard_s if self._heard_s is None else max(self._heard_s, heard_s)
        # A heartbeat read before the standing decisions does not make them known.
        warm = self._warm.is_set()
        if warm:
            self._fresh_until_s = self._heard_s + STALE_AFTER_S
        is_new_log = warm and heartbeat.generation > self._generation
        self._generation = max(self._generation, heartbeat.generation)
        return is_new_log


def _warn_once(held: InForce) -> None:
    try:
        held.unsaid.pop()
    except IndexError:
        return
    warn_of(held.decision, _warned_text(held.decision))


def _blocked_text(decision: Decision) -> str:
    until = f"until {decision.expires_at}" if decision.expires_at else "until it is lifted"
    return f"blocked {until}: {_described(decision)}"


def _warned_text(decision: Decision) -> str:
    cheaper = f"; try {decision.fallback_model}" if decision.fallback_model else ""
    return f"{_described(decision)}{cheaper}"


def _described(decision: Decision) -> str:
    figures = ""
    if decision.spent is not None and decision.limit is not None:
        figures = f"; spent {decision.spent} of {decision.limit} {decision.unit}"
    subject = encode_subject(decision.subject)
    return f"{decision.message} ({subject}, {decision.rule}{figures})"
