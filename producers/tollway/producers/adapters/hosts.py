"""Which provider answers at an address: SDKs are used with many that speak their dialect."""

import functools
from typing import Final

__all__ = ["provider_at"]

MAX_HOSTS: Final = 1024

# The ids are those of our price list, where it has the provider.
_PROVIDERS: Final = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter",
    "api.together.xyz": "together",
    "api.together.ai": "together",
    "api.x.ai": "x-ai",
    "api.mistral.ai": "mistral",
    "codestral.mistral.ai": "mistral",
    "api.fireworks.ai": "fireworks",
    "api.perplexity.ai": "perplexity",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.cerebras.ai": "cerebras",
    "api.moonshot.ai": "moonshotai",
    "api.moonshot.cn": "moonshotai",
    "api.z.ai": "zai",
    "open.bigmodel.cn": "zhipuai",
    "api.minimax.io": "minimax",
    "api.novita.ai": "novita",
    "api.studio.nebius.com": "nebius",
    "api.deepinfra.com": "deepinfra",
    "api.hyperbolic.xyz": "hyperbolic",
    "api.sambanova.ai": "sambanova",
    "integrate.api.nvidia.com": "nvidia",
    "dashscope.aliyuncs.com": "alibaba",
    "dashscope-intl.aliyuncs.com": "alibaba",
    "router.huggingface.co": "huggingface",
    "api.writer.com": "writer",
    "api.githubcopilot.com": "github-copilot",
    "generativelanguage.googleapis.com": "google",
}
_SUFFIXES: Final = (
    (".openai.azure.com", "azure"),
    (".services.ai.azure.com", "azure"),
    (".cognitiveservices.azure.com", "azure"),
    (".models.ai.azure.com", "azure"),
    (".openai.com", "openai"),
    (".amazonaws.com", "aws"),
    (".api.aws", "aws"),
    ("aiplatform.googleapis.com", "google"),
    (".rep.googleapis.com", "google"),
    (".api.x.ai", "x-ai"),
)
# Servers of models on one's own machine, by the ports that they come with.
_LOCAL: Final = {11434: "ollama", 1234: "lmstudio"}


@functools.lru_cache(maxsize=MAX_HOSTS)
def provider_at(host: str, port: int | None) -> str:
    """The provider's id; "" for an address that tells nothing."""
    known = _PROVIDERS.get(host)
    if known is not None:
        return known
    for suffix, provider in _SUFFIXES:
        if host.endswith(suffix):
            return provider
    return _LOCAL.get(port or 0, "")
