"""Budgets of actions: how many tool calls an agent may make in a scope, counted by a backend."""

import logging
import threading
import warnings
from collections.abc import Mapping
from typing import Final, Protocol, runtime_checkable

from tollway.compat.pramiti.backends import Action, action_named
from tollway.compat.pramiti.exceptions import BudgetExceededError, BudgetWarning

__all__ = ["MAX_SCOPES", "ActionBudgetChecker", "IActionBackend", "InMemoryActionBackend"]

# Agents' scopes that are counted at a time.
MAX_SCOPES: Final = 100_000

_log = logging.getLogger("tollway")


@runtime_checkable
class IActionBackend(Protocol):
    """Where counts and budgets of actions are; scopes are any text, each with its own count."""

    def get_action_count(self, workspace_id: str, agent_id: str, scope: str) -> int: ...

    def get_budget(
        self, workspace_id: str, agent_id: str, scope: str
    ) -> Mapping[str, object] | None: ...


class InMemoryActionBackend:
    """Counts of actions by workspace, agent and scope; a scope ends when it is reset."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._budgets: dict[tuple[str, str, str], tuple[int, Action]] = {}
        self._counts: dict[tuple[str, str, str], int] = {}

    def set_budget(
        self,
        workspace_id: str,
        agent_id: str,
        scope: str,
        max_actions: int,
        action: str = "block",
    ) -> None:
        if isinstance(max_actions, bool) or max_actions < 0:
            raise ValueError(f"max_actions is {max_actions!r}; it is a count of 0 or more")
        with self._lock:
            self._budgets[workspace_id, agent_id, scope] = (max_actions, action_named(action))

    def incr(self, workspace_id: str, agent_id: str, scope: str = "session", n: int = 1) -> int:
        """The new count. Raises `ValueError` for fewer than no actions."""
        if n < 0:
            raise ValueError(f"{n} actions cannot have been made")
        key = (workspace_id, agent_id, scope)
        with self._lock:
            if key not in self._counts and len(self._counts) >= MAX_SCOPES:
                raise MemoryError(f"more than {MAX_SCOPES} scopes are counted; reset old ones")
            self._counts[key] = self._counts.get(key, 0) + n
            return self._counts[key]

    def reset(self, workspace_id: str, agent_id: str, scope: str = "session") -> None:
        with self._lock:
            self._counts.pop((workspace_id, agent_id, scope), None)

    def get_action_count(self, workspace_id: str, agent_id: str, scope: str) -> int:
        with self._lock:
            return self._counts.get((workspace_id, agent_id, scope), 0)

    def get_budget(self, workspace_id: str, agent_id: str, scope: str) -> dict[str, object] | None:
        with self._lock:
            budget = self._budgets.get((workspace_id, agent_id, scope))
        if budget is None:
            return None
        return {"max_actions": budget[0], "action_on_breach": budget[1]}


class ActionBudgetChecker:
    """Compares the count with the budget, before a call: at the budget is over it."""

    def __init__(self, backend: IActionBackend) -> None:
        self._backend = backend

    def check(self, workspace_id: str, agent_id: str, scope: str = "session") -> None:
        """Raises `BudgetExceededError` or warns `BudgetWarning`."""
        budget = self._backend.get_budget(workspace_id, agent_id, scope)
        if budget is None:
            return
        limit = budget["max_actions"]
        count = self._backend.get_action_count(workspace_id, agent_id, scope)
        if not isinstance(limit, int):
            raise TypeError(f"max_actions is a {type(limit).__name__}, not a whole number")
        if count < limit:
            return
        error = BudgetExceededError(agent_id, scope, count, limit)
        if budget.get("action_on_breach", "block") != "warn":
            raise error
        told = f"Agent {agent_id!r} {scope} budget warning: {count} >= {limit} actions"
        _log.warning("%s", told)
        warnings.warn(BudgetWarning(told), stacklevel=2)
