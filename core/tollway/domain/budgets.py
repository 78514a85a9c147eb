"""Budgets made ready: what they match, count and forbid, in integers."""

from typing import Final

from tollway.contract.command import Budget, rolling_duration
from tollway.contract.money import format_usd, parse_usd
from tollway.contract.subjects import DIMENSIONS

__all__ = ["CALLS", "ROLLING_BUCKETS", "TOKENS", "UNITS", "USD", "Rule"]

# A rolling window moves on in steps of this part of its length: it counts between 60 and 61 parts.
ROLLING_BUCKETS: Final = 60

USD: Final = 0
TOKENS: Final = 1
CALLS: Final = 2
UNITS: Final = ("usd", "tokens", "calls")


class Rule:
    """A budget made ready: integers for its marks, its dimensions in a fixed order."""

    __slots__ = (
        "bucket_ms",
        "budget",
        "dimensions",
        "fixed",
        "is_mixed",
        "limit",
        "marks",
        "name",
        "of_sessions",
        "percents",
        "rolling_ms",
        "since_ms",
        "unit",
        "window",
        "workspace",
        "zone",
    )

    def __init__(self, workspace: str, budget: Budget, since_ms: int) -> None:
        self.workspace = workspace
        self.budget = budget
        self.name = f"budget:{budget.id}"
        # When it was made, in log time: windows that had ended by then have no account.
        self.since_ms = since_ms
        self.window = budget.window
        self.zone = budget.zone
        length = rolling_duration(budget.window)
        self.rolling_ms = 0 if length is None else int(length.total_seconds()) * 1000
        self.bucket_ms = max(1, self.rolling_ms // ROLLING_BUCKETS)
        self.dimensions: tuple[str, ...] = tuple(d for d in DIMENSIONS if d in budget.match)
        self.of_sessions: bool = "session" in self.dimensions
        # Whether it is over sessions, and over dimensions that a run has not of itself.
        self.is_mixed: bool = self.of_sessions and not set(self.dimensions) <= {"session", "agent"}
        self.fixed: dict[str, str] = {
            name: value for name, value in budget.match.items() if value != "*"
        }
        self.unit, self.limit = _limit(budget)
        self.percents = _percents(budget)
        self.marks: list[int] = [self.mark(percent) for percent in self.percents]

    def mark(self, percent: int) -> int:
        """The least amount that reaches a threshold."""
        return -(-percent * self.limit // 100)

    def action_at(self, percent: int) -> str:
        return "block" if percent >= 100 and self.budget.action == "block" else "warn"

    def counts_alike(self, other: "Rule") -> bool:
        """Whether the accounts of the other count the same, so that an edit keeps them."""
        return (
            self.budget.match == other.budget.match
            and self.window == other.window
            and self.zone == other.zone
        )

    def text(self, amount: int) -> str:
        return format_usd(amount) if self.unit == USD else str(amount)


def _limit(budget: Budget) -> tuple[int, int]:
    if budget.limit_usd is not None:
        return USD, parse_usd(budget.limit_usd)
    if budget.limit_tokens is not None:
        return TOKENS, budget.limit_tokens
    assert budget.limit_calls is not None
    return CALLS, budget.limit_calls


def _percents(budget: Budget) -> list[int]:
    """A budget that blocks does so at its limit, also where its thresholds leave 100 out."""
    percents = budget.thresholds_percent
    if budget.action == "block" and 100 not in percents:
        return sorted([*percents, 100])
    return percents
