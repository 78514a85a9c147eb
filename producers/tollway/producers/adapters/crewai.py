"""CrewAI: models metered where they are called, tools by hooks, both refused before they run.

Its event bus tells listeners later and in other threads, so it cannot refuse; its hooks can.
`instrument("crewai")`, or `TollwayListener()` beside the crews, as CrewAI's own listeners are made.
"""

import functools
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final, Self

import msgspec

from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.crewai_tools import (
    FRAMEWORK,
    after_tool,
    before_tool,
    found_of,
    note_error,
)
from tollway.producers.adapters.making import Making
from tollway.producers.adapters.overriding import wrap_overrides
from tollway.producers.adapters.passing import Refusals
from tollway.producers.adapters.patching import Patches
from tollway.producers.calls import Asked, begin, safely
from tollway.producers.responses import ResponseUsage

__all__ = ["TollwayListener", "attach"]

_PROVIDERS: Final = {"gemini": "google", "bedrock": "aws", "azure_openai": "azure"}
# What a model's `call` takes, in this order.
_ARGUMENTS: Final = (
    "messages",
    "tools",
    "callbacks",
    "available_functions",
    "from_task",
    "from_agent",
    "response_model",
)
# The framework's own objects: it is not there when this is type-checked.
Framework = Any


class TollwayListener:
    """Meters every crew of the process, as any listener of CrewAI's hears of every crew."""

    def __init__(self) -> None:
        self.close: Final[Detach] = attach()


def attach() -> Detach:
    """Every model and tool of every crew and agent, those that are there already too.

    Attached twice it is attached once, until both are taken off.
    """
    with _lock:
        if not _holders:
            _undo.append(_attach())
        holder = object()
        _holders.append(holder)

    def detach() -> None:
        with _lock:
            if holder in _holders:
                _holders.remove(holder)
                if not _holders:
                    _undo.pop()()

    return detach


_lock = threading.Lock()
_holders: list[object] = []
_undo: list[Detach] = []


def _attach() -> Detach:
    from crewai import BaseLLM
    from crewai.events.event_bus import CrewAIEventsBus
    from crewai.hooks import (
        register_after_tool_call_hook,
        register_before_tool_call_hook,
        unregister_after_tool_call_hook,
        unregister_before_tool_call_hook,
    )

    patches = Patches()
    tracking = "_track_token_usage_internal"
    patches.wrap(BaseLLM, tracking, _tracking)
    wrap_overrides(
        patches, BaseLLM, {"call": _calling, "acall": _awaiting_call, tracking: _tracking}
    )
    patches.wrap(CrewAIEventsBus, "emit", _emitting)
    register_before_tool_call_hook(before_tool)
    register_after_tool_call_hook(after_tool)

    def detach() -> None:
        patches.undo()
        unregister_before_tool_call_hook(before_tool)
        unregister_after_tool_call_hook(after_tool)

    return detach


class _Heard:
    """What one call of a model tells while it runs: it may ask the provider more than once."""

    def __init__(self) -> None:
        self.usages: list[Any] = []
        self.response_ids: list[str] = []

    def __enter__(self) -> Self:
        self._before = _heard.get()
        _heard.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        _heard.set(self._before)


_heard: ContextVar[_Heard | None] = ContextVar("tollway_crewai_heard", default=None)


def _calling(call_model: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call_model)
    def called(llm: Framework, *args: object, **kwargs: object) -> object:
        with _refusals():
            call = begin(lambda: _asked(llm, args, kwargs))
            with Making(call), _Heard() as heard:
                answer: object = call_model(llm, *args, **kwargs)
            with safely():
                call.used(_usage(llm, heard, answer))
            return answer

    return called


