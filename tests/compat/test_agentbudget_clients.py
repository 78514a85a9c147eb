"""Clients whose calls count in a session, and are asked for before they are made."""

import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from fake_clients import FakeCompletions, client_of
from tollway.compat import agentbudget
from tollway.compat.agentbudget import AgentBudget, BudgetExhausted


def test_a_client_that_is_wrapped_counts_and_another_does_not() -> None:
    mine, other = client_of(FakeCompletions()), client_of(FakeCompletions())

    with AgentBudget(5).session() as session:
        assert agentbudget.wrap_client(mine, session) is mine
        mine.chat.completions.create(model="gpt-4o", messages=[])
        other.chat.completions.create(model="gpt-4o", messages=[])

    assert session.spent == 0.00325


def test_a_call_with_nothing_left_is_not_made() -> None:
    completions = FakeCompletions()
    client = client_of(completions)

    with AgentBudget(0.00325).session() as session:
        agentbudget.wrap_client(client, session)
        client.chat.completions.create(model="gpt-4o")
        with pytest.raises(BudgetExhausted):
            client.chat.completions.create(model="gpt-4o")

    assert len(completions.asked) == 1


def test_the_same_prompt_again_and_again_is_a_loop_and_other_prompts_are_none() -> None:
    client = client_of(FakeCompletions())

    with AgentBudget(5, max_repeated_calls=3).session() as session:
        agentbudget.wrap_client(client, session)
        create = client.chat.completions.create
        for number in range(10):
            create(model="gpt-4o", messages=[{"role": "user", "content": str(number)}])
        for _ in range(2):
            create(model="gpt-4o", messages=[{"role": "user", "content": "again"}])
        with pytest.raises(agentbudget.LoopDetected):
            create(model="gpt-4o", messages=[{"role": "user", "content": "again"}])


def test_a_client_without_a_known_door_is_refused() -> None:
    with pytest.raises(TypeError, match=r"has none of chat\.completions"):
        agentbudget.wrap_client(object(), AgentBudget(5).session())


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> type[FakeCompletions]:
    """A library by OpenAI's name, with a class of its own for each test."""
    kind = type("Completions", (FakeCompletions,), {"create": FakeCompletions.create})
    names = ("openai", "openai.resources", "openai.resources.chat")
    for name in names:
        package = ModuleType(name)
        package.__path__ = []
        monkeypatch.setitem(sys.modules, name, package)
    module = ModuleType("openai.resources.chat.completions")
    vars(module)["Completions"] = kind
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return kind


def test_after_init_all_clients_count_and_after_teardown_none(
    installed: type[FakeCompletions],
) -> None:
    before = vars(installed)["create"]
    agentbudget.init("$5.00")
    installed().create(model="gpt-4o")
    report: Any = agentbudget.teardown()  # Any: JSON
    installed().create(model="gpt-4o")

    assert (report["total_spent"], agentbudget.spent()) == (0.00325, 0.0)
    assert vars(installed)["create"] is before


def test_what_ended_a_session_of_init_is_in_its_report(installed: type[FakeCompletions]) -> None:
    hard: list[object] = []
    agentbudget.init(0.001, on_hard_limit=hard.append)
    with pytest.raises(BudgetExhausted):
        installed().create(model="gpt-4o")
    report: Any = agentbudget.teardown()  # Any: JSON

    assert (report["terminated_by"], report["total_spent"]) == ("budget_exhausted", 0.00325)
    assert len(hard) == 1


def test_a_wrapped_client_counts_in_its_own_session_and_once(
    installed: type[FakeCompletions],
) -> None:
    agentbudget.init("$5.00")
    client = client_of(installed())
    with AgentBudget(5).session() as session:
        agentbudget.wrap_client(client, session)
        client.chat.completions.create(model="gpt-4o")
    agentbudget.teardown()

    assert len([entry for entry in session.books.entries if entry.kind == "llm"]) == 1
    assert session.spent == 0.00325


def in_a_thread(work: Callable[[], object]) -> object:
    given: list[object] = []
    thread = threading.Thread(target=lambda: given.append(work()))
    thread.start()
    thread.join()
    return given[0]


def test_a_thread_begins_without_a_session_and_ends_nobody_elses() -> None:
    agentbudget.init("$5.00", session_id="main")

    assert in_a_thread(agentbudget.get_session) is None
    assert in_a_thread(agentbudget.teardown) is None
    report: Any = agentbudget.teardown()  # Any: JSON
    assert report["session_id"] == "main"
