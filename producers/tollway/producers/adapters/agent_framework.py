"""Microsoft Agent Framework: agents, models and tools metered by middleware.

For one agent: `Agent(client, middleware=middleware())`. For all: `instrument("agent_framework")`.
"""

import functools
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final

import msgspec

from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.frames import agent_runs
from tollway.producers.adapters.making import Making
from tollway.producers.adapters.passing import Refusals
from tollway.producers.adapters.patching import Patches
from tollway.producers.ambient import Fields
from tollway.producers.calls import Asked, Call, begin, safely
from tollway.producers.responses import Reader, ResponseUsage, usage_of

__all__ = ["attach", "middleware"]

FRAMEWORK: Final = "agent_framework"
# OpenTelemetry's names of providers, which the clients carry, in those of the price lists.
_PROVIDERS: Final = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.foundry": "azure",
    "google.vertex.ai": "google",
    "aws.bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "mistral_ai": "mistral",
}
_COUNTS: Final = {
    "input_token_count": "input_tokens",
    "output_token_count": "output_tokens",
    "cache_read_input_token_count": "cache_read_tokens",
    "cache_creation_input_token_count": "cache_write_tokens",
    "reasoning_output_token_count": "reasoning_tokens",
    "prompt/audio_tokens": "input_audio_tokens",
    "completion/audio_tokens": "output_audio_tokens",
}
# The framework's own objects: it is not there when this is type-checked.
Framework = Any
# The framework's counts by its names.
Details = dict[str, int | None]
Next = Callable[[], Awaitable[None]]


def attach() -> Detach:
    """Every run of an agent, and every call of a chat client without one, has our middleware."""
    from agent_framework import AgentMiddlewareLayer, ChatMiddlewareLayer, FunctionInvocationLayer

    patches = Patches()
    patches.wrap(AgentMiddlewareLayer, "run", _given_to_run)
    patches.wrap(ChatMiddlewareLayer, "get_response", functools.partial(_given_to_client, _CHAT))
    patches.wrap(
        FunctionInvocationLayer, "get_response", functools.partial(_given_to_client, _FUNCTION)
    )
    return patches.undo


def middleware() -> list[Framework]:
    """The three that belong together: `Agent(middleware=...)` or `agent.run(middleware=...)`."""
    return list(_parts())


@functools.cache
def _parts() -> tuple[Framework, ...]:
    from agent_framework import agent_middleware, chat_middleware, function_middleware

    return agent_middleware(_run), chat_middleware(_chat), function_middleware(_tool)


_CHAT: Final = 1
_FUNCTION: Final = 2


