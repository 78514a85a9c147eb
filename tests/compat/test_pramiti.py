"""Caps and budgets of actions as pramiti's callers know them, on what it got wrong as well."""

import pickle
import threading
import warnings
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from tollway.compat.pramiti import (
    ActionBudgetChecker,
    BudgetExceededError,
    BudgetWarning,
    CapChecker,
    CapExceededError,
    CapWarning,
    IActionBackend,
    ICostBackend,
    InMemoryActionBackend,
    InMemoryBackend,
)


def capped(max_usd: float, spent: float, action: str = "block") -> CapChecker:
    backend = InMemoryBackend()
    backend.set_cap("ws", "bot", max_usd, action)
    backend.add_cost("ws", "bot", spent)
    return CapChecker(backend)


def test_the_readme_of_its_page_works_as_it_stands() -> None:
    backend = InMemoryBackend()
    backend.set_cap("ws-1", "agent-1", max_usd=5.0, action="block")
    backend.add_cost("ws-1", "agent-1", 6.0)

    with pytest.raises(CapExceededError) as raised:
        CapChecker(backend).check("ws-1", "agent-1")

    assert str(raised.value) == (
        "Agent 'agent-1' daily warehouse cost cap exceeded: $6.0000 >= $5.0000 limit"
    )


@pytest.mark.parametrize(("spent", "blocked"), [(4.999999999999, False), (5.0, True), (5.01, True)])
def test_at_the_cap_is_over_it(spent: float, blocked: bool) -> None:
    checker = capped(5.0, spent)

    if blocked:
        with pytest.raises(CapExceededError):
            checker.check("ws", "bot")
    else:
        checker.check("ws", "bot")


def test_a_cap_that_warns_lets_the_call_go_on() -> None:
    with pytest.warns(CapWarning, match=r"\$6.0000"):
        capped(5.0, 6.0, "warn").check("ws", "bot")


def test_without_a_cap_nothing_is_asked() -> None:
    CapChecker(InMemoryBackend()).check("ws", "bot")


def test_a_mistyped_action_is_refused_and_does_not_fail_open() -> None:
    with pytest.raises(ValueError, match="'deny' is neither 'block' nor 'warn'"):
        InMemoryBackend().set_cap("ws", "bot", 5.0, "deny")


class Mistyped(ICostBackend):
    def get_today_cost(self, workspace_id: str, agent_id: str) -> float:
        return 100.0

    def get_cap(self, workspace_id: str, agent_id: str) -> Mapping[str, object]:
        return {"max_usd_per_day": 5.0, "action_on_breach": "deny"}


def test_a_backend_of_ones_own_that_mistypes_its_action_blocks() -> None:
    with pytest.raises(CapExceededError):
        CapChecker(Mistyped()).check("ws", "bot")


@pytest.mark.parametrize("cost", [-1.0, float("nan"), float("inf")])
def test_a_cost_that_is_none_is_refused_and_the_sum_stays_right(cost: float) -> None:
    backend = InMemoryBackend()
    backend.add_cost("ws", "bot", 1.0)

    with pytest.raises(ValueError, match="amount of dollars"):
        backend.add_cost("ws", "bot", cost)

    assert backend.get_today_cost("ws", "bot") == 1.0


def test_a_daily_cap_is_of_the_day() -> None:
    day = date(2026, 1, 31)
    backend = InMemoryBackend(today=lambda: day)
    backend.set_cap("ws", "bot", 5.0)
    backend.add_cost("ws", "bot", 6.0)

    day = date(2026, 2, 1)

    assert backend.get_today_cost("ws", "bot") == 0.0
    CapChecker(backend).check("ws", "bot")


def test_thirty_cents_are_three_times_ten() -> None:
    backend = InMemoryBackend()
    for _ in range(3):
        backend.add_cost("ws", "bot", 0.1)

    assert backend.get_today_cost("ws", "bot") == 0.3


def test_threads_lose_no_cost() -> None:
    backend = InMemoryBackend()

    def spend() -> None:
        for _ in range(1000):
            backend.add_cost("ws", "bot", 0.001)

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert backend.get_today_cost("ws", "bot") == 8.0


