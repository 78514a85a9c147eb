"""Whose response it is: the ids that our price catalogue knows, and what gives them away."""

from functools import lru_cache
from typing import Final

from tollway.producers.responses.fields import Fields, fields_of, items
from tollway.producers.responses.seen import Seen

__all__ = ["maker_of", "provider_id", "provider_of"]

_MAX_SPELLINGS: Final = 256
_IDS: Final = frozenset(
    {"anthropic", "aws", "azure", "cohere", "deepseek", "google", "groq", "mistral"}
    | {"openai", "openrouter", "together", "fireworks", "perplexity", "x-ai"}
)
_IDS_OF: Final = (
    ("gen-", "openrouter"),
    ("msg_bdrk_", "aws"),
    ("msg_vrtx_", "google"),
    ("msg_", "anthropic"),
)
_KEYS_OF: Final = (
    ("x_groq", "groq"),
    ("time_info", "cerebras"),
    ("prompt_filter_results", "azure"),
    ("content_filters", "azure"),
)
_USAGE_KEYS_OF: Final = (
    ("cost_in_usd_ticks", "x-ai"),
    ("prompt_cache_hit_tokens", "deepseek"),
    ("num_cached_tokens", "mistral"),
)
# Of the makers who sell their models themselves, by how these are called.
_MAKERS: Final = (
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-", "openai"),
    ("davinci-", "openai"),
    ("babbage-", "openai"),
    ("dall-e", "openai"),
    ("whisper-1", "openai"),
    ("tts-1", "openai"),
    ("codex-", "openai"),
    ("computer-use-", "openai"),
    ("omni-moderation-", "openai"),
    ("openai.", "aws"),
    ("claude-", "anthropic"),
    ("gemini-", "google"),
    ("grok-", "x-ai"),
    ("deepseek-", "deepseek"),
    ("mistral-", "mistral"),
    ("ministral-", "mistral"),
    ("magistral-", "mistral"),
    ("codestral-", "mistral"),
    ("devstral-", "mistral"),
    ("pixtral-", "mistral"),
    ("voxtral-", "mistral"),
    ("open-mi", "mistral"),
    ("sonar", "perplexity"),
    ("kimi-", "moonshotai"),
    ("moonshot-", "moonshotai"),
    ("glm-", "zai"),
    ("command", "cohere"),
    ("voyage-", "voyageai"),
    ("palmyra-", "writer"),
    ("accounts/fireworks/", "fireworks"),
)
# Open models, whose names begin like others.
_OPEN: Final = ("gpt-oss", "deepseek-ai/", "mistral-community/")


@lru_cache(maxsize=_MAX_SPELLINGS)
def provider_id(spelling: str) -> str:
    """The catalogue's id for a framework's spelling of a provider."""
    if spelling in _IDS:
        return spelling
    # Imported here because with it comes the price book, for which a metered call does not wait.
    from tollway.domain.prices.names import ALIASES, plain_provider

    plain = plain_provider(spelling)
    return ALIASES.get(plain, plain)


def provider_of(body: Fields, seen: Seen) -> str:
    """Who answered, by what only one provider writes; "" where nothing gives it away."""
    for beginning, provider in _IDS_OF:
        if seen.id.startswith(beginning):
            return provider
    for key, provider in _KEYS_OF:
        if body.get(key) is not None:
            return provider
    for choice in items(body.get("choices")):
        if choice.get("content_filter_results") is not None:
            return "azure"
    usage = fields_of(body.get("usage"))
    if usage is not None:
        for key, provider in _USAGE_KEYS_OF:
            if usage.get(key) is not None:
                return provider
    inner = fields_of(body.get("response"))
    return maker_of(seen.model) if inner is None else provider_of(inner, seen)


@lru_cache(maxsize=_MAX_SPELLINGS)
def maker_of(model: str) -> str:
    """Who makes and sells a model of that name; "" for open ones, which many sell."""
    if model.startswith(_OPEN):
        return ""
    for beginning, provider in _MAKERS:
        if model.startswith(beginning):
            return provider
    return ""
