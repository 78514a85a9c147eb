"""A span processor that meters each inference span, once, when it ends."""

from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from tollway.contract.moments import format_ms
from tollway.producers import process
from tollway.producers.ambient import Fields, carrying, explicit
from tollway.producers.calls import safely
from tollway.producers.complaints import Complaints
from tollway.producers.counts import Counts
from tollway.producers.errors import CallBlocked
from tollway.producers.otel.live import FRAMEWORK, Live, Told, plain
from tollway.producers.otel.names import (
    COUNTS,
    EMITTER_CACHE_HIT,
    REQUESTED_MODEL,
    Attributes,
    text,
    tool_of,
)
from tollway.producers.otel.reading import usage_of_span
from tollway.producers.otel.sampling import may_drop

__all__ = ["MAX_LIVE", "MeteredSpans", "SpanProcessor"]

# Spans that go on at a time; past that the oldest are forgotten, which is counted: they are metered
# when they end, but know nothing of what was around them.
MAX_LIVE: Final = 10_000
MAX_TAGS: Final = 16
# Calls as the one who serves them tells of them: who makes them pays.
_SERVED: Final = frozenset({SpanKind.SERVER, SpanKind.CONSUMER})
_TOKENS: Final = (*COUNTS["input_tokens"], *COUNTS["output_tokens"])
_REFUSAL: Final = CallBlocked.__name__
_ABORTS: Final = frozenset({"CancelledError", "GeneratorExit", "KeyboardInterrupt", "SystemExit"})

_Key = tuple[int, int]
_End = Callable[[sdk.ReadableSpan, Live], None]


