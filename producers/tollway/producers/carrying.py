"""Carries attribution to where a context does not follow: threads, and the steps of generators."""

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from types import TracebackType
from typing import ParamSpec, Protocol, TypeVar, cast

__all__ = ["Entered", "carried"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Entered(Protocol):
    """What is entered around each step; entering it again inside itself does no harm."""

    def __enter__(self) -> object: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


def carried(function: Callable[Arguments, Result], around: Entered) -> Callable[Arguments, Result]:
    """The same function with `around` entered while it runs.

    A generator's steps run inside, what its consumer does between them outside: a ``with`` in the
    generator's own body would cover both.
    """
    wrapped: Callable[..., object]
    if inspect.isasyncgenfunction(function):
        wrapped = _async_generator(function, around)
    elif inspect.isgeneratorfunction(function):
        wrapped = _generator(function, around)
    elif inspect.iscoroutinefunction(function):
        wrapped = _coroutine(function, around)
    else:
        wrapped = _plain(function, around)
    # Each kind has the same arguments, and is what `function` was.
    return cast(Callable[Arguments, Result], functools.wraps(function)(wrapped))


def _plain(function: Callable[..., object], around: Entered) -> Callable[..., object]:
    def called(*args: object, **kwargs: object) -> object:
        with around:
            return function(*args, **kwargs)

    return called


def _coroutine(function: Callable[..., object], around: Entered) -> Callable[..., object]:
    async def awaited(*args: object, **kwargs: object) -> object:
        with around:
            return await function(*args, **kwargs)  # type: ignore[misc]  # a coroutine function, as was asked

    return awaited


def _generator(function: Callable[..., object], around: Entered) -> Callable[..., object]:
    def generated(*args: object, **kwargs: object) -> Generator[object, object, object]:
        steps = cast(Generator[object, object, object], function(*args, **kwargs))
        advance: Callable[[], object] = functools.partial(next, steps)
        while True:
            with around:
                try:
                    step = advance()
                except StopIteration as end:
                    return end.value
            try:
                advance = functools.partial(steps.send, (yield step))
            except GeneratorExit:
                with around:
                    steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 (it is thrown on, where it belongs)
                advance = functools.partial(steps.throw, error)

    return generated


def _async_generator(function: Callable[..., object], around: Entered) -> Callable[..., object]:
    async def generated(*args: object, **kwargs: object) -> AsyncGenerator[object, object]:
        steps = cast(AsyncGenerator[object, object], function(*args, **kwargs))
        advance: Callable[[], Awaitable[object]] = functools.partial(anext, steps)
        while True:
            with around:
                try:
                    step = await advance()
                except StopAsyncIteration:
                    return
            try:
                advance = functools.partial(steps.asend, (yield step))
            except GeneratorExit:
                with around:
                    await steps.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 (it is thrown on, where it belongs)
                advance = functools.partial(steps.athrow, error)

    return generated
