"""One session of a thread or a task: what it costs, and what the five detectors see; nothing stops.

The detectors' profile is `compat`: the definitions as this tool publishes them.
"""

import time
import uuid
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Final

import msgspec

from tollway.compat.amounts import as_float, exact_pico
from tollway.compat.apeiros.months import TaskRecord
from tollway.compat.apeiros.tasks import ApeirosAgent
from tollway.contract.command import Policy
from tollway.contract.moments import format_ms
from tollway.contract.money import format_usd
from tollway.domain.detectors import DETECTORS
from tollway.producers import process
from tollway.producers.ambient import Attribution, Fields
from tollway.producers.local.books import Books
from tollway.producers.local.limits import Limits
from tollway.producers.local.notices import Booked, Notice
from tollway.producers.local.prices import prices
from tollway.producers.local.session import Session
from tollway.producers.recorder import UNATTRIBUTED
from tollway.producers.responses import ResponseUsage, usage_of

__all__ = ["end_session", "get_state", "start_session", "wrap"]

Told = dict[str, object]
# What this tool warns of, and what must not be silent.
_WARNINGS: Final = frozenset({*DETECTORS, "unpriced"})


class _WatchedBooks(Books):
    """Books of a session that is watched and never stopped."""

    def check(self) -> None:
        pass


class _Open:
    """A session that is open, and what its end will register."""

    def __init__(
        self,
        budget: float | None,
        agent: str | None,
        customer_id: str | None,
        task: str,
        model: str,
    ) -> None:
        name = f"apeiros-{uuid.uuid4().hex}"
        whose = agent or process.default_agent() or UNATTRIBUTED
        self.budget_pico = None if budget is None else exact_pico(budget)
        policy = Policy(
            profile="compat",
            run_budget_usd=None if self.budget_pico is None else format_usd(self.budget_pico),
        )
        # Without a limit: the detector tells of the budget, and nothing holds it.
        self.books = _WatchedBooks(
            name, whose, Limits(name, None, 1.0, 0.0), policy, unpriced="conservative"
        )
        fields: Fields = {"session": name, "agent": whose}
        if customer_id is not None:
            fields["customer"] = customer_id
        if task:
            fields["task"] = task
        self.around = Attribution(fields, self.books)
        self.run = Session(self.books, fields, {})
        self.customer_id = customer_id
        self.task = task or "session"
        self.model = model

    def record(self) -> TaskRecord:
        account = self.books.limits.account
        listed = sum(entry.input_tokens for entry in self.books.entries)
        return TaskRecord(
            customer_id=self.customer_id,
            task=self.task,
            model=self.model,
            input_tokens=listed,
            output_tokens=account.tokens - listed,
            cost=format_usd(account.spent),
            unpriced=self.books.unpriced_events > 0,
            ended_at=format_ms(time.time_ns() // 1_000_000),
        )

    def warnings(self) -> list[Told]:
        return _told(self.books.notices)

    def state(self) -> Told:
        spent = self.books.limits.spent_pico
        left = None if self.budget_pico is None else max(0, self.budget_pico - spent)
        return {
            "session_id": self.books.session,
            "total_cost": as_float(spent),
            "budget": None if self.budget_pico is None else as_float(self.budget_pico),
            "remaining": None if left is None else as_float(left),
            "calls": self.books.limits.account.calls,
            "tokens": self.books.limits.account.tokens,
            "warnings": self.warnings(),
        }


_current: ContextVar[_Open | None] = ContextVar("tollway_apeiros", default=None)
# For threads that have none of their own.
_last: list[_Open] = []


def start_session(
    budget: float | None = None,
    *,
    agent: str | None = None,
    customer_id: str | None = None,
    task: str = "",
    model: str = "",
) -> Told:
    """Opens a session; the one before it is ended. `model` is what `wrap` prices tokens by."""
    end_session()
    # Here, not at the first call: the first list of prices takes a third of a second.
    prices.book()
    opened = _Open(budget, agent, customer_id, task, model)
    opened.run.__enter__()
    _current.set(opened)
    _last[:] = [opened]
    return opened.state()


def wrap(
    response: object = None,
    *,
    input_tokens: int = 0,
    output_tokens: int = 0,
    model: str = "",
    prompt: object = None,
) -> Told:
    """Counts one step: a response, or tokens of a model; what it cost, and what was seen.

    With `prompt`, which is hashed and goes nowhere, a retry loop is found. Without an open session
    one without a budget begins.
    """
    opened = _found()
    if opened is None:
        start_session()
        opened = _found()
        assert opened is not None
    usage = _usage(response, input_tokens, output_tokens, model or opened.model)
    fields = usage.fields()
    if prompt is not None:
        fields["prompt_hash"] = process.hashes().of(prompt)
    # One lock for a session, so the difference is this step's.
    with opened.books.lock, opened.around:
        before = opened.books.limits.spent_pico
        booked = process.booked(fields)
        cost = opened.books.limits.spent_pico - before
    return {
        **opened.state(),
        "cost": as_float(cost),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "usage_missing": usage.usage_missing,
        "warnings": _told(booked.notices) if isinstance(booked, Booked) else [],
    }


def get_state() -> Told:
    """How the session stands; without one, nothing is spent."""
    opened = _found()
    return {"total_cost": 0.0, "warnings": []} if opened is None else opened.state()


def end_session() -> Told:
    """Ends the session and registers it: what it cost and everything that was seen."""
    opened = _found()
    if opened is None:
        return {"total_cost": 0.0, "warnings": []}
    _current.set(None)
    _last[:] = [each for each in _last if each is not opened]
    opened.run.__exit__(None, None, None)
    ApeirosAgent._registry.add(opened.record())
    return opened.state()


def _found() -> _Open | None:
    own = _current.get()
    if own is not None:
        return own
    return _last[0] if _last else None


def _usage(response: object, input_tokens: int, output_tokens: int, model: str) -> ResponseUsage:
    if response is None:
        return ResponseUsage(
            model=model,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            usage_missing=not (input_tokens or output_tokens),
        )
    usage = usage_of(response)
    if not usage.usage_missing or not (input_tokens or output_tokens):
        return usage
    # The response does not say, but the host does.
    return msgspec.structs.replace(
        usage,
        model=usage.model or model,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        usage_missing=False,
    )


def _told(notices: Iterable[Notice]) -> list[Told]:
    return [
        {"type": notice.type, "message": notice.message, "level": notice.level}
        for notice in notices
        if notice.type in _WARNINGS
    ]
