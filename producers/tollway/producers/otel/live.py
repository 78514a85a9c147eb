"""A span that goes on: whose calls it says they are, and what has been metered inside of it."""

from typing import Final, Literal

from opentelemetry.sdk.trace import ReadableSpan

from tollway.producers.ambient import Fields
from tollway.producers.calls import Asked, Call, open_call
from tollway.producers.otel.names import Attributes, Kind, kind_of, who

__all__ = ["FRAMEWORK", "MAX_NESTED", "Live", "Told", "plain"]

# Spans that tell of calls, inside one another.
MAX_NESTED: Final = 16
FRAMEWORK: Final = "opentelemetry"
# What adapters know of too, and so may tell of the same call.
Told = Literal["llm", "tool"]
# Of what a span says, what an event has a field for.
_FIELDS: Final = ("agent", "session", "parent_session", "user")


class Live:
    """Made when a span begins; its children ask it what it says until it ends."""

    __slots__ = (
        "_began_in",
        "_call",
        "_depth",
        "_inherited",
        "_inside",
        "_outer",
        "_seen",
        "_span",
        "attributes",
        "kind",
        "said",
    )

    def __init__(self, span: ReadableSpan, around: "Live | None") -> None:
        self._span: ReadableSpan | None = span
        self._began_in = open_call()
        self._call: Call | None = None
        # The nearest one around that tells of a call; what is metered in here is a part of that.
        self._outer: Live | None = None
        self._depth = 0
        self._inherited: dict[str, str] = {}
        if around is not None:
            self._come_into(around)
        # Calls that were metered in here, by what they are called.
        self._inside: set[str] = set()
        self._seen = -1
        self.kind: Kind = ""
        self.attributes: Attributes = {}
        # Of an event: agent, session, parent_session, user; and `workflow` and `run`.
        self.said = self._inherited
        self._look()

    def _come_into(self, around: "Live") -> None:
        around._look()
        self._inherited = around.said
        outer = around if around.kind in {"llm", "tool"} else around._outer
        if around.kind == "agent":
            # What an agent calls is no part of the call that started it.
            outer = None
        if outer is not None and outer._depth < MAX_NESTED:
            self._outer, self._depth = outer, outer._depth + 1

    def _look(self) -> None:
        """Reads what the span says by now: some say who they are only after they began."""
        if self._span is None:
            return
        attributes = plain(self._span)
        # Looked at once for each number of attributes: a changed value tells nothing new of this.
        if len(attributes) == self._seen:
            return
        self._seen = len(attributes)
        self.kind = kind_of(attributes) or self.kind
        if self.kind:
            self.attributes = attributes
            self.said = self._say(attributes)

    def _say(self, attributes: Attributes) -> dict[str, str]:
        inherited = self._inherited
        said = {**inherited, **who(attributes, self.kind)}
        before = inherited.get("session")
        if before and before != said["session"]:
            said["parent_session"] = before
        if self.kind in {"agent", "around"} and self._span is not None:
            context = self._span.get_span_context()
            if context is not None:
                # An agent's run: where it names no conversation, its trace stands for it.
                said.setdefault("run", f"{context.trace_id:032x}")
        return said

    def enclose(self) -> None:
        """Lets adapters know: a call that they meter in here is this one, and of this agent."""
        # Inside an adapter's call there is nothing to let know: that one would wait for this.
        if (self.kind == "llm" or self.kind == "tool") and not self.is_an_adapters(self.kind):
            asked = Asked(kind=self.kind, framework=FRAMEWORK)
            self._call = Call(asked, self._began_in, self.found())
            self._call.enclose()

    def found(self) -> Fields:
        """Whose the call is, by an event's fields."""
        fields: Fields = {name: self.said[name] for name in _FIELDS if name in self.said}
        if "session" not in fields and "run" in self.said:
            fields["session"] = self.said["run"]
        return fields

    def end(self, span: ReadableSpan) -> None:
        """Reads the last that it says, and lets the span go, also where children go on."""
        began_with = self.attributes
        self._span, self._seen = span, -1
        self._look()
        if span.dropped_attributes:
            # The oldest are dropped first, and what names the operation is among them.
            self.attributes = {**began_with, **self.attributes}
        self.let_go()

    def let_go(self) -> None:
        """From now on nothing is inside of it."""
        self._span = None
        if self._call is not None:
            self._call.done = True

    def forget(self) -> None:
        """Lets go what it holds of the span's attributes, which may be prompts."""
        self.attributes = {}

    def is_told_inside(self, call: str) -> bool:
        """Whether something inside has told of the same call, or an adapter there will: of a
        stream that is cut, the outer end comes first."""
        if call in self._inside:
            return True
        if self._call is None:
            return False
        inside = self._call.inside
        goes_on = inside is not None and not inside.done and _is_an_adapters(inside)
        return self._call.metered_inside or goes_on

    def is_an_adapters(self, kind: Told) -> bool:
        """Whether an adapter's call of this kind was around when the span began: it meters it."""
        call = self._began_in
        while call is not None:
            if _is_an_adapters(call) and call.asked is not None and call.asked.kind == kind:
                return True
            call = call.enclosing
        return False

    def has_outer(self, kind: Told) -> bool:
        outer = self._outer
        while outer is not None and outer.kind != kind:
            outer = outer._outer
        return outer is not None

    def mark_outer(self, call: str) -> None:
        """What is around and is called the same is the same call, told of by another emitter."""
        outer = self._outer
        while outer is not None:
            outer._inside.add(call)
            outer = outer._outer


def _is_an_adapters(call: Call) -> bool:
    return call.asked is not None and call.asked.framework != FRAMEWORK


def plain(span: ReadableSpan) -> Attributes:
    """The attributes as they are now. Copied whole, since one by one they take ten times as long;
    those with content among them are not looked at."""
    attributes = span.attributes
    copied = getattr(attributes, "copy", None)
    return copied() if copied is not None else dict(attributes or {})
