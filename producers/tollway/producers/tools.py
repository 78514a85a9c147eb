"""`track_tool`: a function that is a tool, asked for before it runs and counted after it."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import ParamSpec, Protocol, TypeVar, cast

from tollway.contract.money import format_usd
from tollway.producers.amounts import Amount, amount_pico
from tollway.producers.calls import Asked, Call, begin, safely

__all__ = ["Cost", "Tracked", "toll"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
# An amount for each call, or a function of the arguments by name and of the result; None: the
# price that the workspace has set for the tool, if any.
Cost = Amount | Callable[[Mapping[str, object], object], Amount] | None


class Tracked(Protocol):
    """A decorator that leaves a function's type as it is."""

    def __call__(self, function: Callable[Arguments, Result], /) -> Callable[Arguments, Result]: ...


class _Toll:
    """One decorated function: what a call of it is called, and what it costs."""

    def __init__(
        self, function: Callable[..., object], cost: Cost, tool: str | None, connection: str | None
    ) -> None:
        self._name = tool or str(getattr(function, "__name__", "tool"))
        self._connection = connection or ""
        self._signature = inspect.signature(function)
        self._cost = cost

    def ask(self, args: tuple[object, ...], kwargs: dict[str, object]) -> Call:
        return begin(
            lambda: Asked(
                kind="tool",
                framework="track_tool",
                tool=self._name,
                connection=self._connection,
                arguments=self._named(args, kwargs),
            )
        )

    def pay(
        self, call: Call, args: tuple[object, ...], kwargs: dict[str, object], result: object
    ) -> None:
        with safely():
            cost = self._cost
            if callable(cost):
                cost = cost(self._named(args, kwargs), result)
            if cost is None:
                call.returned(result)
            else:
                call.returned(result, cost=format_usd(amount_pico(cost, "cost")))

    def _named(self, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, object]:
        return dict(self._signature.bind(*args, **kwargs).arguments)


def toll(
    cost: Cost,
    *,
    tool: str | None,
    connection: str | None,
    around: AbstractContextManager[object] | None = None,
) -> Tracked:
    """Raises `ValueError` for a fixed cost that is no amount of dollars."""
    if cost is not None and not callable(cost):
        amount_pico(cost, "cost")
    entered = nullcontext() if around is None else around

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        one = _Toll(function, cost, tool, connection)
        wrapped: Callable[..., object]
        if inspect.iscoroutinefunction(function):
            wrapped = _awaited(function, one, entered)
        else:
            wrapped = _called(function, one, entered)
        # Each has the same arguments, and is what `function` was.
        return cast(Callable[Arguments, Result], functools.wraps(function)(wrapped))

    return decorate


def _called(
    function: Callable[..., object], one: _Toll, around: AbstractContextManager[object]
) -> Callable[..., object]:
    def called(*args: object, **kwargs: object) -> object:
        with around:
            call = one.ask(args, kwargs)
            try:
                with call.running():
                    result = function(*args, **kwargs)
            except BaseException as error:
                call.failed(error)
                raise
            one.pay(call, args, kwargs, result)
            return result

    return called


def _awaited(
    function: Callable[..., Awaitable[object]], one: _Toll, around: AbstractContextManager[object]
) -> Callable[..., object]:
    async def awaited(*args: object, **kwargs: object) -> object:
        with around:
            call = one.ask(args, kwargs)
            try:
                with call.running():
                    result = await function(*args, **kwargs)
            except BaseException as error:
                call.failed(error)
                raise
            one.pay(call, args, kwargs, result)
            return result

    return awaited
