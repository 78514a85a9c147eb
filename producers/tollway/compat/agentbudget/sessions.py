"""`BudgetSession`: what one run spends, counted as it happens, and stopped at its budget."""

import functools
import inspect
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import ParamSpec, Self, TypeVar, cast

import msgspec

from tollway.compat.agentbudget.books import SessionBooks, share_of
from tollway.compat.agentbudget.exceptions import BudgetExhausted, InvalidCost, LoopDetected
from tollway.compat.agentbudget.reports import Report, report_of
from tollway.compat.agentbudget.streams import CountedAsyncStream, CountedStream
from tollway.compat.amounts import NotDollars, as_float, exact_pico
from tollway.contract.money import format_usd
from tollway.producers import process
from tollway.producers.ambient import Attribution, Fields
from tollway.producers.calls import Asked, Call, begin
from tollway.producers.errors import CallBlocked
from tollway.producers.local.session import Session
from tollway.producers.responses import ResponseUsage, usage_of

__all__ = ["AsyncBudgetSession", "BudgetSession", "Callbacks"]

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")
Callback = Callable[[Report], object]

_log = logging.getLogger("tollway")


class Callbacks(msgspec.Struct, frozen=True, kw_only=True):
    """Called with the report, in the thread that spent; what they raise reaches the host."""

    on_soft_limit: Callback | None = None
    on_hard_limit: Callback | None = None
    on_loop_detected: Callback | None = None


