"""The MCP client: a call of a server's tool is asked for before it leaves, and counted after it.

`ClientSession.call_tool` is the one place; sessions of a `ClientSessionGroup` and those that
frameworks open come by it too. Its connection is the server's own name, as `initialize` told it.
Task-augmented calls (`session.experimental`) are not metered: the SDK gives them up.
"""

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.making import Making
from tollway.producers.adapters.patching import Patches
from tollway.producers.calls import Asked, Call, begin, safely

__all__ = ["attach", "wrap"]

_FRAMEWORK: Final = "mcp"
_ASKS_BACK: Final = "InputRequiredResult"
# What a session's server is called, or what the host calls it.
_connections: WeakKeyDictionary[object, str] = WeakKeyDictionary()
# Sessions that `wrap` meters: what is attached to all of them lets them pass.
_wrapped: WeakKeyDictionary[object, bool] = WeakKeyDictionary()


class _Client(Protocol):
    """A `ClientSession`, or what else calls tools of a server."""

    @property
    def call_tool(self) -> Callable[..., Awaitable[Any]]: ...  # its result is the framework's


Client = TypeVar("Client", bound=_Client)


def attach() -> Detach:
    """Meters the tools of every session, those that are open already too."""
    from mcp import ClientSession

    patches = Patches()
    patches.wrap(ClientSession, "initialize", _initializing)
    patches.wrap(ClientSession, "call_tool", _calling)
    return patches.undo


def wrap(session: Client, connection: str | None = None) -> Client:
    """Meters this session alone, whose server may be given another name; returns the session."""
    if connection is not None:
        _connections[session] = connection
    if session not in _wrapped:
        _wrapped[session] = True
        call_tool = session.call_tool

        @functools.wraps(call_tool)
        async def called(*args: object, **kwargs: object) -> object:
            return await _metered(call_tool, session, args, kwargs)

        # On the instance, so that all who hold the session are metered.
        session.call_tool = called  # type: ignore[misc]  # a method, read-only by the Protocol
    return session


def _initializing(initialize: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(initialize)
    async def initialized(session: object, *args: object, **kwargs: object) -> object:
        told: object = await initialize(session, *args, **kwargs)
        with safely():
            # A name that the host gave with `wrap` stays.
            server = getattr(told, "serverInfo", None)
            _connections.setdefault(session, str(getattr(server, "name", "")))
        return told

    return initialized


def _calling(call_tool: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call_tool)
    async def called(session: object, *args: object, **kwargs: object) -> object:
        this = functools.partial(call_tool, session)
        if session in _wrapped:
            return await this(*args, **kwargs)
        return await _metered(this, session, args, kwargs)

    return called


async def _metered(
    call_tool: Callable[..., Awaitable[object]],
    session: object,
    args: Sequence[object],
    kwargs: Mapping[str, object],
) -> object:
    call = begin(lambda: _asked(session, args, kwargs))
    with safely():
        _claim(call)
    with Making(call):
        result = await call_tool(*args, **kwargs)
    _returned(call, result)
    return result


def _claim(call: Call) -> None:
    """A framework may give a server's tool another name: asked the same, it is this call."""
    around = call.enclosing
    if call.asked is None or around is None or around.asked is None or around.asked.kind != "tool":
        return
    if around.asked.framework != _FRAMEWORK and _arguments(around) == _arguments(call):
        around.metered_inside = True


def _arguments(call: Call) -> object:
    return call.fields.get("args_hash")


def _asked(session: object, args: Sequence[object], kwargs: Mapping[str, object]) -> Asked:
    given = dict(zip(("name", "arguments"), args, strict=False)) | dict(kwargs)
    return Asked(
        kind="tool",
        framework=_FRAMEWORK,
        tool=str(given["name"]),
        connection=_connections.get(session) or _server_of(session),
        arguments=given.get("arguments") or {},
    )


def _server_of(session: object) -> str:
    """Sessions of version 2 say it themselves."""
    return str(getattr(getattr(session, "server_info", None), "name", ""))


def _returned(call: Call, result: object) -> None:
    """A tool that failed is a result that says so, and no exception."""
    if type(result).__name__ == _ASKS_BACK:
        # Of version 2: the call goes on, with what the host answers.
        call.done = True
        return
    with safely():
        failed = getattr(result, "isError", False) or getattr(result, "is_error", False)
        call.returned(_said(result), status="error" if failed else "ok")


def _said(result: object) -> object:
    """What a model is shown of it: its texts where it has nothing else."""
    parts = list(getattr(result, "content", None) or [])
    texts = [getattr(part, "text", None) for part in parts]
    if parts and all(isinstance(text, str) for text in texts):
        return "\n".join(str(text) for text in texts)
    return parts or result
