"""Counts whose parts exceed their whole: a provider's own inconsistency, cut down and flagged."""

import msgspec

from tollway.contract.usage import UsageEvent
from tollway.domain.usage import Usage

__all__ = ["clamp", "is_inconsistent"]


def is_inconsistent(usage: Usage) -> bool:
    """Whether a part of the counts is larger than its whole (11 reasoning of 10 output)."""
    return (
        usage.cache_read_tokens + usage.cache_write_tokens > usage.input_tokens
        or usage.reasoning_tokens > usage.output_tokens
        or usage.cache_write_1h_tokens > usage.cache_write_tokens
        or (usage.has_media and _has_too_much_media(usage.event))
    )


def _has_too_much_media(event: UsageEvent) -> bool:
    return (
        event.input_audio_tokens + event.input_image_tokens > event.input_tokens
        or event.output_audio_tokens + event.output_image_tokens > event.output_tokens
        or event.cache_read_audio_tokens > event.cache_read_tokens
        or event.cache_read_audio_tokens > event.input_audio_tokens
    )


def clamp(event: UsageEvent) -> UsageEvent:
    """`event` with every part cut down to its whole; it costs the same as before.

    The order in which parts give way is the one in which `Rates` bills them: cached tokens first,
    then audio, images, and reasoning last.
    """
    if not is_inconsistent(Usage(event)):
        return event
    read = min(event.cache_read_tokens, event.input_tokens)
    write = min(event.cache_write_tokens, event.input_tokens - read)
    audio = min(event.input_audio_tokens, event.input_tokens)
    output_audio = min(event.output_audio_tokens, event.output_tokens)
    return msgspec.structs.replace(
        event,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=min(event.cache_write_1h_tokens, write),
        input_audio_tokens=audio,
        cache_read_audio_tokens=min(event.cache_read_audio_tokens, read, audio),
        input_image_tokens=min(event.input_image_tokens, event.input_tokens - audio),
        output_audio_tokens=output_audio,
        output_image_tokens=min(event.output_image_tokens, event.output_tokens - output_audio),
        reasoning_tokens=min(event.reasoning_tokens, event.output_tokens),
    )
