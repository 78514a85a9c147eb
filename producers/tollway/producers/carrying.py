"""Carries attribution to where a context does not follow: threads, and the steps of generators."""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
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
    def generated(*args: object, **kwargs: object) -> Generator[object, None, object]:
        steps = cast(Iterator[object], function(*args, **kwargs))
        try:
            while True:
                with around:
                    try:
                        step = next(steps)
                    except StopIteration as end:
                        return end.value
                yield step
        finally:
            with around:
                steps.close()  # type: ignore[attr-defined]  # a generator has it

    return generated


def _async_generator(function: Callable[..., object], around: Entered) -> Callable[..., object]:
    async def generated(*args: object, **kwargs: object) -> AsyncIterator[object]:
        steps = cast(AsyncIterator[object], function(*args, **kwargs))
        try:
            while True:
                with around:
                    try:
                        step = await anext(steps)
                    except StopAsyncIteration:
                        return
                yield step
        finally:
            with around:
                await steps.aclose()  # type: ignore[attr-defined]  # a generator has it

    return generated
