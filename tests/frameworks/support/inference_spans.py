"""Spans of calls as instrumentations make them, and a provider of the real SDK that is metered."""

from typing import Any, Final

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.util.types import AttributeValue

from tollway.producers.otel import SpanProcessor

__all__ = ["AGENT", "ANSWERED", "CHAT", "SCOPE", "TOOL", "Traced", "chat"]

SCOPE: Final = "opentelemetry.instrumentation.openai_v2"
_Told = dict[str, AttributeValue]
CHAT: Final[_Told] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
}
ANSWERED: Final[_Told] = {
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 46,
    "gen_ai.usage.output_tokens": 11,
}
AGENT: Final[_Told] = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "researcher"}
TOOL: Final[_Told] = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}


class Traced:
    """A tracer provider with our span processor; options are the provider's."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 (whatever the SDK takes)
        self.spans = SpanProcessor()
        self.provider = TracerProvider(shutdown_on_exit=False, **options)
        self.provider.add_span_processor(self.spans)
        self.tracer = self.provider.get_tracer(SCOPE)


def chat(tracer: Tracer, **more: AttributeValue) -> None:
    """One call of a model that was answered; `more` by attribute name with `__` for a dot."""
    with tracer.start_as_current_span("chat gpt-4o", kind=SpanKind.CLIENT, attributes=CHAT) as span:
        named = {name.replace("__", "."): value for name, value in more.items()}
        span.set_attributes({**ANSWERED, **named})
