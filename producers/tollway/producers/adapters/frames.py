"""An agent that runs: what its framework knows of it becomes the attribution of its calls."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TypeVar

from tollway.producers.ambient import Fields
from tollway.producers.calls import Asked, Call, begin
from tollway.producers.carrying import Entered

__all__ = ["Within", "agent_call", "agent_runs", "stepped"]

Step = TypeVar("Step")


def agent_call(framework: str, found: Callable[[], Fields]) -> Call:
    """A call that is none: never metered, it lends the calls inside its attribution.

    A tool that runs an agent and the tools of that agent are calls of their own: what ends inside
    is no part of what is around. Raises `CallBlocked` where the agent may make no calls at all.
    """
    return Call(None, None, begin(lambda: Asked(framework=framework, found=found())).fields)


@contextmanager
def agent_runs(framework: str, found: Callable[[], Fields]) -> Iterator[Call]:
    """Calls made inside are the agent's. Raises `CallBlocked` as `agent_call`."""
    call = agent_call(framework, found)
    with call.running():
        yield call


class Within:
    """Enters a call around each step of a generator, for `stepped`; one step at a time."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._entered: list[AbstractContextManager[Call]] = []

    def __enter__(self) -> None:
        running = self._call.running()
        running.__enter__()
        self._entered.append(running)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._entered.pop().__exit__(kind, error, trace)


async def stepped(steps: AsyncGenerator[Step, None], around: Entered) -> AsyncGenerator[Step, None]:
    """The same steps, each made inside `around`; what their consumer does between is outside."""
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
            await steps.aclose()
