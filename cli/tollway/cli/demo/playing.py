"""Plays the agents through the SDK, in threads of this process, and times how they are stopped."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count
from random import Random
from threading import Event, Lock
from time import monotonic

from tollway import meter
from tollway.cli.demo.agents import CAST, Role, run_of
from tollway.cli.demo.profiles import profiles
from tollway.contract.control import Decision

__all__ = ["PATIENCE_SECONDS", "Clockwork", "Played", "Stopped", "play"]

# One step of an agent; recorded ones take seconds, and a run of them minutes.
STEP_SECONDS = 0.1
# How long agents that were stopped wait before they try again.
AGAIN_SECONDS = 1.0
# How much longer a runaway works that nobody has stopped: a worker on a busy machine may have to
# start again.
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """A run that `check` refused to continue."""

    session: str
    decision: Decision
    events: int
    # From the event that caused the first block of it to that block's arrival in this process; None
    # where no event did, but a budget that came into force behind it.
    latency_ms: float | None
    # Events of the run in between: nobody could know yet.
    events_between: int | None


@dataclass
class Played:
    runs: int = 0
    events: int = 0
    stopped: list[Stopped] = field(default_factory=list)
    # Runaways that were waited for in vain.
    never_stopped: list[str] = field(default_factory=list)
    warnings: int = 0


class Clockwork:
    """When each event was recorded, and when the decisions that they caused were here."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._recorded_at: dict[str, float] = {}
        self._arrived_at: dict[str, float] = {}
        self._first_blocks: dict[tuple[object, ...], Decision] = {}
        self.warnings = 0

    def record(self, event_id: str) -> None:
        with self._lock:
            self._recorded_at[event_id] = monotonic()

    def arrive(self, decision: Decision) -> None:
        with self._lock:
            self._arrived_at.setdefault(decision.id, monotonic())
            self.warnings += decision.action == "warn"
            if decision.action == "block":
                self._first_blocks.setdefault(_what(decision), decision)
            elif decision.action == "allow":
                self._first_blocks.pop(_what(decision), None)

    def first_block(self, decision: Decision) -> Decision:
        """The one that began it: where calls went on, newer ones have taken its place."""
        with self._lock:
            return self._first_blocks.get(_what(decision), decision)

    def latency_ms(self, decision: Decision) -> float | None:
        """None for what no event of ours caused, such as a person's block."""
        with self._lock:
            recorded_at = self._recorded_at.get(decision.cause.event_id)
            arrived_at = self._arrived_at.get(decision.id)
        if recorded_at is None or arrived_at is None:
            return None
        return 1000 * (arrived_at - recorded_at)


def _what(decision: Decision) -> tuple[object, ...]:
    return decision.rule, *sorted(decision.subject.items())


def play(
    seconds: float,
    seed: int,
    say: Callable[[str], None],
    patience_seconds: float = PATIENCE_SECONDS,
) -> Played:
    """Every agent makes run after run for so long; a runaway goes on until it was stopped."""
    playing = _Playing(seed, say)
    forget = meter.on_decision(playing.clockwork.arrive)
    with ThreadPoolExecutor(len(CAST)) as pool:
        try:
            working = [pool.submit(playing.work, role) for role in CAST]
            playing.over.wait(seconds)
            playing.over.set()
            wait(working, timeout=patience_seconds)
        finally:
            # At Ctrl-C too: the pool waits for its threads.
            playing.over.set()
            playing.given_up.set()
        for each in working:
            each.result()
    forget()
    return playing.played()


class _Playing:
    """What the agents' threads share."""

    def __init__(self, seed: int, say: Callable[[str], None]) -> None:
        self._seed = seed
        self._say = say
        self._fitted = profiles()
        self._lock = Lock()
        self._played = Played()
        self._refused: list[tuple[str, Decision, list[str]]] = []
        self.clockwork = Clockwork()
        self.over = Event()
        self.given_up = Event()

    def work(self, role: Role) -> None:
        random = Random(f"{self._seed} {role.agent}")
        until = self.over if role.ends == "by itself" else self.given_up
        for number in count(1):
            if until.is_set():
                break
            session = f"{role.agent}-{number}"
            ids, decision = self._run(role, session, random, until)
            with self._lock:
                self._played.runs += 1
                self._played.events += len(ids)
                if decision is not None:
                    self._refused.append((session, decision, ids))
            if decision is None:
                continue
            self._say(f"stopped {session} after {len(ids)} events: {decision.message}")
            until = self.over
            if not ids:
                # Not this run alone is blocked: there is no point in beginning another.
                break
            self.over.wait(AGAIN_SECONDS)
        if until is self.given_up:
            with self._lock:
                self._played.never_stopped.append(role.agent)

    def _run(
        self, role: Role, session: str, random: Random, until: Event
    ) -> tuple[list[str], Decision | None]:
        """The ids of its events, and what stopped it, if anything did."""
        profile = self._fitted[role.agent]
        ids: list[str] = []
        with meter.attribute(
            agent=role.agent, session=session, connection=role.connection, user=role.user
        ):
            for fields in run_of(role, profile, random):
                try:
                    meter.check(provider=profile.provider, model=profile.model)
                except meter.CallBlocked as blocked:
                    return ids, blocked.decision
                event_id = f"{session}#{len(ids)}"
                self.clockwork.record(event_id)
                meter.record(id=event_id, step=len(ids), **fields)
                ids.append(event_id)
                if until.wait(STEP_SECONDS):
                    break
        return ids, None

    def played(self) -> Played:
        """Once all have ended: by then what stopped them has been told to the clockwork too."""
        played = self._played
        played.warnings = self.clockwork.warnings
        played.stopped = [self._stopped(*refused) for refused in self._refused]
        return played

    def _stopped(self, session: str, decision: Decision, ids: list[str]) -> Stopped:
        first = self.clockwork.first_block(decision)
        latency_ms, cause = self.clockwork.latency_ms(first), first.cause.event_id
        late = len(ids) - 1 - ids.index(cause) if cause in ids else 0
        return Stopped(
            session=session,
            decision=decision,
            events=len(ids),
            latency_ms=latency_ms,
            events_between=None if latency_ms is None else late,
        )
