"""What a result of LangChain used: its messages say it in one way for all providers."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollway.producers.responses import ResponseUsage, usage_of
from tollway.producers.responses.fields import count_or_0
from tollway.producers.responses.providers import provider_id

__all__ = ["is_cached", "partial_usage", "provider_named", "result_usage"]

# OpenAI's tiers, which LangChain puts before the names of the parts that they price otherwise.
_TIERS: Final = ("", "priority_", "flex_")
# Whose own usage object a message carries beside LangChain's, says more than that, and how what
# it came with looked.
_RAW: Final[dict[str, dict[str, object]]] = {
    "openai": {"object": "chat.completion", "choices": []},
    "anthropic": {"type": "message"},
}

Told = Mapping[str, Any]  # `usage_metadata`, or whatever a provider's package put there


def result_usage(result: Any, provider: str) -> ResponseUsage:  # noqa: ANN401 (an LLMResult)
    """Of a whole answer. `usage_missing` where it does not say, as in streams without usage."""
    message = _message(result)
    said = {
        **(getattr(result, "llm_output", None) or {}),
        **(getattr(message, "response_metadata", None) or {}),
    }
    provider = provider_named(said.get("model_provider")) or provider
    told = _told(message)
    usage = _from_raw(said, provider) if told is None or provider in _RAW else None
    if usage is None:
        usage = _from_told(told, said, provider)
    return msgspec.structs.replace(usage, tool_calls=len(getattr(message, "tool_calls", ())))


def partial_usage(result: Any, provider: str) -> ResponseUsage | None:  # noqa: ANN401 (as above)
    """Of an answer that broke off, as far as it was told by then."""
    if _told(_message(result)) is None:
        return None
    return msgspec.structs.replace(result_usage(result, provider), usage_missing=True)


def is_cached(result: Any) -> bool:  # noqa: ANN401 (as above)
    """LangChain's cache has answered: that is how its messages are marked then."""
    told = _told(_message(result))
    return told is not None and told.get("total_cost") == 0


def _message(result: Any) -> Any:  # noqa: ANN401 (None, or a message of LangChain)
    """The first answer: where there are several choices, each says the usage of all."""
    for generations in getattr(result, "generations", ()):
        for generation in generations:
            message = getattr(generation, "message", None)
            if message is not None:
                return message
    return None


def _told(message: Any) -> Told | None:  # noqa: ANN401 (as above)
    told: Told | None = getattr(message, "usage_metadata", None)
    return told


def _from_raw(said: Told, provider: str) -> ResponseUsage | None:
    raw = said.get("token_usage") or said.get("usage")
    shape = _RAW.get(provider, _RAW["openai"])
    if not isinstance(raw, Mapping):
        return None
    named = {name: said[name] for name in ("id", "service_tier") if name in said}
    body = {**shape, **named, "model": _model(said), "usage": raw}
    usage = usage_of(body, provider=provider or None)
    return None if usage.usage_missing else usage


def _from_told(told: Told | None, said: Told, provider: str) -> ResponseUsage:
    identity = str(said.get("id") or "")
    named = ResponseUsage(
        id=identity,
        source=provider if identity else "",
        provider=provider,
        model=_model(said),
        service_tier=str(said.get("service_tier") or ""),
        usage_missing=True,
    )
    if told is None:
        return named
    given = told.get("input_token_details") or {}
    made = told.get("output_token_details") or {}
    one_hour = count_or_0(given.get("ephemeral_1h_input_tokens"))
    five_minutes = count_or_0(given.get("ephemeral_5m_input_tokens"))
    return msgspec.structs.replace(
        named,
        input_tokens=count_or_0(told.get("input_tokens")),
        output_tokens=count_or_0(told.get("output_tokens")),
        cache_read_tokens=_part(given, "cache_read"),
        cache_write_tokens=_part(given, "cache_creation") + five_minutes + one_hour,
        cache_write_1h_tokens=one_hour,
        input_audio_tokens=count_or_0(given.get("audio")),
        reasoning_tokens=_part(made, "reasoning"),
        output_audio_tokens=count_or_0(made.get("audio")),
        usage_missing=False,
    )


def _part(details: Told, name: str) -> int:
    for tier in _TIERS:
        count = details.get(tier + name)
        if count is not None:
            return count_or_0(count)
    return 0


def provider_named(name: object) -> str:
    """The price list's id of it; "" for what is no name."""
    return provider_id(name) if isinstance(name, str) and name else ""


def _model(said: Told) -> str:
    return str(said.get("model_name") or said.get("model") or "")