def _given_to_run(run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def given(agent: Framework, *args: object, **kwargs: Any) -> object:  # noqa: ANN401 (its own)
        with safely():
            own = kwargs.get("middleware")
            if own is None or isinstance(own, list | tuple):
                kwargs["middleware"] = [*(own or ()), *_parts()]
        return run(agent, *args, **kwargs)

    return given


def _given_to_client(which: int, get_response: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(get_response)
    def given(client: Framework, *args: object, **kwargs: Any) -> object:  # noqa: ANN401 (its own)
        with safely():
            ours = _parts()[which]
            options = dict(kwargs.get("client_kwargs") or {})
            own = options.get("middleware") or ()
            if isinstance(own, list | tuple) and ours not in own:
                # The last is the innermost: a host's middleware may answer without the model.
                kwargs["client_kwargs"] = {**options, "middleware": [*own, ours]}
        return get_response(client, *args, **kwargs)

    return given


async def _run(context: Framework, call_next: Next) -> None:
    """An agent's run: its name and session are those of the calls inside."""
    with agent_runs(FRAMEWORK, lambda: _agent(context)) as call:
        await call_next()
    if context.stream and context.result is not None:
        with safely():
            context.result.with_pull_context_manager(call.running)


async def _chat(context: Framework, call_next: Next) -> None:
    """A call of a model."""
    call = begin(lambda: _asked(context))
    # A client words every exception anew, one of the provider's SDK's adapter too.
    with Making(call), Refusals():
        await call_next()
    with safely():
        if context.stream:
            _Watch(call, _provider(context.client)).over(context.result)
        else:
            call.used(_usage(context.result, _provider(context.client)))


async def _tool(context: Framework, call_next: Next) -> None:
    """A call of a tool. Other exceptions than the framework's own would be told to the model."""
    from agent_framework import MiddlewareFailure

    # The tool may be an agent, or call a model by itself.
    with Refusals(MiddlewareFailure):
        call = begin(lambda: _asked_tool(context))
        with Making(call):
            await call_next()
    with safely():
        call.returned(_shown(context.result))


class _Watch:
    """One stream of a model: counted at its end, at `close`, or when the host drops it.

    It is entered around each step of the stream.
    """

    def __init__(self, call: Call, provider: str) -> None:
        self._call = call
        self._provider = provider
        self._reader = Reader(provider=provider or None)
        self._error: BaseException | None = None
        self._ended = False
        self._details: Details = {}
        self._told: ResponseUsage | None = None
        self._running: AbstractContextManager[Call] = call.running()

    def over(self, stream: Framework) -> None:
        stream.with_transform_hook(self._feed)
        stream.with_pull_context_manager(lambda: self)
        stream.with_cleanup_hook(self.finish)

    def __enter__(self) -> None:
        self._running = self._call.running()
        self._running.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.__exit__(None, None, None)
        if isinstance(error, StopAsyncIteration):
            self._ended = True
        elif error is not None:
            self._error = error

    def _feed(self, update: Framework) -> None:
        with safely():
            if update.raw_representation is not None:
                self._reader.feed(update.raw_representation)
            for content in update.contents:
                if content.type == "usage":
                    # Each adds to the last one, unless it says that it is the whole.
                    before = {} if content.merge_mode == "replace" else self._details
                    self._details = _sum(before, content.usage_details)
                    self._told = _counted(self._details, update, self._provider, tool_calls=0)

    def finish(self) -> None:
        """Once; what comes later is passed over."""
        with safely():
            usage = self._reader.usage()
            if usage.usage_missing and self._told is not None:
                usage = self._told
            if self._ended:
                self._call.used(usage)
            elif self._error is not None:
                self._call.failed(self._error, usage)
            else:
                self._call.aborted(usage)

    def __del__(self) -> None:
        self.finish()


def _agent(context: Framework) -> Fields:
    return {"agent": context.agent.name, "session": _session(context)}


def _session(context: Framework) -> str | None:
    session: str | None = getattr(context.session, "session_id", None)
    return session


def _asked(context: Framework) -> Asked:
    options = context.options or {}
    return Asked(
        framework=FRAMEWORK,
        provider=_provider(context.client),
        model=options.get("model") or getattr(context.client, "model", "") or "",
        prompt=[_told(message) for message in context.messages],
        found={"session": _session(context)},
    )


def _told(message: Framework) -> list[object]:
    """What a prompt is known by again. Not `to_dict`: a history is gone through at every call."""
    return [str(message.role), *map(_said, message.contents)]


def _said(content: Framework) -> object:
    if content.type == "text":
        return content.text
    parts = ("name", "arguments", "result", "uri", "text")
    return [content.type, *(getattr(content, part, None) for part in parts)]


def _asked_tool(context: Framework) -> Asked:
    arguments = context.arguments
    return Asked(
        kind="tool",
        framework=FRAMEWORK,
        tool=context.function.name,
        arguments=dict(arguments) if hasattr(arguments, "keys") else arguments,
        found={"session": _session(context)},
    )


def _shown(result: Framework) -> object:
    """A tool's result as the model is told it."""
    texts = isinstance(result, list) and all(getattr(each, "type", "") == "text" for each in result)
    return "".join(each.text for each in result) if texts else result


def _provider(client: Framework) -> str:
    name = str(getattr(client, "OTEL_PROVIDER_NAME", "") or "")
    return "" if name == "unknown" else _PROVIDERS.get(name, name)


def _usage(response: Framework, provider: str) -> ResponseUsage:
    """From the provider's own response where the client hands it on: it says the most."""
    raw = response.raw_representation
    if getattr(raw, "usage", None) is not None:
        usage = usage_of(raw, provider=provider or None)
        if not usage.usage_missing:
            return usage
    calls = sum(
        content.type == "function_call"
        for message in response.messages
        for content in message.contents
    )
    return _counted(response.usage_details, response, provider, tool_calls=calls)


def _sum(before: Details, more: Details) -> Details:
    return {name: (before.get(name) or 0) + (more.get(name) or 0) for name in {*before, *more}}


def _counted(
    details: Details | None, told: Framework, provider: str, *, tool_calls: int
) -> ResponseUsage:
    details = details or {}
    counts = {field: details.get(name) or 0 for name, field in _COUNTS.items()}
    if any(name.startswith("anthropic.") for name in details):
        # Its input is without what the caches read and wrote.
        counts["input_tokens"] += counts["cache_read_tokens"] + counts["cache_write_tokens"]
    identity = {"id": told.response_id, "source": provider} if told.response_id else {}
    fields = {
        **identity,
        **counts,
        "provider": provider,
        "model": told.model or "",
        "tool_calls": tool_calls,
        "usage_missing": not any(counts.values()),
    }
    return msgspec.convert(fields, ResponseUsage)
