"""Which provider a span tells of, by the id that prices, responses and adapters give it."""

from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from tollway.domain.prices.names import ALIASES, plain_provider
from tollway.producers.adapters.hosts import provider_at
from tollway.producers.otel.names import Attributes, text

__all__ = ["provider_of"]

MAX_KNOWN: Final = 1024

_ADDRESSES: Final = ("server.address", "gen_ai.openai.api_base")
_NAMES: Final = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
# Frameworks that put their own name where the provider's belongs.
_NO_PROVIDERS: Final = frozenset(
    {
        "agent-framework",
        "autogen",
        "crewai",
        "haystack",
        "langchain",
        "langgraph",
        "litellm",
        "llamaindex",
        "microsoft-agent-framework",
        "openai-agents",
        "other",
        "strands-agents",
        "unknown",
    }
)


def provider_of(attributes: Attributes) -> str:
    """The provider; "" where none is named.

    An address that is known wins over a name: instrumentations call every provider that speaks
    OpenAI's dialect openai.
    """
    address = text(attributes, *_ADDRESSES)
    if address:
        port = attributes.get("server.port")
        at_address = _provider_at(address, port if isinstance(port, int) else None)
        if at_address:
            return at_address
    for name in _NAMES:
        said = text(attributes, name)
        if said and (provider := _provider(said)):
            return provider
    return ""


@lru_cache(maxsize=MAX_KNOWN)
def _provider_at(address: str, port: int | None) -> str:
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        return provider_at(parts.hostname or "", parts.port or port)
    except ValueError:
        # Whatever somebody wrote there, it is no address.
        return ""


@lru_cache(maxsize=MAX_KNOWN)
def _provider(said: str) -> str:
    plain = plain_provider(said)
    return "" if plain in _NO_PROVIDERS else ALIASES.get(plain, plain)
