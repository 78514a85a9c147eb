"""What has been seen of one response by now, and what that says."""

import msgspec

from tollway.producers.responses.usage import ResponseUsage

__all__ = ["Seen"]


class Seen(msgspec.Struct):
    """Filled by a dialect with each chunk; a whole response is a stream of one chunk.

    Later counts replace earlier ones: no provider counts its chunks, all give running totals.
    """

    # As given by the caller, else as the body gives it away; "" where neither knows.
    provider: str = ""
    id: str = ""
    model: str = ""
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
    # Whether something of an answer has come: an error before it costs nothing.
    begun: bool = False
    # Whether the provider has said that the answer is at its end.
    ended: bool = False
    # Whether the usage of the whole response is told. The counts are a lower bound until then.
    told: bool = False
    failed: bool = False

    def said(self) -> ResponseUsage:
        """The usage as known by now."""
        return ResponseUsage(
            id=self.id,
            source=self.provider,
            provider=self.provider,
            model=self.model,
            service_tier=self.service_tier,
            tool_calls=self.tool_calls,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cache_read_tokens=self.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens,
            cache_write_1h_tokens=self.cache_write_1h_tokens,
            reasoning_tokens=self.reasoning_tokens,
            input_audio_tokens=self.input_audio_tokens,
            output_audio_tokens=self.output_audio_tokens,
            cache_read_audio_tokens=self.cache_read_audio_tokens,
            input_image_tokens=self.input_image_tokens,
            output_image_tokens=self.output_image_tokens,
            searches=self.searches,
            seconds=self.seconds,
            usage_missing=not self.told and (self.begun or not self.failed),
            status="error" if self.failed else "ok",
        )
