"""Who speaks what: the dialect of a response, by its name or by the look of the body."""

from collections.abc import Callable
from typing import Final

from tollway.producers.responses.anthropic import read_message, read_message_event
from tollway.producers.responses.bedrock import (
    read_converse,
    read_converse_event,
    read_headers,
    read_last_chunk,
    read_llama,
    read_titan,
)
from tollway.producers.responses.cohere import read_cohere, read_cohere_event
from tollway.producers.responses.errors import read_error
from tollway.producers.responses.fields import Fields, fields_of
from tollway.producers.responses.gemini import (
    read_content,
    read_embeddings,
    read_interaction,
    read_interaction_event,
)
from tollway.producers.responses.ollama import read_ollama
from tollway.producers.responses.openai_chat import read_chat
from tollway.producers.responses.openai_media import read_batch, read_media, read_unbilled
from tollway.producers.responses.openai_responses import read_response, read_response_event
from tollway.producers.responses.seen import Seen

__all__ = ["PROVIDERS", "Dialect", "dialect_of"]

Dialect = Callable[[Fields, Seen], None]

# What `type` says, in events and in whole bodies.
_BY_TYPE: Final[dict[object, Dialect]] = {
    "message": read_message,
    "error": read_error,
    **dict.fromkeys(
        (
            "message_start",
            "message_delta",
            "message_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "ping",
        ),
        read_message_event,
    ),
    **dict.fromkeys(
        (
            "message-start",
            "message-end",
            "content-start",
            "content-delta",
            "content-end",
            "tool-plan-delta",
            "tool-call-start",
            "tool-call-delta",
            "tool-call-end",
            "citation-start",
            "citation-end",
        ),
        read_cohere_event,
    ),
    **dict.fromkeys(
        (
            "transcript.text.delta",
            "transcript.text.segment",
            "transcript.text.done",
            "speech.audio.delta",
            "speech.audio.done",
            "image_generation.partial_image",
            "image_generation.completed",
            "image_edit.partial_image",
            "image_edit.completed",
        ),
        read_media,
    ),
}
_BY_OBJECT: Final[dict[object, Dialect]] = {
    "response": read_response,
    "response.input_tokens": read_unbilled,
    "chat.completion": read_chat,
    "chat.completion.chunk": read_chat,
    "text_completion": read_chat,
    "list": read_chat,
    "response.compaction": read_response,
    "batch": read_batch,
    "error": read_error,
    "interaction": read_interaction,
}
# Keys that only one dialect has, the more frequent ones first.
_BY_KEY: Final[tuple[tuple[str, Dialect], ...]] = (
    ("error", read_error),
    ("candidates", read_content),
    ("usageMetadata", read_content),
    ("usage_metadata", read_content),
    ("promptFeedback", read_content),
    ("stopReason", read_converse),
    ("metadata", read_converse_event),
    ("messageStart", read_converse_event),
    ("contentBlockStart", read_converse_event),
    ("contentBlockDelta", read_converse_event),
    ("contentBlockStop", read_converse_event),
    ("messageStop", read_converse_event),
    ("done", read_ollama),
    ("prompt_eval_count", read_ollama),
    ("event_type", read_cohere_event),
    ("meta", read_cohere),
    ("predictions", read_embeddings),
    ("inputTextTokenCount", read_titan),
    ("generation", read_llama),
    ("ResponseMetadata", read_headers),
)


# Dialects of one provider; who else passes Anthropic's on is told by the response's id.
PROVIDERS: Final[dict[Dialect, str]] = {
    read_cohere: "cohere",
    read_cohere_event: "cohere",
    read_content: "google",
    read_embeddings: "google",
    read_converse: "aws",
    read_converse_event: "aws",
    read_headers: "aws",
    read_interaction: "google",
    read_interaction_event: "google",
    read_last_chunk: "aws",
    read_llama: "aws",
    read_ollama: "ollama",
    read_titan: "aws",
}
# For bodies whose look leaves it open.
_BY_API: Final[dict[str, Dialect]] = {
    "audio": read_media,
    "batch": read_batch,
    "chat_completions": read_chat,
    "cohere": read_cohere,
    "completions": read_chat,
    "converse": read_converse,
    "embeddings": read_chat,
    "generate_content": read_content,
    "images": read_media,
    "messages": read_message,
    "moderations": read_unbilled,
    "ollama": read_ollama,
    "responses": read_response,
}


def dialect_of(body: Fields, api: str) -> Dialect | None:
    """By the look of the body, then by what the caller says; None for a shape nobody has."""
    if body.get("choices") is not None:
        return read_chat
    kind = body.get("type")
    if isinstance(kind, str):
        dialect = _BY_TYPE.get(kind)
        if dialect is not None:
            return dialect
        if kind.startswith("response."):
            return read_response_event
        if kind.startswith("interaction."):
            return read_interaction_event
    kind = body.get("object")
    if isinstance(kind, str) and (dialect := _BY_OBJECT.get(kind)) is not None:
        return dialect
    for key, dialect in _BY_KEY:
        if body.get(key) is not None:
            return dialect
    # Bedrock, Cohere and Mistral have errors of one sentence.
    if body.get("usage") is None and isinstance(body.get("message") or body.get("detail"), str):
        return read_error
    return _BY_API.get(api) or _by_usage(body)


def _by_usage(body: Fields) -> Dialect | None:
    if body.get("amazon-bedrock-invocationMetrics") is not None:
        return read_last_chunk
    usage = fields_of(body.get("usage"))
    if usage is None:
        return _without_usage(body)
    if usage.get("billed_units") is not None:
        return read_cohere
    if usage.get("inputTokens") is not None:
        return read_converse
    if usage.get("cache_read_input_tokens") is not None:
        return read_message
    return read_media


def _without_usage(body: Fields) -> Dialect | None:
    if body.get("results") is not None and body.get("model") is not None:
        return read_unbilled
    if body.get("duration") is not None:
        return read_media
    if isinstance(body.get("embeddings"), list):
        return read_embeddings
    return None