class AsPublished(ICostBackend):
    """The form on pramiti's page: an abstract class with four methods."""

    def __init__(self) -> None:
        self.costs: dict[str, float] = {}
        self.caps: dict[str, Mapping[str, object]] = {}

    def get_current_cost(self, workspace_id: str, agent_id: str) -> float:
        return self.costs.get(agent_id, 0.0)

    def get_cap(self, workspace_id: str, agent_id: str) -> Mapping[str, object] | None:
        return self.caps.get(agent_id)

    def add_cost(self, workspace_id: str, agent_id: str, usd: float) -> None:
        self.costs[agent_id] = self.costs.get(agent_id, 0.0) + usd

    def set_cap(
        self, workspace_id: str, agent_id: str, max_usd: float, action: str = "block"
    ) -> None:
        self.caps[agent_id] = {"max_usd": max_usd, "action": action}


class AsShipped:
    """The form in pramiti's package: a protocol with two methods, that nobody inherits from."""

    def get_today_cost(self, workspace_id: str, agent_id: str) -> float:
        return 7.0

    def get_cap(self, workspace_id: str, agent_id: str) -> dict[str, object]:
        return {"max_usd_per_day": 5.0, "action_on_breach": "block"}


def test_a_backend_written_after_the_page_works() -> None:
    backend = AsPublished()
    backend.set_cap("ws", "bot", 5.0)
    backend.add_cost("ws", "bot", 5.0)

    with pytest.raises(CapExceededError):
        CapChecker(backend).check("ws", "bot")
    assert backend.get_today_cost("ws", "bot") == 5.0


def test_a_backend_written_after_the_package_works() -> None:
    backend: Any = AsShipped()  # Any: it inherits from nothing, as its author left it

    with pytest.raises(CapExceededError):
        CapChecker(backend).check("ws", "bot")
    assert isinstance(backend, ICostBackend)
    assert not isinstance(object(), ICostBackend)


def test_a_backend_without_a_reader_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="defines neither get_today_cost nor get_current_cost"):
        type("Nothing", (ICostBackend,), {})


def budgeted(max_actions: int, action: str = "block") -> InMemoryActionBackend:
    backend = InMemoryActionBackend()
    backend.set_budget("ws", "bot", "session", max_actions, action)
    return backend


def test_the_fiftieth_action_is_the_last_of_fifty() -> None:
    backend = budgeted(50)
    checker = ActionBudgetChecker(backend)

    assert [backend.incr("ws", "bot") for _ in range(49)][-1] == 49
    checker.check("ws", "bot")
    backend.incr("ws", "bot")

    with pytest.raises(BudgetExceededError) as raised:
        checker.check("ws", "bot")
    assert (raised.value.count, raised.value.limit, raised.value.scope) == (50, 50, "session")


def test_scopes_count_each_for_itself() -> None:
    backend = budgeted(1)
    backend.incr("ws", "bot", "agent_day", 10)

    ActionBudgetChecker(backend).check("ws", "bot")
    ActionBudgetChecker(backend).check("ws", "bot", "agent_day")


def test_an_action_budget_that_warns_warns() -> None:
    backend = budgeted(0, "warn")

    with pytest.warns(BudgetWarning):
        ActionBudgetChecker(backend).check("ws", "bot")
    assert isinstance(backend, IActionBackend)


def test_a_scope_that_is_reset_begins_anew() -> None:
    backend = budgeted(1)
    backend.incr("ws", "bot")
    backend.reset("ws", "bot")

    ActionBudgetChecker(backend).check("ws", "bot")


def test_errors_survive_the_way_to_another_process() -> None:
    cap = pickle.loads(pickle.dumps(CapExceededError("bot", 6.0, 5.0)))
    budget = pickle.loads(pickle.dumps(BudgetExceededError("bot", "session", 5, 5)))

    assert (cap.agent_id, cap.max_usd) == ("bot", 5.0)
    assert (budget.scope, budget.limit) == ("session", 5)


def test_a_warning_can_be_made_an_error_by_the_hosts_filter() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", CapWarning)
        with pytest.raises(CapWarning):
            capped(5.0, 6.0, "warn").check("ws", "bot")
