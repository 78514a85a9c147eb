"""One priced usage event: a line of `tollway.charges` and a row of the table `charges`."""

from typing import Literal

import msgspec

__all__ = ["Charge", "PriceState"]

# `unpriced` costs nothing yet; `conservative` is the dearest price of the provider. Both are
# re-priced later.
PriceState = Literal["priced", "explicit", "free", "unpriced", "conservative"]


class Charge(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What an event cost and who pays. Field names are the columns of the table `charges`.

    `time` is when it is booked (RFC 3339, UTC, milliseconds): the event's own time, or the broker's
    where the event's is skewed; then `event_time` holds what the event said. `kind="adjustment"`
    corrects an earlier charge by the difference: its `adjusts` is that charge's id.
    """

    workspace: str
    time: str
    source: str = ""
    id: str
    agent: str
    kind: Literal["llm", "tool", "outcome", "loss", "adjustment"] = "llm"
    session: str = ""
    parent_session: str = ""
    step: int | None = None
    connection: str = ""
    user: str = ""
    customer: str = ""
    task: str = ""
    tags: dict[str, str] | None = None
    provider: str = ""
    model: str = ""
    requested_model: str = ""
    service_tier: str = ""
    tool: str = ""
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    searches: int = 0
    seconds: float = 0.0
    usage_missing: bool = False
    status: str = "ok"
    attempt: int = 0
    duration_ms: int | None = None
    success: bool | None = None
    # Dollars, a decimal string with twelve digits; negative only for adjustments.
    cost: str
    price_state: PriceState = "priced"
    # Which list priced it (`genai-prices`, `override`, `tool`, `event`, `estimate`), its version
    # and entry: enough to price it again.
    price_source: str = ""
    price_version: str = ""
    # Child counts over their parent were clamped: a provider's own inconsistency.
    clamped: bool = False
    late: bool = False
    skewed: bool = False
    event_time: str = ""
    adjusts: str = ""
    # Where the event stands in the log.
    partition: int
    offset: int
    log_time: str
