"""The usage event, version 1: what an agent says it used. JSON, one event a record."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

__all__ = [
    "MAX_COUNT",
    "MAX_EVENT_BYTES",
    "USAGE_VERSION",
    "EventKind",
    "UsageEvent",
]

USAGE_VERSION: Final = 1
MAX_COUNT: Final = 2**48
# Larger records are no usage events; the broker's own limit for one is far above.
MAX_EVENT_BYTES: Final = 256 * 1024

EventKind = Literal["llm", "tool", "outcome", "loss"]

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Name = Annotated[str, Meta(min_length=1, max_length=512)]
OptionalName = Annotated[str, Meta(max_length=512)] | None
Tags = Annotated[
    dict[Annotated[str, Meta(max_length=128)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]


class UsageEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One call of a model or a tool, the outcome of a task, or a count of events lost.

    Token counts are inclusive: `input_tokens` holds cache reads and writes, `output_tokens` holds
    reasoning, `cache_write_tokens` holds `cache_write_1h_tokens`. The field names follow the
    OpenTelemetry GenAI conventions. Encoded in definition order: the order is wire format.
    """

    v: int = USAGE_VERSION
    # What happened, once: for a provider's call `source` is the provider and `id` its response id.
    id: Name
    source: OptionalName = None
    # Who sent it (one running process), and its running number in that workspace, from 0.
    producer: OptionalName = None
    seq: Annotated[int, Meta(ge=0, le=MAX_COUNT)] | None = None
    time: Annotated[str, Meta(max_length=40, extra_json_schema={"format": "date-time"})]
    kind: EventKind = "llm"

    workspace: Name
    agent: Name
    session: OptionalName = None
    parent_session: OptionalName = None
    step: Count | None = None
    connection: OptionalName = None
    user: OptionalName = None
    customer: OptionalName = None
    task: OptionalName = None
    tags: Tags | None = None

    provider: OptionalName = None
    model: OptionalName = None
    requested_model: OptionalName = None
    service_tier: OptionalName = None
    tool: OptionalName = None
    tool_calls: Count = 0

    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    cache_write_1h_tokens: Count = 0
    reasoning_tokens: Count = 0
    input_audio_tokens: Count = 0
    output_audio_tokens: Count = 0
    cache_read_audio_tokens: Count = 0
    input_image_tokens: Count = 0
    output_image_tokens: Count = 0
    searches: Count = 0
    # Of audio; finite because JSON has no other numbers.
    seconds: Annotated[float, Meta(ge=0, le=2**31)] = 0.0
    # An explicit price in dollars, as a decimal string; it wins over every price list.
    cost: Annotated[str, Meta(max_length=40)] | None = None
    # The provider's stream was cut before it said its usage: the counts are a lower bound.
    usage_missing: bool = False

    # Keyed hashes made in the agent's process; text never leaves it.
    prompt_hash: OptionalName = None
    args_hash: OptionalName = None
    result_hash: OptionalName = None
    result_tokens: Count = 0

    status: Literal["ok", "error", "aborted"] = "ok"
    attempt: Count = 0
    duration_ms: Count | None = None
    success: bool | None = None
    # For kind=loss: events that the producer dropped, by reason.
    lost: dict[str, Count] | None = None
