"""The names by which OpenTelemetry, OpenInference and OpenLLMetry tell of a call.

What holds content (`gen_ai.input.messages`, `llm.input_messages`, `input.value`, a span's events)
is in no table here, and nothing reads an attribute that is in none.
"""

from collections.abc import Mapping
from typing import Final, Literal

__all__ = [
    "COUNTS",
    "EMITTER_CACHE_HIT",
    "EXCLUSIVE",
    "INFERENCE",
    "REQUESTED_MODEL",
    "RESPONSE_ID",
    "SERVED_MODEL",
    "SERVICE_TIER",
    "Attributes",
    "Kind",
    "is_embedding",
    "kind_of",
    "text",
    "tool_of",
    "who",
]

Attributes = Mapping[str, object]
# What a span tells of: a call of a model, a call of a tool, an agent at work, or something else
# around calls that may say whose they are. "" is none of our business.
Kind = Literal["llm", "tool", "agent", "around", ""]

# For each count the names that are in use; the first that a span has counts. New ones come first.
COUNTS: Final[dict[str, tuple[str, ...]]] = {
    "input_tokens": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "llm.usage.prompt_tokens",
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "llm.usage.completion_tokens",
    ),
    "total_tokens": (
        "gen_ai.usage.total_tokens",
        "llm.usage.total_tokens",
        "llm.token_count.total",
    ),
    "cache_read_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.input_cached_tokens",
        "gen_ai.usage.cached_tokens",
        "llm.token_count.prompt_details.cache_read",
        "llm.token_count.prompt_details.cache_input",
    ),
    "cache_write_tokens": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "cache_write_1h_tokens": ("anthropic.usage.cache_creation.ephemeral_1h_input_tokens",),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        "llm.usage.reasoning_tokens",
    ),
    "input_audio_tokens": (
        "gen_ai.usage.audio.input_tokens",
        "gen_ai.usage.details.input_audio_tokens",
        "llm.token_count.prompt_details.audio",
    ),
    "output_audio_tokens": (
        "gen_ai.usage.audio.output_tokens",
        "gen_ai.usage.details.output_audio_tokens",
        "llm.token_count.completion_details.audio",
    ),
    "input_image_tokens": ("gen_ai.usage.image.input_tokens",),
    # Anthropic bills compactions apart from the totals.
    "compaction_input": ("anthropic.usage.compaction.input_tokens",),
    "compaction_output": ("anthropic.usage.compaction.output_tokens",),
}

RESPONSE_ID: Final = ("gen_ai.response.id",)
REQUESTED_MODEL: Final = ("gen_ai.request.model", "llm.request.model_name")
SERVED_MODEL: Final = (
    "gen_ai.response.model",
    "llm.response.model_name",
    "llm.model_name",
    "embedding.model_name",
)
# As billed: the response's, never the request's.
SERVICE_TIER: Final = (
    "openai.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "anthropic.response.service_tier",
    "gen_ai.response.service_tier",
)
# The emitter answered from a cache of its own; the provider saw no call.
EMITTER_CACHE_HIT: Final = "litellm.cache_hit"

# Who tells input tokens without the cached ones, as the provider's API does: by instrumentation
# scope and provider. docs/opentelemetry.md says how each was seen.
EXCLUSIVE: Final = frozenset(
    {
        ("opentelemetry.instrumentation.bedrock", "aws"),
        ("agent_framework", "anthropic"),
    }
)

