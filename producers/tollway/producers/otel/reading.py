"""What a span's attributes say that a model's call used, in the terms of a usage event."""

from typing import Final

from tollway.contract.usage import MAX_COUNT
from tollway.producers.otel import names
from tollway.producers.otel.names import Attributes, text
from tollway.producers.otel.providers import provider_of
from tollway.producers.responses import ResponseUsage

__all__ = ["usage_of_span"]

# What emitters write where they do not know the model.
_UNKNOWN: Final = frozenset({"unknown", "none"})
# Of a name: the count that it tells, and its place among the names of that.
_RANKED: Final = {
    name: (count, rank) for count, known in names.COUNTS.items() for rank, name in enumerate(known)
}


def usage_of_span(attributes: Attributes, scope: str) -> ResponseUsage:
    """`scope` is the name of the instrumentation that made the span.

    `usage_missing` where it does not say both its counts: what it says is then a lower bound.
    """
    provider = provider_of(attributes)
    response_id = text(attributes, *names.RESPONSE_ID)
    counts = _counts(attributes)
    told = counts.get
    missing = "input_tokens" not in counts or (
        "output_tokens" not in counts and not names.is_embedding(attributes)
    )
    whole_input, whole_output = _totals(counts, (scope, provider) in names.EXCLUSIVE)
    return ResponseUsage(
        id=response_id,
        source=provider if response_id else "",
        provider=provider,
        model=_model(attributes),
        service_tier=text(attributes, *names.SERVICE_TIER),
        input_tokens=whole_input,
        output_tokens=whole_output,
        cache_read_tokens=told("cache_read_tokens", 0),
        cache_write_tokens=told("cache_write_tokens", 0),
        cache_write_1h_tokens=told("cache_write_1h_tokens", 0),
        reasoning_tokens=told("reasoning_tokens", 0),
        input_audio_tokens=told("input_audio_tokens", 0),
        output_audio_tokens=told("output_audio_tokens", 0),
        input_image_tokens=told("input_image_tokens", 0),
        usage_missing=missing,
    )


def _totals(counts: dict[str, int], exclusive: bool) -> tuple[int, int]:
    """The two counts that hold all others, inclusive whatever the emitter's convention."""
    told = counts.get
    total = told("total_tokens")
    plain_output, reasoning = told("output_tokens", 0), told("reasoning_tokens", 0)
    cached = told("cache_read_tokens", 0) + told("cache_write_tokens", 0)
    whole_input = _whole(told("input_tokens", 0), cached, plain_output, total, exclusive)
    whole_output = _whole(plain_output, reasoning, whole_input, total, False)
    return whole_input + told("compaction_input", 0), whole_output + told("compaction_output", 0)


def _whole(told: int, part: int, other: int, total: int | None, exclusive: bool) -> int:
    """What was told, with its part where the emitter left that out: where it is known to, where
    the part is larger than the whole, or where the total only adds up so."""
    if part and (exclusive or part > told or total == told + part + other):
        return told + part
    return told


def _counts(attributes: Attributes) -> dict[str, int]:
    """Each count that is told, by the best of its names."""
    counts: dict[str, int] = {}
    ranks: dict[str, int] = {}
    for name in attributes.keys() & _RANKED.keys():
        value = attributes[name]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
            count, rank = _RANKED[name]
            if rank <= ranks.get(count, rank):
                counts[count], ranks[count] = value, rank
    return counts


def _model(attributes: Attributes) -> str:
    served = text(attributes, *names.SERVED_MODEL)
    if served and served.lower() not in _UNKNOWN:
        return served
    asked = text(attributes, *names.REQUESTED_MODEL)
    return "" if asked.lower() in _UNKNOWN else asked
