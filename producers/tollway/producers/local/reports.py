"""What a session reports: totals, where they went, every event, and what was noticed."""

import time
from decimal import Decimal
from typing import TypedDict

from tollway.producers.amounts import usd
from tollway.producers.local.books import Books
from tollway.producers.local.notices import Entry, Notice

__all__ = ["Report", "report_of", "state_of"]


class Share(TypedDict):
    """What one model or tool cost."""

    total: Decimal
    calls: int


class Part(TypedDict):
    """What models, or tools, cost together and each."""

    total: Decimal
    calls: int
    by_name: dict[str, Share]


class Line(TypedDict):
    """One event. `cost` None: it has no price."""

    id: str
    time: str
    kind: str
    session: str
    model: str
    tool: str
    cost: Decimal | None
    input_tokens: int
    output_tokens: int
    status: str


class Warned(TypedDict):
    type: str
    level: str
    message: str
    evidence: dict[str, str]


class Report(TypedDict):
    """All amounts are exact dollars. `budget` and `remaining` None: the session has no limit."""

    session_id: str
    agent: str
    budget: Decimal | None
    total_spent: Decimal
    remaining: Decimal | None
    breakdown: dict[str, Part]
    duration_seconds: float
    # `hard_limit`, or the detector that stopped it; None where nothing did.
    terminated_by: str | None
    # How the run ended; None while it goes on, or where nobody said.
    success: bool | None
    unpriced_events: int
    # Events whose usage the provider never said: what they cost is a lower bound.
    usage_missing: int
    events: list[Line]
    warnings: list[Warned]


class State(TypedDict):
    """How a session stands now."""

    session_id: str
    agent: str
    budget: Decimal | None
    total_cost: Decimal
    remaining: Decimal | None
    calls: int
    warnings: int
    blocked_by: str | None


def report_of(books: Books) -> Report:
    with books.lock:
        entries, notices = list(books.entries), list(books.notices)
        limits = books.limits
        left = limits.left_pico()
        return Report(
            session_id=books.session,
            agent=books.agent,
            budget=None if limits.budget_pico is None else usd(limits.budget_pico),
            total_spent=usd(limits.spent_pico),
            remaining=None if left is None else usd(max(0, left)),
            breakdown={"llm": _part(books, "llm"), "tools": _part(books, "tool")},
            duration_seconds=(time.time_ns() // 1_000_000 - books.began_ms) / 1000,
            terminated_by=_stopped_by(books),
            success=books.success,
            unpriced_events=books.unpriced_events,
            usage_missing=sum(entry.usage_missing for entry in entries),
            events=[_line(entry) for entry in entries],
            warnings=[warned(notice) for notice in notices],
        )


def state_of(books: Books) -> State:
    limits = books.limits
    left = books.left_pico()
    return State(
        session_id=books.session,
        agent=books.agent,
        budget=None if limits.budget_pico is None else usd(limits.budget_pico),
        total_cost=usd(limits.spent_pico),
        remaining=None if left is None else usd(max(0, left)),
        calls=limits.account.calls,
        warnings=len(books.notices),
        blocked_by=_stopped_by(books),
    )


def warned(notice: Notice) -> Warned:
    return Warned(
        type=notice.type, level=notice.level, message=notice.message, evidence=notice.evidence
    )


def _stopped_by(books: Books) -> str | None:
    if books.blocked is not None:
        return books.blocked.type
    left = books.limits.left_pico()
    return "hard_limit" if left is not None and left <= 0 else None


def _part(books: Books, kind: str) -> Part:
    of_kind = {name: sums for (each, name), sums in books.totals.items() if each == kind}
    return Part(
        total=usd(sum(cost for cost, _ in of_kind.values())),
        calls=sum(calls for _, calls in of_kind.values()),
        by_name={
            name: Share(total=usd(cost), calls=calls) for name, (cost, calls) in of_kind.items()
        },
    )


def _line(entry: Entry) -> Line:
    return Line(
        id=entry.id,
        time=entry.time,
        kind=entry.kind,
        session=entry.session,
        model=entry.model,
        tool=entry.tool,
        cost=None if entry.cost_pico is None else usd(entry.cost_pico),
        input_tokens=entry.input_tokens,
        output_tokens=entry.output_tokens,
        status=entry.status,
    )
