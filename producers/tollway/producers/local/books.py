"""The books of one session: what its events cost, what the detectors saw, whether it may go on."""

import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Final, Literal
from weakref import WeakSet

import msgspec

from tollway.contract.command import Policy
from tollway.contract.control import Cause, Decision
from tollway.contract.moments import format_ms
from tollway.contract.money import format_usd, parse_usd
from tollway.contract.usage import UsageEvent
from tollway.domain.detectors import Profile, RunWatch, finish, observe, profile_of
from tollway.domain.usage import Usage
from tollway.producers.errors import CallBlocked, warn_of
from tollway.producers.local.limits import Limits
from tollway.producers.local.norms import norms
from tollway.producers.local.notices import (
    HARD_PERCENT,
    Booked,
    Entry,
    Notice,
    limit_notice,
    no_price,
    sighting_notice,
)
from tollway.producers.local.prices import prices

__all__ = ["MAX_LISTED", "MAX_NAMES", "Books", "Unpriced"]

# Events that a report lists one by one, and whose ids are remembered; totals are of all.
MAX_LISTED: Final = 10_000
MAX_REMEMBERED: Final = 100_000
# Models and tools that a report lists by name; what is beyond is told together.
MAX_NAMES: Final = 1_000
_BEYOND: Final = "others"

# How an event without a price counts against the session's budget: not at all until it has one,
# or at its provider's dearest rates.
Unpriced = Literal["pending", "conservative"]


