"""PUT, GET and DELETE of /v1/budgets: limits, with what is spent of them now."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from tollway.api.budget_store import BudgetStore
from tollway.api.ports import Parts, StoreUnavailable
from tollway.api.problems import Problem
from tollway.api.writes import Accepted, Ask, Writer
from tollway.contract.command import (
    MAX_BUDGETS_PER_WORKSPACE,
    Budget,
    DeleteBudget,
    SetBudget,
)

__all__ = ["budget_routes"]

BudgetId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
Workspace = Annotated[str | None, Query()]


class BudgetAsk(Budget, Ask):
    """A budget without its id, which is in the address, and with who sets it and why."""

    id: str = ""

    def budget(self, budget_id: str) -> Budget:
        fields = self.model_dump(include=set(Budget.model_fields), exclude={"id"})
        return Budget(id=budget_id, **fields)


def budget_routes(parts: Parts, store: BudgetStore, writer: Writer) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["budgets"])
    _reading(router, parts, store)
    _writing(router, parts, store, writer)
    return router


def _reading(router: APIRouter, parts: Parts, store: BudgetStore) -> None:
    @router.get("/budgets", operation_id="listBudgets")
    def list_budgets(workspace: Workspace = None) -> dict[str, object]:
        """All budgets of a workspace: never more than a page holds."""
        where = parts.workspace(workspace)
        budgets = store.budgets(where)
        return {"rows": store.documents(where, budgets.values()), "next_cursor": None}

    @router.get("/budgets/{budget_id}", operation_id="getBudget")
    def get_budget(budget_id: BudgetId, workspace: Workspace = None) -> dict[str, object]:
        where = parts.workspace(workspace)
        budgets = store.budgets(where)
        if budget_id not in budgets:
            raise _unknown(budget_id, where)
        return store.documents(where, [budgets[budget_id]])[0]


def _writing(router: APIRouter, parts: Parts, store: BudgetStore, writer: Writer) -> None:
    @router.put("/budgets/{budget_id}", status_code=202, operation_id="putBudget")
    def put_budget(budget_id: BudgetId, ask: BudgetAsk) -> Accepted:
        """Sets a budget; spend since its window began counts, also when it is changed."""
        if ask.id not in ("", budget_id):
            raise Problem(
                422,
                "invalid-request",
                f"the body's id {ask.id!r} is not the address's {budget_id!r}",
            )
        budgets = _known(store, parts.workspace(ask.workspace))
        if budgets is not None and len(budgets.keys() - {budget_id}) >= MAX_BUDGETS_PER_WORKSPACE:
            raise Problem(
                409,
                "too-many-budgets",
                f"the workspace has {len(budgets)} budgets, which is the most; delete one first",
            )
        return writer.write(SetBudget(**writer.sign(ask), budget=ask.budget(budget_id)))

    @router.delete("/budgets/{budget_id}", status_code=202, operation_id="deleteBudget")
    def delete_budget(
        budget_id: BudgetId,
        workspace: Workspace = None,
        actor: Annotated[str, Query(min_length=1, max_length=512)] = "unknown",
        reason: Annotated[str, Query(max_length=2000)] = "",
    ) -> Accepted:
        ask = Ask(workspace=workspace, actor=actor, reason=reason)
        where = parts.workspace(workspace)
        budgets = _known(store, where)
        if budgets is not None and budget_id not in budgets:
            raise _unknown(budget_id, where)
        return writer.write(DeleteBudget(**writer.sign(ask), budget_id=budget_id))


def _known(store: BudgetStore, workspace: str) -> dict[str, Budget] | None:
    """None while ClickHouse is away: limits can be set all the same."""
    try:
        return store.budgets(workspace)
    except StoreUnavailable:
        return None


def _unknown(budget_id: BudgetId, workspace: str) -> Problem:
    return Problem(404, "unknown-budget", f"workspace {workspace!r} has no budget {budget_id!r}")
