"""Bedrock: converse and its stream, and what its own models answer to invoke."""

from typing import Final

from tollway.producers.responses.fields import Fields, count, count_or_0, fields_of, items, name
from tollway.producers.responses.seen import Seen

__all__ = [
    "read_converse",
    "read_converse_event",
    "read_headers",
    "read_last_chunk",
    "read_llama",
    "read_titan",
]

# Bedrock's headers tell the usage of any invoke, whatever the model's own body says.
_INPUT_HEADER: Final = "x-amzn-bedrock-input-token-count"
_OUTPUT_HEADER: Final = "x-amzn-bedrock-output-token-count"
_MAX_DIGITS: Final = 15


def read_converse(body: Fields, seen: Seen) -> None:
    """A whole converse, or an invoke of a Nova model, which has the same shape."""
    seen.begun = True
    _read_request_id(body, seen)
    output = fields_of(body.get("output"))
    message = None if output is None else fields_of(output.get("message"))
    if message is not None:
        for block in items(message.get("content")):
            if block.get("toolUse"):
                seen.tool_calls += 1
    _read_usage_of(body, seen)


def read_converse_event(event: Fields, seen: Seen) -> None:
    """One event of a converse stream, under its kind as boto3 has it."""
    seen.begun = True
    start = fields_of(event.get("contentBlockStart"))
    if start is not None:
        block = fields_of(start.get("start"))
        if block is not None and block.get("toolUse"):
            seen.tool_calls += 1
        return
    metadata = fields_of(event.get("metadata"))
    if metadata is not None:
        _read_usage_of(metadata, seen)


def _read_usage_of(body: Fields, seen: Seen) -> None:
    tier = fields_of(body.get("serviceTier"))
    if tier is not None:
        seen.service_tier = name(tier.get("type")) or seen.service_tier
    usage = fields_of(body.get("usage"))
    if usage is not None:
        seen.told = _read_usage(usage, seen)


def _read_usage(usage: Fields, seen: Seen) -> bool:
    """`inputTokens` are those that no cache has to do with."""
    given = count(usage.get("inputTokens"))
    made = count(usage.get("outputTokens"))
    # Both spellings occur, side by side and alone.
    read = usage.get("cacheReadInputTokens") or usage.get("cacheReadInputTokenCount")
    write = usage.get("cacheWriteInputTokens") or usage.get("cacheWriteInputTokenCount")
    seen.cache_read_tokens = count_or_0(read)
    seen.cache_write_tokens = count_or_0(write)
    seen.cache_write_1h_tokens = sum(
        count_or_0(part.get("inputTokens"))
        for part in items(usage.get("cacheDetails"))
        if part.get("ttl") == "1h"
    )
    seen.input_tokens = (given or 0) + seen.cache_read_tokens + seen.cache_write_tokens
    if made is None and given is not None and usage.get("totalTokens") == given:
        made = 0
    seen.output_tokens = made or 0
    return given is not None and made is not None


def _read_request_id(body: Fields, seen: Seen) -> None:
    """Its answers have no id; the request that boto3 made has one."""
    metadata = fields_of(body.get("ResponseMetadata"))
    if metadata is not None:
        seen.id = name(metadata.get("RequestId")) or seen.id


def read_headers(body: Fields, seen: Seen) -> None:
    """What boto3 gives for an invoke: its body can be read once, and that is the host's."""
    seen.begun = True
    _read_request_id(body, seen)
    metadata = fields_of(body.get("ResponseMetadata"))
    headers = None if metadata is None else fields_of(metadata.get("HTTPHeaders"))
    if headers is None:
        return
    given, made = _digits(headers.get(_INPUT_HEADER)), _digits(headers.get(_OUTPUT_HEADER))
    seen.input_tokens, seen.output_tokens = given or 0, made or 0
    seen.told = given is not None and made is not None


def _digits(value: object) -> int | None:
    text = name(value)
    if text.isascii() and text.isdigit() and len(text) < _MAX_DIGITS:
        return int(text)
    return None


def read_last_chunk(chunk: Fields, seen: Seen) -> None:
    """What Bedrock adds to the last chunk of a streamed invoke, whatever model it is of."""
    seen.begun = True
    metrics = fields_of(chunk.get("amazon-bedrock-invocationMetrics"))
    if metrics is None or seen.told:
        # The model's own count tells of caches too.
        return
    given = count(metrics.get("inputTokenCount"))
    made = count(metrics.get("outputTokenCount"))
    seen.cache_read_tokens = count_or_0(metrics.get("cacheReadInputTokenCount"))
    seen.cache_write_tokens = count_or_0(metrics.get("cacheWriteInputTokenCount"))
    seen.input_tokens = (given or 0) + seen.cache_read_tokens + seen.cache_write_tokens
    seen.output_tokens = made or 0
    seen.told = given is not None and made is not None


def read_titan(body: Fields, seen: Seen) -> None:
    """Titan's texts and embeddings."""
    seen.begun = True
    given = count(body.get("inputTextTokenCount"))
    made = sum(count_or_0(part.get("tokenCount")) for part in items(body.get("results")))
    seen.input_tokens = given or seen.input_tokens
    seen.output_tokens = made or count_or_0(body.get("totalOutputTextTokenCount"))
    seen.told = given is not None


def read_llama(body: Fields, seen: Seen) -> None:
    """Llama's answer to an invoke, whole or a chunk: the first chunk alone counts the prompt."""
    seen.begun = True
    given = count(body.get("prompt_token_count"))
    made = count(body.get("generation_token_count"))
    seen.input_tokens = given or seen.input_tokens
    seen.output_tokens = made or seen.output_tokens
    seen.ended = seen.ended or bool(body.get("stop_reason"))
    seen.told = seen.ended and seen.input_tokens > 0 and made is not None
