"""Clients of OpenAI and Anthropic whose calls count in a session: one of them, or all."""

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar, cast

from tollway.compat.agentbudget.sessions import BudgetSession
from tollway.compat.agentbudget.streams import CountedAsyncStream, CountedStream
from tollway.producers.adapters.patching import Patches
from tollway.producers.calls import Asked, Call

__all__ = ["SessionOf", "patch_all", "wrap_client"]

Client = TypeVar("Client")
SessionOf = Callable[[], BudgetSession | None]
Create = Callable[..., Any]  # whatever the client's own takes and gives


class _Door(NamedTuple):
    """Where a client makes calls: its attribute, the classes behind it, what provider it is."""

    path: str
    module: str
    classes: tuple[str, str]
    # "" where the address decides: many speak the dialect of OpenAI.
    provider: str
    # Whether a stream says its usage only when it is asked to.
    asks_for_usage: bool


_DOORS: Final = (
    _Door(
        "chat.completions",
        "openai.resources.chat.completions",
        ("Completions", "AsyncCompletions"),
        "",
        True,
    ),
    _Door("responses", "openai.resources.responses", ("Responses", "AsyncResponses"), "", False),
    _Door(
        "messages",
        "anthropic.resources.messages",
        ("Messages", "AsyncMessages"),
        "anthropic",
        False,
    ),
)


def wrap_client(client: Client, session: BudgetSession) -> Client:
    """The same client; what it calls from now on counts in the session, wherever it is called."""
    patches = Patches()
    found = [door for door in _DOORS if _behind(client, door.path) is not None]
    if not found:
        known = ", ".join(door.path for door in _DOORS)
        raise TypeError(f"a {type(client).__name__} has none of {known}, so nothing can be counted")
    for door in found:
        resource = _behind(client, door.path)
        patches.wrap(resource, "create", partial(_counting, door=door, session_of=lambda: session))
    return client


def patch_all(session_of: SessionOf) -> Patches:
    """All clients of the libraries that are installed; `undo` takes it off again."""
    patches = Patches()
    for door in _DOORS:
        try:
            module = importlib.import_module(door.module)
        except ImportError:
            continue
        for name in door.classes:
            owner = getattr(module, name, None)
            if owner is not None:
                patches.wrap(owner, "create", partial(_counting, door=door, session_of=session_of))
    return patches


def _behind(client: object, path: str) -> object | None:
    found: object | None = client
    for name in path.split("."):
        found = getattr(found, name, None)
    return found if callable(getattr(found, "create", None)) else None


def _counting(create: Create, door: _Door, session_of: SessionOf) -> Create:
    counted = _awaited if inspect.iscoroutinefunction(create) else _called
    return cast(Create, functools.wraps(create)(counted(create, door, session_of)))


def _called(create: Create, door: _Door, session_of: SessionOf) -> Create:
    def called(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (whatever the client's own takes)
        session = _session_here(session_of)
        if session is None:
            return create(*args, **kwargs)
        call = session.ask(lambda: _asked(door, kwargs))
        asked = _with_usage(door, kwargs)
        with _making(call, session):
            response = create(*args, **asked)
        if kwargs.get("stream"):
            return CountedStream(response, call, session, ours=asked is not kwargs)
        return _answered(response, call, session)

    return called


def _awaited(create: Create, door: _Door, session_of: SessionOf) -> Create:
    async def awaited(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as above)
        session = _session_here(session_of)
        if session is None:
            return await create(*args, **kwargs)
        call = session.ask(lambda: _asked(door, kwargs))
        asked = _with_usage(door, kwargs)
        with _making(call, session):
            response = await create(*args, **asked)
        if kwargs.get("stream"):
            return CountedAsyncStream(response, call, session, ours=asked is not kwargs)
        return _answered(response, call, session)

    return awaited


# Whether a call of a client is being made: the client's own session wins over that of `init()`.
_inside: ContextVar[bool] = ContextVar("tollway_agentbudget_call", default=False)


def _session_here(session_of: SessionOf) -> BudgetSession | None:
    return None if _inside.get() else session_of()


@contextmanager
def _making(call: Call, session: BudgetSession) -> Iterator[None]:
    _inside.set(True)
    try:
        with session.around, call.running():
            yield
    except BaseException as error:
        call.failed(error)
        raise
    finally:
        _inside.set(False)


def _answered(response: object, call: Call, session: BudgetSession) -> object:
    with session.around:
        call.answered(response)
    session.settle()
    return response


def _asked(door: _Door, kwargs: Mapping[str, object]) -> Asked:
    return Asked(
        framework="agentbudget",
        provider=door.provider,
        model=str(kwargs.get("model") or ""),
        prompt=kwargs.get("messages") or kwargs.get("input"),
    )


def _with_usage(door: _Door, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Asks a stream for its usage, where the host has not said anything of it."""
    if door.asks_for_usage and kwargs.get("stream") and "stream_options" not in kwargs:
        return {**kwargs, "stream_options": {"include_usage": True}}
    return kwargs
