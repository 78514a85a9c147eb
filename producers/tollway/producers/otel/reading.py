"""What a span's attributes say that a model's call used, in the terms of a usage event."""

from typing import Final

import msgspec

from tollway.contract.usage import MAX_COUNT
from tollway.producers.otel import names
from tollway.producers.otel.names import Attributes, text
from tollway.producers.responses import ResponseUsage

__all__ = ["usage_of_span"]


def usage_of_span(attributes: Attributes, scope: str) -> ResponseUsage:
    """`scope` is the name of the instrumentation that made the span.

    `usage_missing` where it does not say both its counts: what it says is then a lower bound.
    """
    provider = names.provider_of(attributes)
    asked = text(attributes, *names.REQUESTED_MODEL)
    response_id = text(attributes, *names.RESPONSE_ID)
    told = ResponseUsage(
        id=response_id,
        source=provider if response_id else "",
        provider=provider,
        model=_no_unknown(text(attributes, *names.SERVED_MODEL)) or _no_unknown(asked),
        service_tier=text(attributes, *names.SERVICE_TIER),
        cache_read_tokens=_count(attributes, names.CACHE_READ) or 0,
        cache_write_tokens=_count(attributes, names.CACHE_WRITE) or 0,
        cache_write_1h_tokens=_count(attributes, names.CACHE_WRITE_1H) or 0,
        reasoning_tokens=_count(attributes, names.REASONING) or 0,
        input_audio_tokens=_count(attributes, names.AUDIO_INPUT) or 0,
        output_audio_tokens=_count(attributes, names.AUDIO_OUTPUT) or 0,
        input_image_tokens=_count(attributes, names.IMAGE_INPUT) or 0,
    )
    return _with_totals(told, attributes, (scope, provider) in names.EXCLUSIVE)


def _with_totals(told: ResponseUsage, attributes: Attributes, exclusive: bool) -> ResponseUsage:
    """With the two counts that hold all others, inclusive whatever the emitter's convention."""
    said_input, said_output = _count(attributes, names.INPUT), _count(attributes, names.OUTPUT)
    total = _count(attributes, names.TOTAL)
    plain_output = said_output or 0
    cached = told.cache_read_tokens + told.cache_write_tokens
    whole_input = _whole(said_input or 0, cached, plain_output, total, exclusive)
    whole_output = _whole(plain_output, told.reasoning_tokens, whole_input, total, False)
    no_output = said_output is None and not names.is_embedding(attributes)
    return msgspec.structs.replace(
        told,
        input_tokens=whole_input + (_count(attributes, names.COMPACTION_INPUT) or 0),
        output_tokens=whole_output + (_count(attributes, names.COMPACTION_OUTPUT) or 0),
        usage_missing=said_input is None or no_output,
    )


def _whole(told: int, part: int, other: int, total: int | None, exclusive: bool) -> int:
    """What was told, with its part where the emitter left that out: where it is known to, where
    the part is larger than the whole, or where the total only adds up so."""
    if part and (exclusive or part > told or total == told + part + other):
        return told + part
    return told


def _count(attributes: Attributes, known: tuple[str, ...]) -> int | None:
    for name in known:
        value = attributes.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
            return value
    return None


def _no_unknown(model: str) -> str:
    return "" if model.lower() in _UNKNOWN else model


# What emitters write where they do not know the model.
_UNKNOWN: Final = frozenset({"unknown", "none"})
