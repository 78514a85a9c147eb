"""AutoGen's agents and teams: whose calls are whose, and refusals that get out of them."""

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final

from tollway.producers.adapters.frames import Within, agent_call, stepped
from tollway.producers.adapters.passing import refusal_in
from tollway.producers.ambient import Fields
from tollway.producers.calls import Call
from tollway.producers.errors import CallBlocked

__all__ = ["FRAMEWORK", "answering", "handled_by", "hold", "running_team", "streaming_answers"]

FRAMEWORK: Final = "autogen"
# The key of agents that serve nobody in particular.
_NO_SESSION: Final = "default"
# The framework's own objects: it is not there when this is type-checked.
Framework = Any
Messages = AsyncGenerator[Any, None]


class _Answer:
    """One answer of an agent, entered around each of its steps.

    A refused tool must neither raise, for its agent waits for ever for a tool that raises, nor be
    told to the model: it is held here until the agent's next step, which then is its last.
    """

    def __init__(self, call: Call) -> None:
        self._within = Within(call)
        self._before: _Answer | None = None
        self.refusal: CallBlocked | None = None

    def __enter__(self) -> None:
        self._before = _answer.get()
        _answer.set(self)
        self._within.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._within.__exit__(kind, error, trace)
        _answer.set(self._before)

    def raise_held(self) -> None:
        if self.refusal is not None:
            raise self.refusal


class _Team:
    """One run of a team, entered around each of its steps. It words every exception anew."""

    def __init__(self) -> None:
        self._before: _Team | None = None
        self.refusal: CallBlocked | None = None

    def __enter__(self) -> None:
        self._before = _team.get()
        _team.set(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _team.set(self._before)
        if isinstance(error, Exception) and self.refusal is not None:
            raise self.refusal from error


class _Noting:
    """What leaves an agent refused is known to its team."""

    def __enter__(self) -> None:
        """Nothing to do before."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        team = _team.get()
        if team is not None and error is not None:
            team.refusal = refusal_in(error) or team.refusal


# A team's runtime starts its tasks inside its first step, so they have both.
_answer: ContextVar[_Answer | None] = ContextVar("tollway_autogen_answer", default=None)
_team: ContextVar[_Team | None] = ContextVar("tollway_autogen_team", default=None)


def hold(refusal: CallBlocked) -> bool:
    """Whether an agent runs here that will raise it in its place."""
    answer = _answer.get()
    if answer is None:
        return False
    answer.refusal = refusal
    return True


def handled_by() -> Fields:
    """The core's agent that handles a message here, where no agent of a team is known."""
    if _answer.get() is not None:
        return {}
    return _handler()


def _handler() -> Fields:
    from autogen_core import MessageHandlerContext

    try:
        agent = MessageHandlerContext.agent_id()
    except RuntimeError:
        return {}
    return {"agent": agent.type, "session": "" if agent.key == _NO_SESSION else agent.key}


def _answer_of(agent: Framework) -> _Answer:
    return _Answer(agent_call(FRAMEWORK, lambda: {**_handler(), "agent": agent.name}))


def answering(on_messages: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    @functools.wraps(on_messages)
    async def answered(agent: Framework, *args: object, **kwargs: object) -> object:
        with _Noting():
            answer = _answer_of(agent)
            with answer:
                response: object = await on_messages(agent, *args, **kwargs)
            answer.raise_held()
            return response

    return answered


def streaming_answers(on_messages_stream: Callable[..., Messages]) -> Callable[..., Messages]:
    @functools.wraps(on_messages_stream)
    async def streamed(agent: Framework, *args: object, **kwargs: object) -> Messages:
        with _Noting():
            answer = _answer_of(agent)
            steps = stepped(on_messages_stream(agent, *args, **kwargs), answer)
            async with aclosing(steps):
                async for message in steps:
                    answer.raise_held()
                    yield message
            answer.raise_held()

    return streamed


def running_team(run_stream: Callable[..., Messages]) -> Callable[..., Messages]:
    @functools.wraps(run_stream)
    async def ran(team: Framework, *args: object, **kwargs: object) -> Messages:
        async with aclosing(stepped(run_stream(team, *args, **kwargs), _Team())) as steps:
            async for message in steps:
                yield message

    return ran
