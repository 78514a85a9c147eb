"""Plays the agents through the SDK, in threads of this process, and times how they are stopped."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from random import Random
from threading import Event, Lock
from time import monotonic

from tollway import meter
from tollway.cli.demo.agents import CAST, Role, run_of
from tollway.cli.demo.profiles import Profile, profiles
from tollway.contract.control import Decision

__all__ = ["Played", "Stopped", "play"]

# One step of an agent; recorded ones take seconds, and a run of them minutes.
STEP_SECONDS = 0.1
# How long agents that were stopped wait before they try again.
AGAIN_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """A run that `check` refused to continue."""

    agent: str
    session: str
    decision: Decision
    events: int
    # From the event that caused the decision to its arrival in this process.
    latency_ms: float | None
    # Events in between: nobody could know yet.
    events_between: int


@dataclass
class Played:
    runs: int = 0
    events: int = 0
    stopped: list[Stopped] = field(default_factory=list)
    warnings: int = 0


class _Clockwork:
    """When each event was recorded, and when the decision that it caused was here."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._recorded_at: dict[str, float] = {}
        self._arrived_at: dict[str, float] = {}
        self.warnings = 0

    def record(self, event_id: str) -> None:
        with self._lock:
            self._recorded_at[event_id] = monotonic()

    def arrive(self, decision: Decision) -> None:
        with self._lock:
            self._arrived_at.setdefault(decision.id, monotonic())
            self.warnings += decision.action == "warn"

    def latency_ms(self, decision: Decision) -> float | None:
        """None for what no event of ours caused, such as a person's block."""
        with self._lock:
            recorded_at = self._recorded_at.get(decision.cause.event_id)
            arrived_at = self._arrived_at.get(decision.id)
        if recorded_at is None or arrived_at is None:
            return None
        return 1000 * (arrived_at - recorded_at)


def play(seconds: float, seed: int, say: Callable[[str], None]) -> Played:
    """Every agent makes run after run for so long; a runaway is stopped, and begins anew."""
    clockwork, played, lock, over = _Clockwork(), Played(), Lock(), Event()
    forget = meter.on_decision(clockwork.arrive)
    fitted = profiles()

    def work(role: Role) -> None:
        random = Random(f"{seed} {role.agent}")
        for number in count(1):
            if over.is_set():
                return
            session = f"{role.agent}-{number}"
            events, stopped = _run(role, fitted[role.agent], session, random, clockwork, over)
            with lock:
                played.runs += 1
                played.events += events
                if stopped is not None:
                    played.stopped.append(stopped)
            if stopped is None:
                continue
            say(f"stopped {session} after {stopped.events} events: {stopped.decision.message}")
            if stopped.events == 0:
                # Not this run alone is blocked: there is no point in beginning another.
                return
            over.wait(AGAIN_SECONDS)

    with ThreadPoolExecutor(len(CAST)) as pool:
        working = [pool.submit(work, role) for role in CAST]
        over.wait(seconds)
        over.set()
        for each in working:
            each.result()
    forget()
    played.warnings = clockwork.warnings
    return played


def _run(
    role: Role,
    profile: Profile,
    session: str,
    random: Random,
    clockwork: _Clockwork,
    over: Event,
) -> tuple[int, Stopped | None]:
    """The number of its events, and how it was stopped, if it was."""
    ids: list[str] = []
    ambient = meter.attribute(
        agent=role.agent, session=session, connection=role.connection, user=role.user
    )
    with ambient:
        for fields in run_of(role, profile, random):
            try:
                meter.check(provider=profile.provider, model=profile.model)
            except meter.CallBlocked as blocked:
                return len(ids), _stopped(role, session, blocked.decision, ids, clockwork)
            event_id = f"{session}#{len(ids)}"
            clockwork.record(event_id)
            meter.record(id=event_id, step=len(ids), **fields)
            ids.append(event_id)
            if over.wait(STEP_SECONDS):
                break
    return len(ids), None


def _stopped(
    role: Role, session: str, decision: Decision | None, ids: list[str], clockwork: _Clockwork
) -> Stopped | None:
    if decision is None:
        return None
    cause = decision.cause.event_id
    return Stopped(
        agent=role.agent,
        session=session,
        decision=decision,
        events=len(ids),
        latency_ms=clockwork.latency_ms(decision),
        events_between=len(ids) - 1 - ids.index(cause) if cause in ids else 0,
    )
