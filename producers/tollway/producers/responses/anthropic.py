"""Anthropic's messages, also as Bedrock and Vertex pass them on."""

from typing import Final

from tollway.producers.responses.fields import Fields, count, count_or_0, fields_of, items, name
from tollway.producers.responses.seen import Seen

__all__ = ["read_message", "read_message_event"]

# What these used is in no total: a summary of the context, and another model's advice.
_BESIDE_THE_TOTALS: Final = frozenset({"compaction", "advisor_message"})


def read_message(body: Fields, seen: Seen) -> None:
    """A whole message."""
    _read_head(body, seen)
    for block in items(body.get("content")):
        if block.get("type") == "tool_use":
            seen.tool_calls += 1
    usage = fields_of(body.get("usage"))
    if usage is not None:
        seen.told = _read_usage(usage, seen)


def read_message_event(event: Fields, seen: Seen) -> None:
    """One event of a streamed message."""
    seen.begun = True
    kind = event.get("type")
    if kind == "content_block_delta":
        return
    if kind == "message_start":
        message = fields_of(event.get("message"))
        if message is not None:
            _read_start(message, seen)
    elif kind == "content_block_start":
        block = fields_of(event.get("content_block"))
        if block is not None and block.get("type") == "tool_use":
            seen.tool_calls += 1
    elif kind == "message_delta":
        usage = fields_of(event.get("usage"))
        if usage is not None:
            seen.told = _read_usage(usage, seen)


def _read_start(message: Fields, seen: Seen) -> None:
    """What the prompt used is known from here; what comes of it is not."""
    # Joined recordings: the next message is another one.
    seen.input_tokens = seen.output_tokens = seen.tool_calls = seen.searches = 0
    seen.cache_read_tokens = seen.cache_write_tokens = seen.cache_write_1h_tokens = 0
    _read_head(message, seen)
    usage = fields_of(message.get("usage"))
    if usage is not None:
        _read_usage(usage, seen)
    seen.told = False


def _read_head(message: Fields, seen: Seen) -> None:
    seen.begun = True
    seen.id = name(message.get("id")) or seen.id
    seen.model = name(message.get("model")) or seen.model


def _read_usage(usage: Fields, seen: Seen) -> bool:
    """Counts replace the earlier ones of the stream; what an event leaves out stays.

    `input_tokens` are here those that no cache has to do with.
    """
    beside = seen.cache_read_tokens + seen.cache_write_tokens
    plain = count(usage.get("input_tokens"))
    if plain is None:
        plain = max(seen.input_tokens - beside, 0)
    read = count(usage.get("cache_read_input_tokens"))
    if read is not None:
        seen.cache_read_tokens = read
    write = count(usage.get("cache_creation_input_tokens"))
    if write is not None:
        seen.cache_write_tokens = write
    by_time = fields_of(usage.get("cache_creation"))
    if by_time is not None:
        seen.cache_write_1h_tokens = count_or_0(by_time.get("ephemeral_1h_input_tokens"))
        if write is None:
            seen.cache_write_tokens = seen.cache_write_1h_tokens
            seen.cache_write_tokens += count_or_0(by_time.get("ephemeral_5m_input_tokens"))
    seen.input_tokens = plain + seen.cache_read_tokens + seen.cache_write_tokens
    output = count(usage.get("output_tokens"))
    seen.output_tokens = output or 0
    _read_particulars(usage, seen)
    # A delta that leaves the prompt out relies on the start of the message.
    return output is not None and (seen.input_tokens > 0 or usage.get("input_tokens") == 0)


def _read_particulars(usage: Fields, seen: Seen) -> None:
    tier = name(usage.get("service_tier"))
    if tier:
        seen.service_tier = tier
    if usage.get("speed") == "fast":
        seen.service_tier = "fast"
    details = fields_of(usage.get("output_tokens_details"))
    if details is not None:
        seen.reasoning_tokens = count_or_0(details.get("thinking_tokens"))
    tools = fields_of(usage.get("server_tool_use"))
    if tools is not None:
        seen.searches = count_or_0(tools.get("web_search_requests"))
    for part in items(usage.get("iterations")):
        if part.get("type") in _BESIDE_THE_TOTALS:
            _add(part, seen)


def _add(part: Fields, seen: Seen) -> None:
    read = count_or_0(part.get("cache_read_input_tokens"))
    write = count_or_0(part.get("cache_creation_input_tokens"))
    by_time = fields_of(part.get("cache_creation"))
    if by_time is not None:
        seen.cache_write_1h_tokens += count_or_0(by_time.get("ephemeral_1h_input_tokens"))
    seen.cache_read_tokens += read
    seen.cache_write_tokens += write
    seen.input_tokens += count_or_0(part.get("input_tokens")) + read + write
    seen.output_tokens += count_or_0(part.get("output_tokens"))