class Books:
    """Counts a session's events as they happen, to itself and to all its parents. Thread-safe."""

    def __init__(
        self,
        session: str,
        agent: str,
        limits: Limits,
        policy: Policy,
        *,
        parent: "Books | None" = None,
        unpriced: Unpriced = "pending",
    ) -> None:
        self.session = session
        self.agent = agent
        self.limits = limits
        self.parent = parent
        self.unpriced = unpriced
        self.policy = policy
        self.profile: Profile = profile_of(policy)
        self.watch = RunWatch()
        self.began_ms = _now_ms()
        self.entries: deque[Entry] = deque(maxlen=MAX_LISTED)
        self.notices: deque[Notice] = deque(maxlen=MAX_LISTED)
        self.totals: dict[tuple[str, str], list[int]] = {}
        self.unpriced_events = 0
        # Those that were told of, so that each is once.
        self._unpriced_models: set[str] = set()
        self.blocked: Notice | None = None
        # How the run ended; None while it goes on, or where nobody said.
        self.success: bool | None = None
        self._seen: OrderedDict[tuple[str, str], Booked] = OrderedDict()
        self._root: Books = self if parent is None else parent._root
        self._lock = threading.RLock()
        self.on_notice: Callable[[Notice], None] | None = None
        # A soft limit that `check` has not warned of yet.
        self.unsaid: Notice | None = None
        _alive.add(self)

    @property
    def lock(self) -> threading.RLock:
        """One for a session and all its children: spend goes up the tree in one step."""
        return self._root._lock

    def renew_lock(self) -> None:
        """In a forked child: a thread that the child does not have may have held it."""
        self._lock = threading.RLock()

    def lineage(self) -> Iterator["Books"]:
        """These books and those of the parents, upwards."""
        books: Books | None = self
        while books is not None:
            yield books
            books = books.parent

    def book(self, event: UsageEvent) -> Booked:
        """Adds an event up; the same call again changes nothing."""
        said: list[tuple[Books, Notice]] = []
        with self.lock:
            key = (event.source or "", event.id)
            before = self._seen.get(key)
            if before is not None:
                return msgspec.structs.replace(before, notices=(), duplicate=True)
            usage = Usage(event)
            cost, window = self._cost(usage, said)
            counted = 0 if cost is None else cost
            if cost is None and self.unpriced == "conservative":
                counted = prices.ceiling(usage) or 0
            self._add_up(usage, counted, said)
            sightings = observe(
                self.watch, self.profile, norms.of(self.agent), usage, _now_ms(), counted, window
            )
            said.extend((self, sighting_notice(sighting)) for sighting in sightings or ())
            booked = self._keep(key, usage, cost, tuple(notice for _, notice in said))
        for books, notice in said:
            books.say(notice)
        return booked

    def _cost(self, usage: Usage, said: list[tuple["Books", Notice]]) -> tuple[int | None, int]:
        if usage.cost is not None:
            return parse_usd(usage.cost), 0
        priced = prices.price(usage)
        if priced.pico is None:
            self.unpriced_events += 1
            if len(self._unpriced_models) < MAX_NAMES and usage.model not in self._unpriced_models:
                self._unpriced_models.add(usage.model)
                said.append((self, no_price(usage)))
        return priced.pico, priced.context_window

    def _add_up(self, usage: Usage, counted: int, said: list[tuple["Books", Notice]]) -> None:
        calls = 1 if usage.kind in {"llm", "tool"} else 0
        tokens = usage.input_tokens + usage.output_tokens
        for books in self.lineage():
            for percent in books.limits.add(counted, tokens, calls, _now_ms()):
                said.append((books, limit_notice(books.session, books.limits, percent)))
            name = usage.tool if usage.kind == "tool" else usage.model
            if len(books.totals) >= MAX_NAMES and (usage.kind, name) not in books.totals:
                name = _BEYOND
            sums = books.totals.setdefault((usage.kind, name), [0, 0])
            sums[0] += counted
            sums[1] += calls

    def _keep(
        self, key: tuple[str, str], usage: Usage, cost: int | None, notices: tuple[Notice, ...]
    ) -> Booked:
        event = usage.event
        entry = Entry(
            id=usage.id,
            time=usage.time,
            kind=usage.kind,
            session=self.session,
            provider=usage.provider,
            model=usage.model,
            tool=usage.tool,
            cost_pico=cost,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            status=event.status,
            usage_missing=event.usage_missing,
        )
        for books in self.lineage():
            books.entries.append(entry)
        booked = Booked(entry=entry, notices=notices)
        self._seen[key] = booked
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        return booked

    def say(self, notice: Notice) -> None:
        """Keeps a notice, and tells who wants to hear it."""
        self.notices.append(notice)
        if notice.level == "block" and notice.type != "hard_limit":
            self.blocked = notice
        elif notice.type == "soft_limit":
            self.unsaid = notice
        if self.on_notice is not None:
            self.on_notice(notice)

    def check(self) -> None:
        """Raises `CallBlocked` where the session or a parent of it must not go on; warns once of a
        soft limit."""
        for books in self.lineage():
            if books.blocked is not None:
                raise books.refusal(books.blocked)
            left = books.limits.left_pico()
            if left is not None and left <= 0:
                raise books.refusal(limit_notice(books.session, books.limits, HARD_PERCENT))
        for books in self.lineage():
            said, books.unsaid = books.unsaid, None
            if said is not None:
                warn_of(books.decision(said), said.message)

    def stop(self, result: object) -> None:
        """As `check`, after a call that gave `result`: what reaches a limit exactly was allowed."""
        for books in self.lineage():
            left = books.limits.left_pico()
            if books.blocked is not None or (left is not None and left < 0):
                try:
                    books.check()
                except CallBlocked as blocked:
                    blocked.result = result
                    raise

    def would_exceed(self, cost_pico: int) -> bool:
        """Whether spending this would go over the limit of the session or of a parent."""
        left = self.left_pico()
        return left is not None and cost_pico > left

    def left_pico(self) -> int | None:
        """What the session may still spend: it never has more than its parents have."""
        lefts = [books.limits.left_pico() for books in self.lineage()]
        known = [left for left in lefts if left is not None]
        return min(known) if known else None

    def resume(self) -> None:
        """Lets a session go on that a detector had stopped; a spent budget stays spent."""
        self.blocked = None
        self.watch.prompts.forget()
        self.watch.calls.forget()

    def refusal(self, notice: Notice) -> CallBlocked:
        return CallBlocked(notice.message, notice.type, self.decision(notice))

    def decision(self, notice: Notice) -> Decision:
        """A notice as a decision, as the worker would have told it."""
        limits = self.limits
        bounded = limits.budget_pico is not None
        return Decision(
            id=f"{self.session}:{notice.type}",
            workspace="local",
            subject={"session": self.session},
            rule=f"session:{notice.type}",
            action=notice.level,
            reason=notice.type,
            message=notice.message,
            spent=format_usd(limits.spent_pico),
            limit=format_usd(limits.hard_pico()) if bounded else None,
            window="run",
            cause=Cause(partition=-1, offset=-1, event_id=""),
            version=(0, 0, 0),
            issued_at=format_ms(_now_ms()),
        )

    def end(self, success: bool | None) -> None:
        """The run is over: what it cost is one more of what the agent's runs usually cost."""
        with self.lock:
            self.success = success
            finish(self.watch, norms.of(self.agent))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


_alive: WeakSet[Books] = WeakSet()


def _after_fork_in_child() -> None:
    for books in list(_alive):
        books.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