class BudgetSession:
    """Made by `AgentBudget.session()`; use it in a ``with``. Any thread may use it."""

    def __init__(
        self,
        books: SessionBooks,
        callbacks: Callbacks,
        parent: "BudgetSession | None" = None,
    ) -> None:
        fields: Fields = {"session": books.session, "agent": books.agent}
        if parent is not None:
            fields["parent_session"] = parent.session_id
        self.books = books
        # What runs inside is attributed to the session, and booked in it.
        self.around = Attribution(fields, books)
        self._run = Session(books, fields, {})
        self._callbacks = callbacks
        self._parent = parent
        self._began_s: float | None = None
        self._ended_s: float | None = None
        self._terminated_by: str | None = None
        self._hard_told = False

    @property
    def session_id(self) -> str:
        return self.books.session

    @property
    def spent(self) -> float:
        """Dollars, those of children included while they spend them."""
        return as_float(self.books.limits.spent_pico)

    @property
    def remaining(self) -> float:
        """Never more than a parent has."""
        return as_float(max(0, self.books.left_pico() or 0))

    def would_exceed(self, estimated_cost: float) -> bool:
        """Raises `InvalidCost`."""
        return self.books.would_exceed(_cost(estimated_cost))

    def start(self) -> None:
        """The clock of the report begins; a ``with`` does it by itself."""
        self._began_s = time.monotonic()

    def finish(self, *, success: bool) -> None:
        """The run is over. A ``with`` does it by itself."""
        self._ended_s = time.monotonic()
        self._run.end(success=success)

    def __enter__(self) -> Self:
        self.start()
        self._run.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended_s = time.monotonic()
        self._run.__exit__(kind, error, trace)

    def wrap(self, response: Result) -> Result:
        """Counts a model's response: an SDK's object or a dictionary. The same one counts once.

        A stream is given back as one that counts at its end. Raises `BudgetExhausted` once more is
        spent than there is.
        """
        if hasattr(response, "__next__") or hasattr(response, "__anext__"):
            call = self.ask(lambda: Asked(framework="agentbudget"))
            kind = CountedStream if hasattr(response, "__next__") else CountedAsyncStream
            # It does what the stream does, and has what it has.
            return cast(Result, kind(response, call, self, ours=False))
        self.count(usage_of(response))
        return response

    def count(self, usage: ResponseUsage) -> None:
        """As `wrap`, of what is known to have been used."""
        if usage.usage_missing:
            _log.warning("a response does not say its usage; what it costs is a lower bound")
        self._book(usage.fields())
        self.settle()

    def track(
        self,
        result: Result,
        cost: float,
        tool_name: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Result:
        """Counts a tool's call, and gives its result back. Raises `InvalidCost`, and as `wrap`."""
        told = {} if result is None else process.hashes().result_fields(result)
        event_id = uuid.uuid4().hex
        fields: Fields = {"id": event_id, "kind": "tool", "tool": tool_name, **told}
        fields["cost"] = format_usd(_cost(cost))
        with self.books.noting(event_id, metadata):
            self._book(fields)
        self.settle()
        return result

    def track_tool(
        self, cost: float, tool_name: str | None = None
    ) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
        """Decorates functions and coroutine functions that are tools with a fixed cost."""
        priced = format_usd(_cost(cost))

        def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
            tolled = self._run.track_tool(priced, tool=tool_name)(function)
            # Each has the same arguments, and is what `function` was.
            if inspect.iscoroutinefunction(function):
                awaited = self._awaited(cast(Callable[..., Awaitable[object]], tolled))
                return cast(Callable[Arguments, Result], functools.wraps(function)(awaited))
            return functools.wraps(function)(self._called(tolled))

        return decorate

    def _called(self, tolled: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        def called(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            try:
                result = tolled(*args, **kwargs)
            except CallBlocked as blocked:
                raise self.refusal(blocked) from blocked
            self.settle()
            return result

        return called

    def _awaited(self, tolled: Callable[..., Awaitable[object]]) -> Callable[..., object]:
        async def awaited(*args: object, **kwargs: object) -> object:
            try:
                result = await tolled(*args, **kwargs)
            except CallBlocked as blocked:
                raise self.refusal(blocked) from blocked
            self.settle()
            return result

        return awaited

    def child_session(self, max_spend: float, session_id: str | None = None) -> "BudgetSession":
        """A run with a budget out of this one's: what it spends is spent here at once."""
        hard = min(_cost(max_spend), max(0, self.books.left_pico() or 0))
        books = SessionBooks(
            session_id or new_session_id(),
            self.books.agent,
            hard,
            share_of(hard, 1.0),
            self.books.loops.renewed(),
            self.books,
        )
        return type(self)(books, Callbacks(), self)

    def report(self) -> Report:
        """What was spent and on what; JSON."""
        duration = None
        if self._began_s is not None:
            duration = round((self._ended_s or time.monotonic()) - self._began_s, 2)
        return report_of(self.books, duration, self._terminated_by)

    def ask(self, describe: Callable[[], Asked]) -> Call:
        """Begins a call of this session. Raises `BudgetExhausted` where it must not be made."""
        with self.around:
            try:
                return begin(describe)
            except CallBlocked as blocked:
                raise self.refusal(blocked) from blocked

    def refusal(self, blocked: CallBlocked) -> BudgetExhausted:
        """A refusal in this tool's terms: the session's own, or that of the fleet."""
        for session in self._lineage():
            if (session.books.limits.left_pico() or 0) <= 0:
                return session._exhausted()
        said = blocked.decision
        if said is not None and said.unit == "usd" and said.spent and said.limit:
            return BudgetExhausted(float(said.limit), float(said.spent))
        return BudgetExhausted(as_float(self.books.hard_pico), self.spent)

    def settle(self) -> None:
        """Tells what the last event led to. Raises `BudgetExhausted` or `LoopDetected`."""
        for session in self._lineage():
            session._tell_soft()
        for session in self._lineage():
            if (session.books.limits.left_pico() or 0) < 0:
                raise session._exhausted()
        with self.books.lock:
            loop, self.books.loop = self.books.loop, None
        if loop is not None:
            self._terminated_by = "loop_detected"
            if self._callbacks.on_loop_detected is not None:
                self._callbacks.on_loop_detected(self.report())
            raise LoopDetected(loop)

    def _tell_soft(self) -> None:
        books = self.books
        with books.lock:
            due = not books.soft_told and books.limits.spent_pico >= books.soft_pico
            due = due and books.limits.spent_pico > 0
            books.soft_told = books.soft_told or due
        if due and self._callbacks.on_soft_limit is not None:
            self._callbacks.on_soft_limit(self.report())

    def _exhausted(self) -> BudgetExhausted:
        self._terminated_by = "budget_exhausted"
        with self.books.lock:
            due, self._hard_told = not self._hard_told, True
        if due and self._callbacks.on_hard_limit is not None:
            self._callbacks.on_hard_limit(self.report())
        return BudgetExhausted(as_float(self.books.hard_pico), self.spent)

    def _lineage(self) -> list["BudgetSession"]:
        sessions = [self]
        while (parent := sessions[-1]._parent) is not None:
            sessions.append(parent)
        return sessions

    def _book(self, fields: Fields) -> None:
        with self.around:
            process.booked(fields)


class AsyncBudgetSession(BudgetSession):
    """As `BudgetSession`, for an ``async with``."""

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    async def wrap_async(self, coroutine: Awaitable[Result]) -> Result:
        return self.wrap(await coroutine)


def new_session_id() -> str:
    return f"sess_{uuid.uuid4().hex[:12]}"


def _cost(cost: float) -> int:
    try:
        return exact_pico(cost)
    except NotDollars:
        raise InvalidCost(cost) from None
