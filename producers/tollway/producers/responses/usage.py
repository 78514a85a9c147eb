"""What a provider's response says it used, in the terms of a usage event."""

from typing import Literal

import msgspec

__all__ = ["ResponseUsage"]


class ResponseUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of a usage event that a response tells of, by the same names.

    Token counts are inclusive, as in `UsageEvent`: `input_tokens` holds what was read from caches
    and written to them, `output_tokens` holds reasoning, whatever the provider's own convention.
    `usage_missing`: the response, or what there is of a stream that was cut, does not say its
    usage; the counts are then a lower bound, and 0 means unknown.
    """

    # The response's own id and the provider: together what makes two reports of a call one.
    id: str = ""
    source: str = ""
    provider: str = ""
    model: str = ""
    # As billed: the response's, not the request's.
    service_tier: str = ""
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    cache_read_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    searches: int = 0
    seconds: float = 0.0
    usage_missing: bool = False
    # `error` where the body is a provider's error.
    status: Literal["ok", "error", "aborted"] = "ok"

    def fields(self) -> dict[str, object]:
        """What there is to say, for `meter.record(**usage.fields())`."""
        said: dict[str, object] = msgspec.to_builtins(self)
        # Defaults are left out; of floats only that very object is taken for one.
        if not self.seconds:
            said.pop("seconds", None)
        return said
