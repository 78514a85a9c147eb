"""What a response of Pydantic AI says was used: its counts are inclusive, as ours."""

from collections.abc import Sequence
from typing import Final, Protocol

from tollway.producers.responses import ResponseUsage

__all__ = ["provider_of", "response_usage"]

_TOOL_CALL: Final = "tool-call"
_NATIVE_CALL: Final = "builtin-tool-call"
_SEARCH: Final = "web_search"
_DONE: Final = ("complete", "suspended")
# Where the framework's name for a provider is not that of our price list and of other adapters.
_PROVIDERS: Final = {
    "bedrock": "aws",
    "bedrock-mantle": "aws",
    "google-cloud": "google",
    "xai": "x-ai",
}


class _Usage(Protocol):
    """`RequestUsage`. Units that it has no field for it adds as attributes."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    input_audio_tokens: int
    output_audio_tokens: int
    cache_audio_read_tokens: int
    details: dict[str, int]


class _Response(Protocol):
    """`ModelResponse`. `state`: whether it came to its end."""

    parts: Sequence[object]
    usage: _Usage
    model_name: str | None
    provider_name: str | None
    provider_response_id: str | None
    provider_details: dict[str, object] | None
    state: str


def response_usage(response: _Response) -> ResponseUsage:
    """It has no service tier, save where a provider's details do."""
    usage = response.usage
    provider = provider_of(response.provider_name)
    kinds = [getattr(part, "part_kind", "") for part in response.parts]
    tier = (response.provider_details or {}).get("service_tier")
    response_id = response.provider_response_id or ""
    return ResponseUsage(
        id=response_id,
        source=provider if response_id else "",
        provider=provider,
        model=response.model_name or "",
        service_tier=tier if isinstance(tier, str) else "",
        tool_calls=kinds.count(_TOOL_CALL),
        searches=_searches(response.parts),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=_count(usage, "cache_write_1h_tokens"),
        reasoning_tokens=_count(usage, "output_reasoning_tokens")
        or usage.details.get("reasoning_tokens", 0),
        input_audio_tokens=usage.input_audio_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        cache_read_audio_tokens=usage.cache_audio_read_tokens,
        usage_missing=response.state not in _DONE
        or not (usage.input_tokens or usage.output_tokens),
    )


def provider_of(name: str | None) -> str:
    return _PROVIDERS.get(name or "", name or "")


def _count(usage: _Usage, name: str) -> int:
    value = getattr(usage, name, 0)
    return value if isinstance(value, int) else 0


def _searches(parts: Sequence[object]) -> int:
    return sum(
        getattr(part, "part_kind", "") == _NATIVE_CALL and getattr(part, "tool_name", "") == _SEARCH
        for part in parts
    )
