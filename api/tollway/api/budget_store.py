"""The budgets in force, read from the stored commands, and the state of their accounts."""

from collections.abc import Iterable

from pydantic import ValidationError

from tollway.api.overlay import WrittenCommands
from tollway.api.ports import Parts, Row
from tollway.api.rows import as_count, as_moment, as_pico
from tollway.contract.command import Budget, Command, DeleteBudget, SetBudget, command_adapter
from tollway.contract.money import format_usd, parse_usd

__all__ = ["ACCOUNTS_SHOWN_MAX", "BudgetStore"]

# A budget with "*" has an account a value; the dearest of them are shown.
ACCOUNTS_SHOWN_MAX = 100

_NEWEST = """
SELECT argMax(document, offset) AS newest
FROM commands FINAL
WHERE workspace = {workspace:String} AND type IN ('budget.set', 'budget.delete')
GROUP BY if(
    type = 'budget.set',
    JSONExtractString(document, 'budget', 'id'),
    JSONExtractString(document, 'budget_id')
)
"""
_STORED = """
SELECT DISTINCT id FROM commands
WHERE workspace = {workspace:String} AND id IN {ids:Array(String)}
"""
_ACCOUNTS = """
SELECT budget_id, subject, window, window_start, window_end, spent, tokens, calls, fired_percent
FROM accounts FINAL
WHERE workspace = {workspace:String} AND budget_id IN {ids:Array(String)}
    AND (window_start IS NULL OR window_start <= fromUnixTimestamp64Milli({now_ms:Int64}, 'UTC'))
    AND (window_end IS NULL OR window_end > fromUnixTimestamp64Milli({now_ms:Int64}, 'UTC'))
ORDER BY spent DESC, tokens DESC, calls DESC, subject_text
LIMIT {shown:UInt32} BY budget_id
"""


class BudgetStore:
    def __init__(self, parts: Parts, written: WrittenCommands) -> None:
        self._parts = parts
        self._written = written

    def budgets(self, workspace: str) -> dict[str, Budget]:
        """By id; with what this process has written, also before the store shows it."""
        rows = self._parts.store.query(_NEWEST, {"workspace": workspace})
        budgets: dict[str, Budget] = {}
        for row in rows:
            _apply(budgets, _command(str(row["newest"])))
        for command in self._not_yet_stored(workspace):
            _apply(budgets, command)
        return dict(sorted(budgets.items()))

    def documents(self, workspace: str, budgets: Iterable[Budget]) -> list[dict[str, object]]:
        """Each budget with its accounts in the current window, the dearest first."""
        chosen = list(budgets)
        if not chosen:
            return []
        rows = self._parts.store.query(
            _ACCOUNTS,
            {
                "workspace": workspace,
                "ids": [budget.id for budget in chosen],
                "now_ms": self._parts.now_ms(),
                "shown": ACCOUNTS_SHOWN_MAX,
            },
        )
        return [
            {
                **_document(budget),
                "workspace": workspace,
                "accounts": [_account(row) for row in rows if _belongs(row, budget)],
            }
            for budget in chosen
        ]

    def _not_yet_stored(self, workspace: str) -> list[Command]:
        pending = self._written.of(workspace)
        if not pending:
            return []
        ids = [command.id for command in pending]
        rows = self._parts.store.query(_STORED, {"workspace": workspace, "ids": ids})
        stored = {str(row["id"]) for row in rows}
        self._written.forget(stored)
        return [command for command in pending if command.id not in stored]


def _command(document: str) -> Command | None:
    """None for what no worker takes for a command either."""
    try:
        return command_adapter.validate_json(document)
    except ValidationError:
        return None


def _apply(budgets: dict[str, Budget], command: Command | None) -> None:
    match command:
        case SetBudget(budget=budget):
            budgets[budget.id] = budget
        case DeleteBudget(budget_id=budget_id):
            budgets.pop(budget_id, None)
        case _:
            pass


def _belongs(row: Row, budget: Budget) -> bool:
    """An edited budget leaves accounts of its former windows and dimensions behind."""
    subject = row["subject"]
    return (
        row["budget_id"] == budget.id
        and row["window"] == budget.window
        and isinstance(subject, dict)
        and subject.keys() == budget.match.keys()
    )


def _document(budget: Budget) -> dict[str, object]:
    document: dict[str, object] = budget.model_dump(mode="json")
    if budget.limit_usd is not None:
        document["limit_usd"] = format_usd(parse_usd(budget.limit_usd))
    return document


def _account(row: Row) -> dict[str, object]:
    return {
        "subject": row["subject"],
        "window_start": as_moment(row["window_start"]),
        "window_end": as_moment(row["window_end"]),
        "spent": format_usd(as_pico(row["spent"])),
        "tokens": as_count(row["tokens"]),
        "calls": as_count(row["calls"]),
        "fired_percent": row["fired_percent"],
    }
