"""`meter.session(...)`: one run of an agent with its own budget, here in the process."""

import logging
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from types import TracebackType
from typing import Final, Literal, Self, TypedDict, TypeVar, Unpack, cast

from tollway.contract.control import Decision
from tollway.contract.money import format_usd
from tollway.producers import process
from tollway.producers.ambient import Attribution, Fields
from tollway.producers.amounts import Amount, amount_pico, usd
from tollway.producers.calls import Asked, Call, begin, safely
from tollway.producers.carrying import carried
from tollway.producers.local.books import Books
from tollway.producers.local.limits import Limits
from tollway.producers.local.notices import Booked, Notice
from tollway.producers.local.reports import Report, State, report_of, state_of
from tollway.producers.local.wrapped import Wrapped
from tollway.producers.responses import usage_of
from tollway.producers.streams import MeteredAsyncStream, MeteredStream
from tollway.producers.tools import Cost, Tracked, toll

__all__ = ["Hooks", "Session"]

Answer = TypeVar("Answer")
OnNotice = Callable[["Session", Notice], object]

_log = logging.getLogger("tollway")
_HOOK_OF: Final[dict[str, Literal["on_soft_limit", "on_hard_limit", "on_loop_detected"]]] = {
    "soft_limit": "on_soft_limit",
    "hard_limit": "on_hard_limit",
    "retry_loop": "on_loop_detected",
}


class Hooks(TypedDict, total=False):
    """Called with the session and what was noticed, in the thread that spent; may do anything but
    raise: what it raises is logged and goes nowhere."""

    on_soft_limit: OnNotice | None
    on_hard_limit: OnNotice | None
    on_loop_detected: OnNotice | None
    # With each decision about the session, the worker's too.
    on_decision: Callable[[Decision], object] | None