class MeteredSpans(sdk.SpanProcessor):
    """``provider.add_span_processor(SpanProcessor())`` meters every inference span of a provider.

    Spans of tools become events of tools; spans of agents and workflows say whose the calls inside
    are, and the sums in them are passed over. Content is never read. It cannot block a call.
    """

    def __init__(self) -> None:
        # With what meters it as its beginning was attributed, in whatever thread it ends.
        self._live: OrderedDict[_Key, tuple[Live, _End]] = OrderedDict()
        self._counts: Counts[str] = Counts(max_keys=20, overflow=lambda _: "other")
        self._complaints = Complaints()
        self._has_asked = False

    def stats(self) -> dict[str, int]:
        """How many spans were metered, and why others that tell of calls were not."""
        return self._counts.totals()

    def on_start(self, span: sdk.Span, parent_context: Context | None = None) -> None:
        with safely():
            if not self._has_asked:
                self._has_asked = True
                self._complain_of_sampler(may_drop(span))
            around = self._live.get(_key(span.parent))
            live = Live(span, None if around is None else around[0])
            live.enclose()
            self._live[_key(span.get_span_context())] = (live, carrying(self._meter))
            if len(self._live) > MAX_LIVE:
                _, (oldest, _) = self._live.popitem(last=False)
                oldest.let_go()
                oldest.forget()
                self._counts.add("forgotten")

    def on_end(self, span: sdk.ReadableSpan) -> None:
        with safely():
            held = self._live.pop(_key(span.get_span_context()), None)
            live, meter = held if held is not None else (Live(span, None), self._meter)
            live.end(span)
            try:
                meter(span, live)
            finally:
                live.forget()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here: events have an outbox of their own, which `meter.flush` empties."""
        return True

    def _meter(self, span: sdk.ReadableSpan, live: Live) -> None:
        kind = live.kind
        if kind == "llm" or kind == "tool":
            self._tell(span, live, kind)
        elif not kind:
            self._mind_unknown(span)

    def _tell(self, span: sdk.ReadableSpan, live: Live, kind: Told) -> None:
        # A model that is called inside a call of a model is that call; a tool only if it is the
        # same tool: tools call others.
        call = "a model" if kind == "llm" else f"tool {tool_of(live.attributes, span.name)}"
        if span.kind in _SERVED:
            self._counts.add("served")
        elif _error(span, live.attributes) == _REFUSAL:
            # The call was not made.
            self._counts.add("refused")
        elif live.is_an_adapters(kind):
            # It knows more of the call than a span does.
            live.mark_outer(call)
            self._counts.add("by_adapter")
        elif live.is_told_inside(call):
            self._counts.add("told_inside")
        else:
            fields = _event(span, live, kind)
            if fields.get("usage_missing") and live.has_outer(kind):
                self._counts.add("left_to_outer")
                return
            process.booked(fields)
            live.mark_outer(call)
            self._count(span, kind, fields)

    def _count(self, span: sdk.ReadableSpan, kind: Told, fields: Fields) -> None:
        self._counts.add("metered" if kind == "llm" else "tools")
        context = span.get_span_context()
        if context is not None and not context.trace_flags.sampled:
            self._counts.add("unsampled")
        if fields.get("usage_missing"):
            self._counts.add("usage_missing")
            if span.dropped_attributes:
                self._complain_of_limit()

    def _mind_unknown(self, span: sdk.ReadableSpan) -> None:
        """A span with tokens that does not say what it is: perhaps it has lost it."""
        if span.dropped_attributes:
            attributes = plain(span)
            if any(name in attributes for name in _TOKENS):
                self._counts.add("unknown")
                self._complain_of_limit()

    def _complain_of_limit(self) -> None:
        self._complaints.say(
            "limit",
            "a span lost attributes to its limit, so that its usage is not known; raise"
            " OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT, or have no content recorded on spans",
        )

    def _complain_of_sampler(self, sampler: str) -> None:
        if sampler:
            self._counts.add("sampler_may_drop")
            self._complaints.say(
                "sampler",
                f"the sampler {sampler[:200]} may drop spans, and what is spent in a dropped span"
                " is not metered; put SpendSampler of tollway.producers.otel around it",
            )


# As OpenTelemetry's users look for it.
SpanProcessor = MeteredSpans


def _event(span: sdk.ReadableSpan, live: Live, kind: Told) -> Fields:
    """As the fields of an event. What the host attributed wins over what spans say."""
    attributes = live.attributes
    said = explicit()
    fields = {name: value for name, value in live.found().items() if name not in said}
    if "session" in said:
        # Another's parent is not this one's.
        fields.pop("parent_session", None)
    fields["kind"] = kind
    fields["tags"] = _tags(span, live, said.get("tags"))
    trace_id, span_id = _key(span.get_span_context())
    fields["source"], fields["id"] = FRAMEWORK, f"{trace_id:032x}{span_id:016x}"
    fields |= _moment(span)
    status = _status(span, attributes)
    if kind == "tool":
        return {**fields, "tool": tool_of(attributes, span.name) or None, "status": status}
    usage = usage_of_span(attributes, _scope(span)).fields()
    if not usage.get("source"):
        # A response's id is no id without the provider's name.
        usage.pop("id", None)
    if attributes.get(EMITTER_CACHE_HIT) is True:
        usage["cost"] = "0"
    requested = text(attributes, *REQUESTED_MODEL) or None
    return {**fields, **usage, "requested_model": requested, "status": status}


def _tags(span: sdk.ReadableSpan, live: Live, said: object) -> dict[str, str]:
    tags = {"framework": FRAMEWORK, "scope": _scope(span), "workflow": live.said.get("workflow")}
    # The host's own come first: an event takes no more than so many.
    room = MAX_TAGS - (len(said) if isinstance(said, dict) else 0)
    told = ((name, value) for name, value in tags.items() if value)
    return dict(islice(told, max(0, room)))


def _moment(span: sdk.ReadableSpan) -> Fields:
    if span.end_time is None or span.start_time is None:
        return {}
    return {
        "time": format_ms(span.end_time // 1_000_000),
        "duration_ms": max(0, span.end_time - span.start_time) // 1_000_000,
    }


def _status(span: sdk.ReadableSpan, attributes: Attributes) -> str:
    error = _error(span, attributes)
    if error in _ABORTS:
        return "aborted"
    return "error" if error or span.status.status_code is StatusCode.ERROR else "ok"


def _error(span: sdk.ReadableSpan, attributes: Attributes) -> str:
    """The name of what was raised, without its module; "" where nobody says."""
    named = text(attributes, "error.type")
    if not named and span.status.status_code is StatusCode.ERROR:
        # As the SDK words it: the name, a colon, and a text that is not for us.
        named = (span.status.description or "").partition(":")[0]
    return named.rpartition(".")[2]


def _scope(span: sdk.ReadableSpan) -> str:
    scope = span.instrumentation_scope
    return "" if scope is None else scope.name


def _key(context: SpanContext | None) -> _Key:
    return (0, 0) if context is None else (context.trace_id, context.span_id)
