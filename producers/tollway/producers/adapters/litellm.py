"""LiteLLM: its functions, asked for before they call a provider, and its streams.

What LiteLLM's own cache answers is no call. Each try of a `Router` is one; the `fallbacks` of one
call are one together, of the model that answered. Its own prices (`response_cost`, floats) are
not read. For its proxy see `litellm_proxy`.
"""

import functools
import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final

from tollway.producers.adapters.attaching import Detach
from tollway.producers.adapters.litellm_streams import Streams, asks_for_usage
from tollway.producers.adapters.patching import Patches
from tollway.producers.adapters.stainless_reading import refused
from tollway.producers.ambient import Fields
from tollway.producers.calls import Asked, Call, begin, open_call, safely
from tollway.producers.errors import CallBlocked
from tollway.producers.responses import ResponseUsage, usage_of
from tollway.producers.responses.providers import provider_id

__all__ = ["attach", "failed_usage", "provider_named"]

_FUNCTIONS: Final = {
    "litellm.main": (
        "completion",
        "acompletion",
        "text_completion",
        "atext_completion",
        "embedding",
        "aembedding",
        "transcription",
        "atranscription",
    ),
    "litellm.responses.main": ("responses", "aresponses"),
    "litellm.images.main": ("image_generation", "aimage_generation"),
    "litellm.llms.anthropic.messages.native.handler": ("anthropic_messages",),
    "litellm.google_genai.main": (
        "generate_content",
        "agenerate_content",
        "generate_content_stream",
        "agenerate_content_stream",
    ),
}
# Not everybody's LiteLLM has these.
_LATER: Final = frozenset(list(_FUNCTIONS)[-2:])
# LiteLLM's names for other ways to the same provider.
_PROVIDERS: Final = {
    "aiohttp_openai": "openai",
    "anthropic_text": "anthropic",
    "azure_speech": "azure",
    "azure_text": "azure",
    "bedrock_mantle": "aws",
    "codestral": "mistral",
    "cohere_chat": "cohere",
    "hosted_vllm": "vllm",
    "ollama_chat": "ollama",
    "text-completion-codestral": "mistral",
    "text-completion-openai": "openai",
    "vertex_ai_beta": "google",
}
# What LiteLLM's decorator calls the function that it decorates.
_DECORATED: Final = "original_function"
_PROMPTS: Final = ("messages", "input", "prompt", "contents")
# Not the trace's id: `Router` gives each request one of its own.
_SESSIONS: Final = ("litellm_session_id", "session_id")
_MAX_NAME: Final = 512
# Of the statuses that an error may have for `Router`, one after which it neither tries again nor
# keeps the deployment out of use for others.
_NOT_AGAIN: Final = 422


def attach() -> Detach:
    """Each function of the process, by whatever name the host has imported it before."""
    patches = Patches()
    streams = Streams(patches)
    decorated = [
        _Decorated(getattr(importlib.import_module(module), name))
        for module, names in _FUNCTIONS.items()
        if module in sys.modules or module not in _LATER
        for name in names
    ]
    for each in decorated:
        wrapper = _asking_async if inspect.iscoroutinefunction(each.function) else _asking
        each.replace(wrapper(each.function, streams))

    def detach() -> None:
        patches.undo()
        for each in decorated:
            each.restore()

    return detach


class _Decorated:
    """A function inside of LiteLLM's decorator, which looks into its cache and tries again.

    The decorated ones are all over the process by the time we come: imported by name by the host,
    kept by LiteLLM's own dispatch. What they call inside is in one place only.
    """

    def __init__(self, public: Any) -> None:  # noqa: ANN401 (a function of LiteLLM)
        names = public.__code__.co_freevars
        if _DECORATED not in names:
            raise AttributeError(f"litellm's {public.__name__} is not decorated as we know it")
        self._cell = public.__closure__[names.index(_DECORATED)]
        self.function: Callable[..., Any] = self._cell.cell_contents

    def replace(self, function: Callable[..., Any]) -> None:
        self._cell.cell_contents = function

    def restore(self) -> None:
        self._cell.cell_contents = self.function


