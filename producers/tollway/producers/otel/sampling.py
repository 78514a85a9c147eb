"""Sampling and spend: a span that a sampler drops reaches no processor, so its call is not metered.

A processor sees only what is recorded: it cannot count what was dropped. It can see which sampler
decides, and say once that this one may drop spend. `SpendSampler` is the way out.
"""

from collections.abc import Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from tollway.producers.otel.names import INFERENCE, kind_of

__all__ = ["SpendSampler", "may_drop"]

# Attributes of such names, given when a span starts, make it one that may tell of spend.
_PREFIXES: Final = ("gen_ai.", "llm.", "openinference.", "traceloop.")
# First words of names of spans that get their attributes only later.
_FIRST_WORDS: Final = INFERENCE | {
    "execute_tool",
    "invoke_agent",
    "invoke_workflow",
    "litellm_request",
}
# Beginnings of descriptions of samplers that drop nothing which this process begins by itself.
_KEEP: Final = ("AlwaysOnSampler", "SpendSampler{", "ParentBased{root:AlwaysOnSampler,")


class SpendSampler(Sampler):
    """Samples as `root` does, and records what `root` drops of spans that may tell of spend.

    Such a span reaches span processors, and no exporter: those take sampled spans only.
    """

    def __init__(self, root: Sampler) -> None:
        self._root = root

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        result = self._root.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )
        if result.decision is not Decision.DROP or not _may_tell_of_spend(name, attributes):
            return result
        # Not the result's attributes: who drops a span drops them as well.
        return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)

    def get_description(self) -> str:
        return f"SpendSampler{{{self._root.get_description()}}}"


def _may_tell_of_spend(name: str, attributes: Attributes) -> bool:
    if name.partition(" ")[0].lower() in _FIRST_WORDS:
        return True
    if not attributes:
        return False
    return kind_of(attributes) != "" or any(key.startswith(_PREFIXES) for key in attributes)


def may_drop(span: object) -> str:
    """The description of the sampler that made this span, if that one may drop spend, else ""."""
    # The SDK keeps it on each span, by a private name; the provider that has a public one is not
    # told to its processors.
    sampler = getattr(span, "_sampler", None)
    if not isinstance(sampler, Sampler):
        return ""
    description = sampler.get_description()
    return "" if description.startswith(_KEEP) else description
