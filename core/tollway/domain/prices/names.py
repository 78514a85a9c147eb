"""Which provider a name means, and which listed names a reported model name may stand for.

A dated or versioned name stands for its model; a longer name never stands for a shorter one.
"""

import re
from collections.abc import Iterator

__all__ = [
    "ALIASES",
    "UNLISTED_HOSTS",
    "is_bedrock_name",
    "name_forms",
    "plain_provider",
    "strip_qualifier",
]

# Plain spellings (see `plain_provider`) of providers by frameworks and by OpenTelemetry, and the
# ids that genai-prices gives them. The ids themselves need no entry.
ALIASES: dict[str, str] = {
    "amazon": "aws",
    "amazon-bedrock": "aws",
    "aws-bedrock": "aws",
    "bedrock": "aws",
    "bedrock-converse": "aws",
    "az-ai-inference": "azure",
    "az-ai-openai": "azure",
    "azure-ai": "azure",
    "azure-ai-foundry": "azure",
    "azure-ai-inference": "azure",
    "azure-ai-openai": "azure",
    "azure-openai": "azure",
    "claude": "anthropic",
    "cohere-ai": "cohere",
    "copilot": "github-copilot",
    "fireworks-ai": "fireworks",
    "gcp-gemini": "google",
    "gcp-gen-ai": "google",
    "gcp-vertex-ai": "google",
    "gemini": "google",
    "google-ai": "google",
    "google-ai-studio": "google",
    "google-gemini": "google",
    "google-gla": "google",
    "google-genai": "google",
    "google-generativeai": "google",
    "google-vertex": "google",
    "google-vertex-ai": "google",
    "vertex-ai": "google",
    "vertexai": "google",
    "mistral-ai": "mistral",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "moonshot-ai": "moonshotai",
    "novita-ai": "novita",
    "openai-chat": "openai",
    "openai-responses": "openai",
    "open-router": "openrouter",
    "perplexity-ai": "perplexity",
    "together-ai": "together",
    "togetherai": "together",
    "voyage": "voyageai",
    "voyage-ai": "voyageai",
    "xai": "x-ai",
    "z-ai": "zai",
    "zhipu": "zhipuai",
    "zhipu-ai": "zhipuai",
}

# Hosts that run other people's models at prices of their own (or on your own machines) and that
# no list covers: the maker's price would be a guess there.
UNLISTED_HOSTS: frozenset[str] = frozenset(
    {
        "alibaba",
        "alibaba-cloud",
        "dashscope",
        "deepinfra",
        "hf-inference",
        "hugging-face",
        "huggingface",
        "hyperbolic",
        "ibm-watsonx-ai",
        "llama-cpp",
        "llamacpp",
        "llamafile",
        "lm-studio",
        "lmstudio",
        "lmsys",
        "local",
        "localai",
        "mlx",
        "nebius",
        "nvidia",
        "nvidia-nim",
        "ollama",
        "replicate",
        "sambanova",
        "sglang",
        "snowflake",
        "tgi",
        "transformers",
        "vllm",
        "volcengine",
        "watsonx",
        "writer",
    }
)

_SEPARATORS = re.compile(r"[\s_./]+")

_MONTH = r"(?:0[1-9]|1[0-2])"
_DAY = r"(?:0[1-9]|[12]\d|3[01])"
# What may follow a model's name without naming another model: 2025-08-07, 20250929, 05-06, 09-2025,
# 0613 (month and day) or 2402 (year and month), `latest`; Vertex writes v2@20241022.
_DATE = re.compile(
    rf"(?:(?:-v\d+)?@(?:20\d\d{_MONTH}{_DAY}|default|latest)"
    rf"|-20\d\d-?{_MONTH}-?{_DAY}"
    rf"|-{_MONTH}-(?:20\d\d|{_DAY})"
    rf"|-{_MONTH}{_DAY}"
    rf"|-2\d{_MONTH}"
    r"|-latest)$"
)
# Google numbers its stable versions: gemini-2.0-flash-001.
_GOOGLE_VERSION = re.compile(r"[-@]00\d$")
# Bedrock: a dated name has any version, an undated one v1 only, because there -v2 names another
# model (amazon.titan-embed-text-v2:0); then a revision or a provisioned context (:0, :0:300k).
_BEDROCK_VERSION = re.compile(r"(?:(?<=\d{8})-v\d+|-v1)(?::\d+)?(?::\d+k)?$|:\d+k?$")
_BEDROCK_REGION = re.compile(
    r"^(?:us-gov|us|eu|apac|ap|jp|au|ca|sa|me|af|in|il|mx|global)\.(?=[a-z0-9-]+\.)"
)
_BEDROCK_VENDOR = re.compile(
    r"^(?:ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshotai|nvidia"
    r"|openai|qwen|stability|twelvelabs|writer|zai)\."
)
_AWS_REGION_HEAD = re.compile(r"^[a-z]{2}(?:-gov)?-[a-z]+-\d/")
_MODELS_PATH = re.compile(r"^(?:.*/)?models/(?=.)")
_QUALIFIER = re.compile(r"-(?:preview|exp)$")


def plain_provider(name: str) -> str:
    """One spelling for ``aws.bedrock``, ``AWS_Bedrock`` and ``aws-bedrock``."""
    return _SEPARATORS.sub("-", name.strip().lower())


def is_bedrock_name(model: str) -> bool:
    """Whether only Bedrock calls a model like that: ``us.anthropic.claude-...``."""
    return _BEDROCK_VENDOR.match(_BEDROCK_REGION.sub("", model.strip().lower())) is not None


def strip_qualifier(name: str) -> str | None:
    """`name` without ``-preview`` or ``-exp``; None when it has neither.

    Often another model (o1-preview is not o1), so only a list that says so itself may be asked.
    """
    shorter = _QUALIFIER.sub("", name)
    return shorter if shorter != name else None


def name_forms(model: str, provider: str, heads: frozenset[str]) -> Iterator[str]:
    """The names that `model` may be listed under at `provider`, the most exact first.

    `heads` are the spellings of the provider that may stand before a slash: ``openai/gpt-4o``.
    """
    name: str | None = model.strip().lower()
    while name:
        undated: str | None = name
        while undated:
            yield undated
            undated = _without_version(undated, provider)
        name = _without_head(name, provider, heads)


def _without_version(name: str, provider: str) -> str | None:
    shorter = _DATE.sub("", name)
    if shorter == name and provider == "google":
        shorter = _GOOGLE_VERSION.sub("", name)
    if shorter == name and provider == "aws":
        shorter = _BEDROCK_VERSION.sub("", name)
    return shorter if shorter != name else None


def _without_head(name: str, provider: str, heads: frozenset[str]) -> str | None:
    if name.startswith("arn:"):
        return name.rpartition("/")[2]
    shorter = _MODELS_PATH.sub("", name)
    if shorter != name:
        return shorter
    head, slash, tail = name.partition("/")
    if slash and plain_provider(head) in heads:
        return tail
    if provider == "aws":
        for pattern in (_AWS_REGION_HEAD, _BEDROCK_REGION, _BEDROCK_VENDOR):
            shorter = pattern.sub("", name)
            if shorter != name:
                return shorter
    return None