def _asking(function: Callable[..., Any], streams: Streams) -> Callable[..., Any]:
    asking = _Asking(function, streams)

    @functools.wraps(function)
    def asked(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (whatever LiteLLM takes and gives)
        arguments = asking.named(args, kwargs)
        call = asking.begin(arguments)
        if call is None:
            return function(*args, **kwargs)
        injected = asking.injected(arguments)
        with _Trying(call):
            result = function(*args, **{**kwargs, **injected})
        return asking.answered(call, result, is_async=False, hides_usage=bool(injected))

    return asked


def _asking_async(
    function: Callable[..., Awaitable[Any]], streams: Streams
) -> Callable[..., Awaitable[Any]]:
    asking = _Asking(function, streams)

    @functools.wraps(function)
    async def asked(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as above)
        arguments = asking.named(args, kwargs)
        call = asking.begin(arguments)
        if call is None:
            return await function(*args, **kwargs)
        injected = asking.injected(arguments)
        with _Trying(call):
            result = await function(*args, **{**kwargs, **injected})
        return asking.answered(call, result, is_async=True, hides_usage=bool(injected))

    return asked


class _Trying:
    """One try: what is called inside is a part of it; an exception is its end, and goes on."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._running = call.running()

    def __enter__(self) -> None:
        self._running.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.__exit__(None, None, None)
        if error is None:
            return
        with safely():
            self._call.failed(error, _known_of(error))


class _Asking:
    """What is done around one of LiteLLM's functions, whether it is awaited or not."""

    def __init__(self, function: Callable[..., Any], streams: Streams) -> None:
        self._name = function.__name__
        names = tuple(inspect.signature(function).parameters)
        # Some of the asynchronous ones take whatever they are given.
        self._names = ("model", "input") if names[0] == "args" else names
        self._streams = streams

    def named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        return {**dict(zip(self._names, args, strict=False)), **kwargs}

    def begin(self, arguments: dict[str, Any]) -> Call | None:
        """None for a call that is only the inside of another function of LiteLLM."""
        asked: Asked | None = None
        with safely():
            asked = _asked(arguments)
        if asked is None or _is_inside(asked):
            return None
        known = asked
        try:
            return begin(lambda: known)
        except CallBlocked as blocked:
            vars(blocked)["status_code"] = _NOT_AGAIN
            raise

    def injected(self, arguments: dict[str, Any]) -> dict[str, Any]:
        with safely():
            if asks_for_usage(self._name, arguments):
                return {"stream_options": {"include_usage": True}}
        return {}

    def answered(self, call: Call, result: Any, *, is_async: bool, hides_usage: bool) -> Any:  # noqa: ANN401 (LiteLLM's)
        with safely():
            # What is awaited later is the inside of the function that awaits it.
            if inspect.isawaitable(result):
                return result
            provider = _provider_of(result, call)
            stream = self._streams.take(
                result, call, provider, is_async=is_async, hides_usage=hides_usage
            )
            if stream is not None:
                return stream
            call.used(usage_of(result, provider=provider or None))
        return result


def failed_usage(error: object) -> Fields:
    """What a call used that ended in this error, as an event's fields."""
    usage = _known_of(error) if isinstance(error, BaseException) else None
    return {"usage_missing": True} if usage is None else usage.fields()


def _known_of(error: BaseException) -> ResponseUsage | None:
    # LiteLLM gives a timeout and a broken connection a status too, which nobody answered.
    unanswered = "APIConnectionError" in {each.__name__ for each in type(error).__mro__}
    return None if unanswered else refused(error)


def _is_inside(asked: Asked) -> bool:
    around = open_call()
    outer = None if around is None else around.asked
    return outer is not None and (outer.framework, outer.provider, outer.model) == (
        asked.framework,
        asked.provider,
        asked.model,
    )


def _asked(arguments: dict[str, Any]) -> Asked:
    provider, model = _provider_and_model(arguments)
    prompt = next((arguments[name] for name in _PROMPTS if arguments.get(name)), None)
    return Asked(
        framework="litellm",
        provider=provider,
        model=model,
        prompt=prompt,
        found={**_found_in(arguments), "requested_model": str(arguments.get("model") or "")},
    )


def _provider_and_model(arguments: dict[str, Any]) -> tuple[str, str]:
    litellm = sys.modules["litellm"]
    model, named = str(arguments.get("model") or ""), arguments.get("custom_llm_provider")
    address = arguments.get("api_base") or arguments.get("base_url")
    try:
        plain, provider, _, _ = litellm.get_llm_provider(
            model, custom_llm_provider=named, api_base=address
        )
    except litellm.exceptions.BadRequestError:
        # LiteLLM will say so itself.
        return provider_named(named), model
    return provider_named(provider), plain


def _provider_of(result: Any, call: Call) -> str:  # noqa: ANN401 (LiteLLM's)
    """Who answered: after a fallback it is not who was asked."""
    hidden = getattr(result, "_hidden_params", None)
    said = hidden.get("custom_llm_provider") if isinstance(hidden, dict) else None
    said = said or getattr(result, "custom_llm_provider", None)
    return provider_named(said) or ("" if call.asked is None else call.asked.provider)


def provider_named(name: object) -> str:
    """The price list's id for LiteLLM's name; "" for what is none."""
    if not isinstance(name, str) or not name:
        return ""
    return _PROVIDERS.get(name) or provider_id(name)


def _found_in(request: dict[str, Any]) -> Fields:
    """What a request tells of who asks: a session, a user."""
    metadata = request.get("metadata")
    known = {**(metadata if isinstance(metadata, dict) else {}), **request}
    session = next((known[name] for name in _SESSIONS if known.get(name)), "")
    return {
        "session": str(session)[:_MAX_NAME],
        "user": str(request.get("user") or "")[:_MAX_NAME],
    }
