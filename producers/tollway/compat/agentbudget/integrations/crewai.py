"""A session around a crew, for what its caller counts by hand."""

from types import TracebackType
from typing import Self, TypeVar

from tollway.compat.agentbudget.budget import AgentBudget
from tollway.compat.agentbudget.reports import Report
from tollway.compat.agentbudget.sessions import Callback

__all__ = ["CrewAIBudgetMiddleware"]

Result = TypeVar("Result")


class CrewAIBudgetMiddleware:
    """Use it in a ``with``; `meter.instrument("crewai")` counts without it."""

    def __init__(
        self,
        budget: str | float | int,
        session_id: str | None = None,
        on_soft_limit: Callback | None = None,
        on_hard_limit: Callback | None = None,
        on_loop_detected: Callback | None = None,
    ) -> None:
        self.session = AgentBudget(
            budget,
            on_soft_limit=on_soft_limit,
            on_hard_limit=on_hard_limit,
            on_loop_detected=on_loop_detected,
        ).session(session_id)

    def __enter__(self) -> Self:
        self.session.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.session.__exit__(kind, error, trace)

    def track(self, result: Result, cost: float, tool_name: str | None = None) -> Result:
        return self.session.track(result, cost, tool_name)

    def wrap(self, response: Result) -> Result:
        return self.session.wrap(response)

    def get_report(self) -> Report:
        return self.session.report()
