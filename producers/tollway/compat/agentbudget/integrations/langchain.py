"""A callback of LangChain and LangGraph that counts model and tool calls, and stops at a budget."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from tollway.compat.agentbudget.budget import AgentBudget
from tollway.compat.agentbudget.reports import Report
from tollway.compat.agentbudget.sessions import BudgetSession, Callback
from tollway.producers.calls import Asked
from tollway.producers.responses import ResponseUsage

__all__ = ["LangChainBudgetCallback"]

# Tools that were started and have not ended; the oldest leave.
MAX_PENDING: Final = 10_000

if TYPE_CHECKING:
    _HAS_LANGCHAIN = True

    class BaseCallbackHandler: ...  # LangChain's own, where it is installed
else:
    try:
        from langchain_core.callbacks import BaseCallbackHandler

        _HAS_LANGCHAIN = True
    except ImportError:
        _HAS_LANGCHAIN = False

        class BaseCallbackHandler:
            """So that the class below can be read; made it cannot be."""


class LangChainBudgetCallback(BaseCallbackHandler):
    """Counts in a session of its own, or in the one that is given and stays its owner's.

    A call is asked for before it is made, and what it raises ends the run: LangChain keeps other
    callbacks' exceptions to itself.
    """

    raise_error = True
    run_inline = True

    def __init__(
        self,
        budget: str | float | int,
        session: BudgetSession | None = None,
        *,
        tool_costs: Mapping[str, float] | None = None,
        default_tool_cost: float = 0.0,
        on_soft_limit: Callback | None = None,
        on_hard_limit: Callback | None = None,
        on_loop_detected: Callback | None = None,
        **options: Any,  # noqa: ANN401 (of LangChain's own handler)
    ) -> None:
        if not _HAS_LANGCHAIN:
            raise ImportError("langchain-core is not installed; pip install langchain-core")
        super().__init__(**options)
        self.session = (
            session
            or AgentBudget(
                budget,
                on_soft_limit=on_soft_limit,
                on_hard_limit=on_hard_limit,
                on_loop_detected=on_loop_detected,
            ).session()
        )
        self._owned = session is None
        # Not entered: this goes into runs of any context, and attributes only what it counts.
        if self._owned:
            self.session.start()
        self._closed = False
        self._tool_costs = dict(tool_costs or {})
        self._default_tool_cost = default_tool_cost
        self._pending: dict[object, str] = {}

    def on_llm_start(self, serialized: object, prompts: object, **more: object) -> None:
        """Raises `BudgetExhausted` where nothing is left."""
        self._ask(more)

    def on_chat_model_start(self, serialized: object, messages: object, **more: object) -> None:
        """As `on_llm_start`."""
        self._ask(more)

    def on_llm_end(self, response: object, **more: object) -> None:
        usage = _usage(response)
        self.session.count(usage)

    def on_tool_start(
        self, serialized: Mapping[str, object] | None, input_str: str, **more: object
    ) -> None:
        name = (serialized or {}).get("name") or more.get("name") or "tool"
        run_id = more.get("run_id")
        if run_id is not None:
            if len(self._pending) >= MAX_PENDING:
                self._pending.pop(next(iter(self._pending)))
            self._pending[run_id] = str(name)

    def on_tool_end(self, output: object, **more: object) -> None:
        name = self._pending.pop(more.get("run_id"), None) or str(more.get("name") or "tool")
        cost = self._tool_costs.get(name, self._default_tool_cost)
        if cost:
            self.session.track(output, cost, name)

    def _ask(self, more: Mapping[str, object]) -> None:
        call = self.session.ask(lambda: Asked(framework="agentbudget", model=_model_asked(more)))
        # Only the question: the call is counted by its answer.
        call.done = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(kind, error, trace)

    def close(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> Report:
        """Ends the session, if it is this object's own; once. The report."""
        if self._owned and not self._closed:
            self.session.finish(success=error is None)
        self._closed = True
        return self.session.report()

    def get_report(self) -> Report:
        return self.session.report()


def _model_asked(more: Mapping[str, object]) -> str:
    asked = more.get("invocation_params")
    return str(asked.get("model") or "") if isinstance(asked, Mapping) else ""


def _extract_llm_usage(response: object) -> tuple[str | None, int | None, int | None]:
    """Model, input and output tokens of a result; None for what it does not say."""
    usage = _usage(response)
    if usage.usage_missing:
        return usage.model or None, None, None
    return usage.model or None, usage.input_tokens, usage.output_tokens


def _usage(response: object) -> ResponseUsage:
    """What all generations of a result used: LangChain's own counts, inclusive of their parts."""
    outer = _mapping(getattr(response, "llm_output", None))
    model = _text(outer, "model_name", "model")
    said = _mapping(outer.get("token_usage") or outer.get("usage"))
    if said and model:
        return _counted(model, [said])
    counts = []
    metas = []
    for message in _messages(response):
        meta = _mapping(getattr(message, "response_metadata", None))
        model = model or _text(meta, "model_name", "model")
        metas.append(meta)
        own = _mapping(getattr(message, "usage_metadata", None))
        counts.append(own or _mapping(meta.get("token_usage") or meta.get("usage")))
    usage = _counted(model, [each for each in counts if each])
    if len(metas) != 1:
        return usage
    # One message is one response of the provider: by its id two reports of it are one call.
    provider = _text(metas[0], "model_provider")
    return msgspec.structs.replace(
        usage, id=_text(metas[0], "id"), source=provider, provider=provider
    )


def _messages(response: object) -> Iterator[object]:
    for batch in getattr(response, "generations", None) or ():
        for generation in batch:
            message = getattr(generation, "message", None)
            if message is not None:
                yield message


def _counted(model: str, counts: list[Mapping[str, object]]) -> ResponseUsage:
    if not counts:
        return ResponseUsage(model=model, usage_missing=True)
    details = [_mapping(each.get("input_token_details")) for each in counts]
    return ResponseUsage(
        model=model,
        input_tokens=sum(_count(each, "input_tokens", "prompt_tokens") for each in counts),
        output_tokens=sum(_count(each, "output_tokens", "completion_tokens") for each in counts),
        cache_read_tokens=sum(_count(each, "cache_read") for each in details),
        cache_write_tokens=sum(_count(each, "cache_creation") for each in details),
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(of: Mapping[str, object], *names: str) -> str:
    return next((str(of[name]) for name in names if of.get(name)), "")


def _count(of: Mapping[str, object], *names: str) -> int:
    for name in names:
        value = of.get(name)
        if isinstance(value, int):
            return value
    return 0
