"""Cohere: chats of both versions, embeddings and rankings."""

from tollway.producers.responses.fields import Fields, count, count_or_0, fields_of, name
from tollway.producers.responses.seen import Seen

__all__ = ["read_cohere", "read_cohere_event"]


def read_cohere(body: Fields, seen: Seen) -> None:
    """A whole answer."""
    seen.begun = True
    seen.id = name(body.get("id")) or name(body.get("generation_id")) or seen.id
    seen.model = name(body.get("model")) or seen.model
    # The second version has them in the message, the first beside it.
    message = fields_of(body.get("message"))
    calls = (body if message is None else message).get("tool_calls")
    seen.tool_calls = len(calls) if isinstance(calls, list) else seen.tool_calls
    usage = fields_of(body.get("usage") or body.get("meta"))
    if usage is not None:
        seen.told = _read_usage(usage, seen)


def read_cohere_event(event: Fields, seen: Seen) -> None:
    """One event of a stream: `type` in the second version, `event_type` in the first."""
    seen.begun = True
    seen.id = name(event.get("id")) or name(event.get("generation_id")) or seen.id
    kind = event.get("type") or event.get("event_type")
    if kind == "tool-call-start":
        seen.tool_calls += 1
    elif kind == "message-end":
        delta = fields_of(event.get("delta"))
        usage = None if delta is None else fields_of(delta.get("usage"))
        if usage is not None:
            seen.told = _read_usage(usage, seen)
    elif kind == "stream-end":
        response = fields_of(event.get("response"))
        if response is not None:
            read_cohere(response, seen)


def _read_usage(usage: Fields, seen: Seen) -> bool:
    """What is billed. `tokens` counts Cohere's own preamble too, and nobody pays for that.

    `cached_tokens` are of `tokens`, mostly of the preamble, so no part of what is billed.
    """
    billed = fields_of(usage.get("billed_units"))
    if billed is None:
        billed = fields_of(usage.get("tokens"))
        if billed is None:
            return False
    given, made = count(billed.get("input_tokens")), count(billed.get("output_tokens"))
    seen.input_tokens = given or 0
    seen.output_tokens = made or 0
    images = count(billed.get("image_tokens"))
    if images:
        seen.input_image_tokens = images
        seen.input_tokens += images
    seen.searches = count_or_0(billed.get("search_units"))
    return given is not None or made is not None or images is not None or seen.searches > 0
