"""Where caps and costs are: what a backend is, and the one in the process's memory."""

import threading
from abc import ABCMeta
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import ClassVar, Final, Literal, cast

from tollway.compat.amounts import as_float, exact_pico

__all__ = ["MAX_AGENTS", "Action", "ICostBackend", "InMemoryBackend", "action_named"]

Action = Literal["block", "warn"]
Key = tuple[str, str]

# Agents with spend on one day; those of the days before have left.
MAX_AGENTS: Final = 100_000
_ACTIONS: Final = ("block", "warn")


def action_named(name: str) -> Action:
    """Raises `ValueError`: what is mistyped must not become the weaker of two."""
    if name not in _ACTIONS:
        raise ValueError(f"action {name!r} is neither 'block' nor 'warn'")
    return cast(Action, name)


class _Reading(ABCMeta):
    def __instancecheck__(cls, instance: object) -> bool:
        return cls.__subclasscheck__(type(instance))

    def __subclasscheck__(cls, other: type) -> bool:
        if cls is not ICostBackend:
            return super().__subclasscheck__(other)
        return callable(getattr(other, "get_cap", None)) and any(
            callable(getattr(other, name, None)) for name in ICostBackend.READERS
        )


class ICostBackend(metaclass=_Reading):
    """Where caps and costs are. Inherit from it or not: what has its methods is one.

    Two forms of it are known. As shipped, `get_today_cost` and `get_cap`; as published,
    `get_current_cost`, `get_cap`, `add_cost` and `set_cap`. Write either: each reader answers for
    the other. The day is the backend's: from 00:00 UTC.
    """

    READERS: ClassVar[tuple[str, ...]] = ("get_today_cost", "get_current_cost")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if all(getattr(cls, name) is getattr(ICostBackend, name) for name in ICostBackend.READERS):
            raise TypeError(f"{cls.__name__} defines neither {' nor '.join(ICostBackend.READERS)}")

    def get_today_cost(self, workspace_id: str, agent_id: str) -> float:
        return self.get_current_cost(workspace_id, agent_id)

    def get_current_cost(self, workspace_id: str, agent_id: str) -> float:
        return self.get_today_cost(workspace_id, agent_id)

    def get_cap(self, workspace_id: str, agent_id: str) -> Mapping[str, object] | None:
        """`max_usd_per_day` and `action_on_breach`; None without a cap."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_cap")

    def add_cost(self, workspace_id: str, agent_id: str, usd: float) -> None:
        raise NotImplementedError(f"{type(self).__name__} only reads costs")

    def set_cap(
        self, workspace_id: str, agent_id: str, max_usd: float, action: str = "block"
    ) -> None:
        raise NotImplementedError(f"{type(self).__name__} only reads caps")


def _today() -> date:
    return datetime.now(UTC).date()


class InMemoryBackend(ICostBackend):
    """Costs by workspace, agent and day, exact; `today` says which day it is, in UTC."""

    def __init__(self, today: Callable[[], date] = _today) -> None:
        self._today = today
        self._lock = threading.Lock()
        self._caps: dict[Key, tuple[int, Action]] = {}
        self._day = today()
        self._spent: dict[Key, int] = {}

    def set_cap(
        self, workspace_id: str, agent_id: str, max_usd: float, action: str = "block"
    ) -> None:
        """Raises `ValueError` for an amount or an action that is none."""
        cap = (exact_pico(max_usd), action_named(action))
        with self._lock:
            self._caps[workspace_id, agent_id] = cap

    def add_cost(self, workspace_id: str, agent_id: str, usd: float) -> None:
        """Raises `ValueError` for what is negative or no number, and then adds nothing."""
        cost = exact_pico(usd)
        key = (workspace_id, agent_id)
        with self._lock:
            spent = self._of_today()
            if key not in spent and len(spent) >= MAX_AGENTS:
                raise MemoryError(f"more than {MAX_AGENTS} agents spent today; use a database")
            spent[key] = spent.get(key, 0) + cost

    def reset_cost(self, workspace_id: str, agent_id: str) -> None:
        with self._lock:
            self._spent.pop((workspace_id, agent_id), None)

    def get_today_cost(self, workspace_id: str, agent_id: str) -> float:
        with self._lock:
            return as_float(self._of_today().get((workspace_id, agent_id), 0))

    def get_cap(self, workspace_id: str, agent_id: str) -> dict[str, object] | None:
        with self._lock:
            cap = self._caps.get((workspace_id, agent_id))
        if cap is None:
            return None
        return {"max_usd_per_day": as_float(cap[0]), "action_on_breach": cap[1]}

    def _of_today(self) -> dict[Key, int]:
        day = self._today()
        if day != self._day:
            self._day, self._spent = day, {}
        return self._spent