class Session:
    """Use it in a ``with`` or an ``async with``; what runs inside is attributed to it.

    Made by `meter.session(...)`, children by `child(...)`. Any thread may use it.
    """

    def __init__(self, books: Books, attribution: Fields, hooks: Hooks) -> None:
        self._books = books
        self._fields = attribution
        self._attribution = Attribution(attribution, books)
        self._hooks = hooks
        self._success: bool | None = None
        self._ended = False
        self._end_listening: Callable[[], None] | None = None
        books.on_notice = self._notice

    @property
    def id(self) -> str:
        return self._books.session

    @property
    def agent(self) -> str:
        return self._books.agent

    @property
    def spent(self) -> Decimal:
        """Dollars spent so far, those of children included."""
        return usd(self._books.limits.spent_pico)

    @property
    def remaining(self) -> Decimal | None:
        """Dollars that may still be spent: never more than a parent has. None without a budget."""
        left = self._books.left_pico()
        return None if left is None else usd(max(0, left))

    def __enter__(self) -> Self:
        on_decision = self._hooks.get("on_decision")
        if on_decision is not None and self._end_listening is None:
            self._end_listening = process.on_decision(on_decision, session=self.id)
        self._attribution.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._attribution.__exit__(kind, error, trace)
        self.end(success=self._success if self._success is not None else error is None)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def outcome(self, *, success: bool) -> None:
        """Says how the run went; without it, a ``with`` that an exception leaves has failed."""
        self._success = success

    def end(self, *, success: bool | None = None) -> None:
        """Ends the run and tells its outcome, once. A ``with`` does it by itself."""
        if self._ended:
            return
        self._ended = True
        if self._end_listening is not None:
            self._end_listening()
        self._record(
            {
                "id": f"{self.id}:outcome",
                "source": "tollway.session",
                "kind": "outcome",
                "success": success,
                "status": "ok" if success is not False else "error",
            }
        )
        self._books.end(success)

    def check(self, *, model: str | None = None, tool: str | None = None) -> None:
        """Raises `CallBlocked` where the session must not go on; may warn `SpendWarning`."""
        with self._attribution:
            process.check(model=model, tool=tool)

    def wrap(
        self, response: Answer, *, provider: str | None = None, api: str | None = None
    ) -> Wrapped[Answer]:
        """Counts a provider's response: its usage, its price, what the detectors say.

        A stream is handed on instead, as `wrap_stream` does: the response to read is what this
        returns, and its cost is known at its end. Raises `CallBlocked` once the session is over its
        limit, or a detector stopped it: then the exception's `result` is the response, which is
        paid for.
        """
        if isinstance(response, Iterator):
            stream = self.wrap_stream(response, provider=provider, api=api)
            return Wrapped(cast(Answer, stream), None, self._books)
        if isinstance(response, AsyncIterator):
            steps = self.wrap_async_stream(response, provider=provider, api=api)
            return Wrapped(cast(Answer, steps), None, self._books)
        booked: Booked | None = None
        with safely():
            usage = usage_of(response, provider=provider, api=api)
            booked = self._record(usage.fields())
        wrapped = Wrapped(response, booked, self._books)
        self._books.stop(response)
        return wrapped

    def wrap_stream(
        self, chunks: Iterator[Answer], *, provider: str | None = None, api: str | None = None
    ) -> Iterator[Answer]:
        """Hands the chunks through and counts them at the end, also where that is early."""
        return MeteredStream(chunks, self._call(provider, api), provider=provider, api=api)

    def wrap_async_stream(
        self, chunks: AsyncIterator[Answer], *, provider: str | None = None, api: str | None = None
    ) -> AsyncIterator[Answer]:
        """As `wrap_stream`, for asynchronous ones."""
        return MeteredAsyncStream(chunks, self._call(provider, api), provider=provider, api=api)

    def _call(self, provider: str | None, api: str | None) -> Call:
        with self._attribution:
            return begin(lambda: Asked(framework="session", provider=provider or "", api=api or ""))

    def track(
        self,
        result: Answer,
        *,
        cost: Amount = 0,
        tool: str = "",
        arguments: object = None,
        connection: str | None = None,
    ) -> Answer:
        """Counts a call of a tool that has been made, and gives its result back.

        Raises `CallBlocked` as `wrap` does, and `ValueError` for a cost that is no amount.
        """
        usd_text = format_usd(amount_pico(cost, "cost"))
        with safely():
            hashes = process.hashes()
            self._record(
                {
                    "kind": "tool",
                    "tool": tool or None,
                    "connection": connection,
                    "args_hash": None if arguments is None else hashes.of(arguments),
                    **hashes.result_fields(result),
                    "cost": usd_text,
                }
            )
        self._books.stop(result)
        return result

    def track_tool(
        self,
        cost: Cost = None,
        *,
        tool: str | None = None,
        connection: str | None = None,
    ) -> Tracked:
        """Decorates a function that is a tool: checked before it runs, counted after it.

        `cost` is an amount, or a function of its arguments (by name) and its result.
        """
        return toll(cost, tool=tool, connection=connection, around=self._attribution)

    def would_exceed(self, cost: Amount) -> bool:
        """Whether spending this would go over the limit of the session or of a parent of it."""
        return self._books.would_exceed(amount_pico(cost, "cost"))

    def model(self, preferred: str, fallback: str, *, at: float = 0.8) -> str:
        """The preferred model until this share of the limit is spent, then the cheaper one."""
        limits = self._books.limits
        if limits.budget_pico is None:
            return preferred
        spent, hard = limits.spent_pico, limits.hard_pico()
        return fallback if spent * 100 >= hard * round(at * 100) else preferred

    def use_reserve(self) -> None:
        """From now on what was kept for finishing may be spent too."""
        self._books.limits.release_reserve()

    def resume(self) -> None:
        """Lets the session go on that a detector had stopped."""
        self._books.resume()

    def state(self) -> State:
        return state_of(self._books)

    def report(self) -> Report:
        """What was spent, on what, and what was noticed; events one by one."""
        return report_of(self._books)

    def child(
        self,
        *,
        budget: Amount | None = None,
        agent: str | None = None,
        session: str | None = None,
        soft: float = 0.9,
        reserve: float = 0.0,
        **hooks: Unpack[Hooks],
    ) -> "Session":
        """A run that this one starts: what it spends counts here too, while it happens."""
        name = session or uuid.uuid4().hex
        whose = agent or self.agent
        books = Books(
            name,
            whose,
            Limits(name, budget, soft, reserve),
            self._books.policy,
            parent=self._books,
            unpriced=self._books.unpriced,
        )
        fields = {**self._fields, "session": name, "parent_session": self.id}
        if agent is not None:
            fields["agent"] = agent
        return Session(books, fields, hooks)

    def bind(self, function: Callable[..., Answer]) -> Callable[..., Answer]:
        """The same function, attributed to this session in whatever thread or task it runs.

        Functions, coroutine functions, generators and asynchronous generators: each step of a
        generator runs inside the session, and what runs between the steps does not.
        """
        return carried(function, self._attribution)

    def _record(self, fields: Fields) -> Booked | None:
        with self._attribution:
            booked = process.booked(fields)
        return booked if isinstance(booked, Booked) else None

    def _notice(self, notice: Notice) -> None:
        name = _HOOK_OF.get(notice.type)
        hook = None if name is None else self._hooks.get(name)
        on_decision = self._hooks.get("on_decision")
        try:
            if hook is not None:
                hook(self, notice)
            if on_decision is not None:
                on_decision(self._books.decision(notice))
        except Exception as error:  # noqa: BLE001 (the host's code must not end the metering)
            _log.error("a hook of session %s failed with %s", self.id, type(error).__name__)