# A span that tells of a call has one of these.
_KINDS: Final = (
    "gen_ai.operation.name",
    "openinference.span.kind",
    "llm.request.type",
    "traceloop.span.kind",
)
_EMBEDDINGS: Final = frozenset({"embeddings", "embedding", "aembedding"})
# The conventions' operations, and LiteLLM's call types, which it puts there by default.
INFERENCE: Final = _EMBEDDINGS | {
    "acompletion",
    "agenerate_content",
    "anthropic_messages",
    "aresponses",
    "atext_completion",
    "chat",
    "completion",
    "generate_content",
    "responses",
    "text_completion",
}
_AROUND: Final[dict[str, Kind]] = {
    "create_agent": "agent",
    "invoke_agent": "agent",
    "invoke_workflow": "around",
}
_OPENINFERENCE: Final[dict[str, Kind]] = {
    "AGENT": "agent",
    "CHAIN": "around",
    "EMBEDDING": "llm",
    "LLM": "llm",
    "TOOL": "tool",
}
_TRACELOOP: Final[dict[str, Kind]] = {
    "agent": "agent",
    "task": "around",
    "tool": "tool",
    "workflow": "around",
}
_TRACELOOP_REQUESTS: Final = frozenset({"chat", "completion", "embedding"})
# What LangSmith's exporter calls a chat though no model is called, such as rendering a prompt.
_LANGSMITH_MODELS: Final = frozenset({"embedding", "llm"})


_WHO: Final[dict[str, tuple[str, ...]]] = {
    "agent": ("gen_ai.agent.name", "agent.name"),
    "session": (
        "gen_ai.conversation.id",
        "session.id",
        "traceloop.association.properties.session_id",
    ),
    "user": ("user.id", "enduser.id", "traceloop.association.properties.user_id"),
    "workflow": ("gen_ai.workflow.name", "traceloop.workflow.name"),
}
_WHO_NAMES: Final = (
    *(name for names in _WHO.values() for name in names),
    "traceloop.span.kind",
    "gen_ai.agent.id",
)


def kind_of(attributes: Attributes) -> Kind:
    """What a span with these attributes tells of."""
    # Most spans of a host are of other things, and this one step sees it.
    if attributes.keys().isdisjoint(_KINDS):
        return ""
    operation = text(attributes, "gen_ai.operation.name").lower()
    if operation in INFERENCE:
        run_type = text(attributes, "langsmith.span.kind")
        return "llm" if not run_type or run_type in _LANGSMITH_MODELS else ""
    if operation == "execute_tool":
        return "tool"
    if operation in _AROUND:
        return _AROUND[operation]
    if text(attributes, "llm.request.type") in _TRACELOOP_REQUESTS:
        return "llm"
    inference = _OPENINFERENCE.get(text(attributes, "openinference.span.kind").upper())
    return inference or _TRACELOOP.get(text(attributes, "traceloop.span.kind"), "")


def is_embedding(attributes: Attributes) -> bool:
    """Whether a model's call has no output to be counted."""
    return (
        text(attributes, "gen_ai.operation.name").lower() in _EMBEDDINGS
        or text(attributes, "llm.request.type") == "embedding"
        or text(attributes, "openinference.span.kind").upper() == "EMBEDDING"
    )


def tool_of(attributes: Attributes, span_name: str) -> str:
    """The name of the tool that a span with these attributes calls."""
    return (
        text(attributes, "gen_ai.tool.name", "tool.name", "traceloop.entity.name")
        or span_name.removeprefix("execute_tool ").strip()
    )


def who(attributes: Attributes, kind: Kind) -> dict[str, str]:
    """Whose the call is, or the calls inside, as far as one span says: by an event's fields, and
    `workflow`."""
    found: dict[str, str] = {}
    if attributes.keys().isdisjoint(_WHO_NAMES):
        return found
    for field, names in _WHO.items():
        if value := text(attributes, *names):
            found[field] = value
    if "agent" not in found and text(attributes, "traceloop.span.kind") == "agent":
        found["agent"] = text(attributes, "traceloop.entity.name")
    if "agent" not in found and kind == "agent":
        found["agent"] = text(attributes, "gen_ai.agent.id")
    return {field: value for field, value in found.items() if value}


def text(attributes: Attributes, *names: str) -> str:
    """The first of these attributes that is a text with something in it, cut to a name's length."""
    for name in names:
        value = attributes.get(name)
        if value and isinstance(value, str):
            return value if len(value) <= MAX_TEXT else value[:MAX_TEXT]
    return ""


# As long as a name may be in a usage event.
MAX_TEXT: Final = 512