def _awaiting_call(call_model: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    @functools.wraps(call_model)
    async def called(llm: Framework, *args: object, **kwargs: object) -> object:
        with _refusals():
            call = begin(lambda: _asked(llm, args, kwargs))
            with Making(call), _Heard() as heard:
                answer: object = await call_model(llm, *args, **kwargs)
            with safely():
                call.used(_usage(llm, heard, answer))
            return answer

    return called


def _refusals() -> Refusals:
    # The one exception that CrewAI lets through wherever it goes on without a model's answer.
    from crewai.hooks.dispatch import HookAborted

    return Refusals(HookAborted)


def _tracking(track: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(track)
    def tracked(llm: Framework, usage: Any) -> object:  # noqa: ANN401 (the provider's own)
        heard = _heard.get()
        # An override may hand it up to its parent's.
        if heard is not None and not any(usage is each for each in heard.usages):
            heard.usages.append(usage)
        return track(llm, usage)

    return tracked


def _emitting(emit: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(emit)
    def emitted(bus: Framework, source: object, event: Framework) -> object:
        with safely():
            _hear(event)
        return emit(bus, source, event)

    return emitted


def _hear(event: Framework) -> None:
    kind = type(event).__name__
    if kind == "LLMCallCompletedEvent":
        heard = _heard.get()
        if heard is not None and event.response_id:
            heard.response_ids.append(event.response_id)
    elif kind == "ToolUsageErrorEvent" and isinstance(event.error, BaseException):
        note_error(event.error)


def _asked(llm: Framework, args: tuple[object, ...], kwargs: dict[str, object]) -> Asked:
    given: dict[str, Any] = {**dict(zip(_ARGUMENTS, args, strict=False)), **kwargs}
    provider, model = _model(llm)
    return Asked(
        framework=FRAMEWORK,
        provider=provider,
        model=model,
        prompt=given.get("messages"),
        found=found_of(given.get("from_agent"), given.get("from_task")),
    )


def _model(llm: Framework) -> tuple[str, str]:
    provider, model = str(llm.provider or ""), str(llm.model)
    # LiteLLM's names begin with the provider's.
    return _PROVIDERS.get(provider, provider), model.removeprefix(f"{provider}/")


def _usage(llm: Framework, heard: _Heard, answer: object) -> ResponseUsage:
    provider, model = _model(llm)
    counts: dict[str, int] = {}
    for usage in heard.usages:
        for field, count in _counts(usage).items():
            counts[field] = counts.get(field, 0) + count
    ids = set(heard.response_ids)
    # More than one: together they are no response that anybody else could name.
    identity = {"id": ids.pop(), "source": provider} if len(ids) == 1 else {}
    told = {
        **identity,
        **counts,
        "provider": provider,
        "model": model,
        "tool_calls": len(answer) if isinstance(answer, list) else 0,
        "usage_missing": not any(counts.values()),
    }
    return msgspec.convert(told, ResponseUsage)


def _counts(usage: Any) -> dict[str, int]:  # noqa: ANN401 (a provider's own, or CrewAI's of it)
    from crewai.types.usage_metrics import UsageMetrics

    if "inputTokens" in usage:
        # Bedrock's own, whose input is without what the caches read and wrote.
        read = usage.get("cacheReadInputTokens") or 0
        written = usage.get("cacheWriteInputTokens") or 0
        return {
            "input_tokens": usage["inputTokens"] + read + written,
            "output_tokens": usage.get("outputTokens") or 0,
            "cache_read_tokens": read,
            "cache_write_tokens": written,
        }
    if hasattr(usage, "model_dump"):
        # LiteLLM's own: CrewAI passes it on as it is, and reads no details of it.
        usage = usage.model_dump()
    metrics = UsageMetrics.from_provider_dict(usage)
    if metrics is None:
        return {}
    details = usage.get("completion_tokens_details") or {}
    return {
        "input_tokens": metrics.prompt_tokens,
        "output_tokens": metrics.completion_tokens,
        "cache_read_tokens": metrics.cached_prompt_tokens,
        "cache_write_tokens": metrics.cache_creation_tokens,
        "reasoning_tokens": metrics.reasoning_tokens or details.get("reasoning_tokens") or 0,
    }
