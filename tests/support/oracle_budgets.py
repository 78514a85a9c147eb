"""What each budget's subjects spent in each window, counted by hand."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from tollway.contract.usage import UsageEvent

__all__ = ["AccountKey", "Amounts", "BudgetBooks"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROLLING_PARTS = 60

# workspace, budget, subject as text, start of the window in ms (0 where it has none)
AccountKey = tuple[str, str, str, int]


@dataclass(slots=True)
class Amounts:
    cost_pico: int = 0
    tokens: int = 0
    calls: int = 0
    newest_ms: int = 0
    fired_percent: list[int] = field(default_factory=list)

    def add(self, amounts: tuple[int, int, int], at_ms: int) -> None:
        self.cost_pico += amounts[0]
        self.tokens += amounts[1]
        self.calls += amounts[2]
        self.newest_ms = max(self.newest_ms, at_ms)


class BudgetBooks:
    """A budget's last edit counts: edits here change limits alone."""

    def __init__(self) -> None:
        self._budgets: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._added: defaultdict[AccountKey, list[tuple[int, tuple[int, int, int]]]] = defaultdict(
            list
        )

    def set(self, workspace: str, budget: dict[str, Any]) -> None:
        self._budgets[workspace][budget["id"]] = budget

    def add(self, event: UsageEvent, at_ms: int, amounts: tuple[int, int, int]) -> None:
        for budget in self._budgets[event.workspace].values():
            # A run's spend counts to the run that started it too.
            sessions = [event.session]
            if "session" in budget["match"] and event.session and event.parent_session:
                sessions.append(event.parent_session)
            for session in sessions:
                subject = _subject(budget["match"], event, session)
                if subject is not None:
                    start = _window_start(budget["window"], budget.get("zone", "UTC"), at_ms)
                    key = (event.workspace, budget["id"], subject, start)
                    self._added[key].append((at_ms, amounts))

    def accounts(self) -> dict[AccountKey, Amounts]:
        return {
            key: _sum(self._budgets[key[0]][key[1]], added) for key, added in self._added.items()
        }


def _subject(match: dict[str, str], event: UsageEvent, session: str | None) -> str | None:
    values: dict[str, str | None] = {
        "agent": event.agent,
        "session": session,
        "connection": event.connection,
        "customer": event.customer,
        "model": event.model,
        "tool": event.tool,
    }
    for name, wanted in match.items():
        if not values[name] or wanted not in {"*", values[name]}:
            return None
    parts = [f"{name}={quote(values[name] or '', safe='')}" for name in sorted(match)]
    return "&".join(parts) or "*"


def _window_start(window: str, zone: str, at_ms: int) -> int:
    local = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(zone))
    hour = local.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0, fold=0)
    if window == "hour":
        start = hour
    elif window == "day":
        start = day
    elif window == "week":
        start = day - timedelta(days=day.weekday())
    elif window == "month":
        start = day.replace(day=1)
    else:
        return 0
    return (start.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)


def _sum(budget: dict[str, Any], added: list[tuple[int, tuple[int, int, int]]]) -> Amounts:
    sums = Amounts()
    newest_ms = max(at_ms for at_ms, _ in added)
    oldest_ms = 0
    if budget["window"].startswith("rolling:"):
        # It moves on in steps of a part of its length, and knows what has not left by the newest.
        assert budget["window"] == "rolling:1h"
        step_ms = 3_600_000 // _ROLLING_PARTS
        oldest_ms = (newest_ms - 3_600_000) // step_ms * step_ms
    for at_ms, amounts in added:
        if at_ms >= oldest_ms:
            sums.add(amounts, at_ms)
    limit, amount = _limit(budget, sums)
    percents = budget.get("thresholds_percent", [70, 90, 100])
    sums.fired_percent = [percent for percent in percents if amount * 100 >= percent * limit]
    return sums


def _limit(budget: dict[str, Any], sums: Amounts) -> tuple[int, int]:
    if "limit_tokens" in budget:
        return budget["limit_tokens"], sums.tokens
    if "limit_calls" in budget:
        return budget["limit_calls"], sums.calls
    dollars, _, rest = budget["limit_usd"].partition(".")
    return int(dollars + rest.ljust(12, "0")), sums.cost_pico
