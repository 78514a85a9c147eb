"""AutoGen: model clients, tools and agents of any team, metered where they are called.

For one client, agent, workbench or tool: `metered(it)`. For all: `instrument("autogen")`. A client
tells only how many tokens went in and out: what caches read is known with the provider's SDK's
adapter beside this one. A tool that the core's own `ToolAgent` runs is refused, but that agent
tells its model so.
"""

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from types import MethodType
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.autogen_agents import (
    FRAMEWORK,
    answering,
    handled_by,
    running_team,
    streaming_answers,
)
from tollway.producers.adapters.autogen_tools import STREAM_TOOL, TOOL, WORKBENCH, Ending
from tollway.producers.adapters.frames import Within, stepped
from tollway.producers.adapters.hosts import provider_at
from tollway.producers.adapters.importing import forget, when_imported
from tollway.producers.adapters.making import Making
from tollway.producers.adapters.overriding import wrap_overrides
from tollway.producers.adapters.passing import Refusals
from tollway.producers.adapters.patching import Patches, Wrapper
from tollway.producers.calls import Asked, Call, begin, safely
from tollway.producers.responses import ResponseUsage

__all__ = ["attach", "metered"]

# Rooms of clients, autogen_ext.models.ROOM, whose name is not the provider's.
_ROOMS: Final = {"llama_cpp": "", "replay": "", "cache": "", "semantic_kernel": ""}
# The framework's own objects: it is not there when this is type-checked.
Framework = Any
Chunks = AsyncGenerator[Any, None]
Thing = TypeVar("Thing")


def attach() -> Detach:
    """Every client, workbench, tool, agent and team, those that are there already too."""
    patches = Patches()
    _attach_core(patches)
    # The host may use the core alone, and agents and teams may be imported later.
    for name, attach_to in _LATER.items():
        if name in sys.modules:
            attach_to(patches)
        else:
            when_imported(name, functools.partial(_safely, attach_to, patches))

    def detach() -> None:
        for name in _LATER:
            forget(name)
        patches.undo()

    return detach


def _safely(attach_to: Callable[[Patches], None], patches: Patches) -> None:
    with safely():
        attach_to(patches)


def metered(thing: Thing) -> Thing:
    """Meters this client, workbench, tool or agent alone; returns it."""
    kind = type(thing)
    for name, wrapper in {**_CLIENT, **TOOL, **STREAM_TOOL, **WORKBENCH, **_AGENT}.items():
        method = getattr(kind, name, None)
        if method is not None and name not in vars(thing):
            # On the instance, so that all who hold it are metered.
            object.__setattr__(thing, name, MethodType(wrapper(method), thing))
    return thing


def _attach_core(patches: Patches) -> None:
    from autogen_core.models import ChatCompletionClient
    from autogen_core.tools import BaseStreamTool, BaseTool, Workbench

    wrap_overrides(patches, ChatCompletionClient, _CLIENT)
    wrap_overrides(patches, Workbench, WORKBENCH)
    for kind, wrappers in ((BaseTool, TOOL), (BaseStreamTool, STREAM_TOOL)):
        for name, wrapper in wrappers.items():
            patches.wrap(kind, name, wrapper)


def _attach_agents(patches: Patches) -> None:
    from autogen_agentchat.agents import BaseChatAgent

    wrap_overrides(patches, BaseChatAgent, _AGENT)


def _attach_teams(patches: Patches) -> None:
    from autogen_agentchat.teams import BaseGroupChat

    patches.wrap(BaseGroupChat, "run_stream", running_team)


def _creating(create: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    @functools.wraps(create)
    async def created(client: Framework, *args: object, **kwargs: object) -> object:
        call = begin(lambda: _asked(client, args, kwargs))
        with Making(call), Refusals():
            result: object = await create(client, *args, **kwargs)
        with safely():
            _answered(call, client, result)
        return result

    return created


def _streaming(create_stream: Callable[..., Chunks]) -> Callable[..., Chunks]:
    asks_for_usage = "include_usage" in inspect.signature(create_stream).parameters

    @functools.wraps(create_stream)
    async def streamed(client: Framework, *args: object, **kwargs: Any) -> Chunks:  # noqa: ANN401 (the client's own)
        call = begin(lambda: _asked(client, args, kwargs))
        with safely():
            if asks_for_usage and not _says_options(client, kwargs):
                # Otherwise the stream's last result says 0.
                kwargs.setdefault("include_usage", True)
        steps = stepped(create_stream(client, *args, **kwargs), Within(call))
        with Ending(call), Refusals():
            async with aclosing(steps):
                async for chunk in steps:
                    if not isinstance(chunk, str):
                        with safely():
                            _answered(call, client, chunk)
                    yield chunk

    return streamed


def _says_options(client: Framework, kwargs: dict[str, Any]) -> bool:
    options = (_made_with(client), kwargs.get("extra_create_args") or {})
    return any("stream_options" in each for each in options)


def _answered(call: Call, client: Framework, result: Framework) -> None:
    if result.cached:
        # Nobody was asked.
        call.done = True
        return
    usage = result.usage
    provider, model = _model(client)
    call.used(
        ResponseUsage(
            provider=provider,
            model=model,
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            tool_calls=len(result.content) if isinstance(result.content, list) else 0,
            usage_missing=not (usage.prompt_tokens or usage.completion_tokens),
        )
    )


def _asked(client: Framework, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Asked:
    provider, model = _model(client)
    extra = kwargs.get("extra_create_args") or {}
    return Asked(
        framework=FRAMEWORK,
        provider=provider,
        model=extra.get("model", model),
        prompt=args[0] if args else kwargs.get("messages"),
        found=handled_by(),
    )


def _made_with(client: Framework) -> dict[str, Any]:
    """The arguments of every request: no public name tells a client's model."""
    args: dict[str, Any] = getattr(client, "_create_args", {})
    return args


def _model(client: Framework) -> tuple[str, str]:
    kind = type(client)
    room = kind.__module__.removeprefix("autogen_ext.models.").partition(".")[0]
    provider = _ROOMS.get(room, room) if kind.__module__.startswith("autogen_ext.") else ""
    if kind.__name__.startswith("Azure"):
        provider = "azure"
    url = urlsplit(str(getattr(client, "_raw_config", {}).get("base_url") or ""))
    if url.hostname:
        provider = provider_at(url.hostname, url.port) or provider
    return provider, str(_made_with(client).get("model") or client.model_info.get("family") or "")


_LATER: Final[dict[str, Callable[[Patches], None]]] = {
    "autogen_agentchat.agents": _attach_agents,
    "autogen_agentchat.teams": _attach_teams,
}
_CLIENT: Final[dict[str, Wrapper]] = {"create": _creating, "create_stream": _streaming}
_AGENT: Final[dict[str, Wrapper]] = {
    "on_messages": answering,
    "on_messages_stream": streaming_answers,
}
