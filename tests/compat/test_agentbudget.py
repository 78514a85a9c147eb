"""Sessions as agentbudget's callers know them, on what it got wrong as well."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway import meter
from tollway.compat import agentbudget
from tollway.compat.agentbudget import (
    AgentBudget,
    BudgetExhausted,
    InvalidBudget,
    InvalidCost,
    LoopDetected,
)
from tollway.producers.testing import metered

Report = dict[str, Any]  # Any: JSON, as the tool documents it


def response(model: str, input_tokens: int, output_tokens: int, **more: object) -> Report:
    usage = {"prompt_tokens": input_tokens, "completion_tokens": output_tokens, **more}
    return {"object": "chat.completion", "model": model, "choices": [], "usage": usage}


def test_its_readme_works_as_it_stands() -> None:
    budget = AgentBudget(max_spend="$5.00")

    with budget.session() as session:
        session.wrap(response("gpt-4o", 500, 200))
        found = session.track(["a", "b"], cost=0.01, tool_name="serp_api")

    report: Report = session.report()
    assert found == ["a", "b"]
    assert report["breakdown"] == {
        "llm": {"total": 0.00325, "calls": 1, "by_model": {"gpt-4o": 0.00325}},
        "tools": {"total": 0.01, "calls": 1, "by_tool": {"serp_api": 0.01}},
    }
    assert (report["total_spent"], report["remaining"]) == (0.01325, 4.98675)
    assert [event["cost_type"] for event in report["events"]] == ["llm", "tool"]
    assert report["terminated_by"] is None
    assert json.loads(json.dumps(report)) == report


def test_three_dimes_are_thirty_cents() -> None:
    with AgentBudget(0.30).session() as session:
        for _ in range(3):
            session.track("x", cost=0.10)

    assert (session.spent, session.remaining) == (0.3, 0.0)


def test_what_went_over_stays_in_the_books_and_nothing_follows() -> None:
    with AgentBudget(1).session() as session:
        session.track("x", cost=0.5)
        with pytest.raises(BudgetExhausted) as raised:
            session.track("x", cost=0.6)
        with pytest.raises(BudgetExhausted):
            session.track("x", cost=0.4)

    assert (raised.value.budget, raised.value.spent) == (1.0, 1.1)
    assert session.spent == 1.5
    assert session.report()["terminated_by"] == "budget_exhausted"


def test_children_together_never_have_more_than_the_parent() -> None:
    with AgentBudget(1).session() as parent:
        first, second = parent.child_session(1), parent.child_session(1)
        with first:
            first.track("x", cost=0.7)
            assert (parent.spent, second.remaining) == (0.7, 0.3)
        with second, pytest.raises(BudgetExhausted):
            second.track("x", cost=0.4)

    assert parent.spent == 1.1


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40)), max_size=30))
def test_a_parent_has_spent_what_its_children_have(spends: list[tuple[int, int]]) -> None:
    with AgentBudget(1_000_000).session() as parent:
        children = [parent.child_session(1_000_000) for _ in range(3)]
        for child, cents in spends:
            children[child].track("x", cost=cents / 100)

    assert parent.spent == sum(cents for _, cents in spends) / 100


def test_threads_lose_no_cost_and_all_are_stopped() -> None:
    refused: list[float] = []

    def spend(session: agentbudget.BudgetSession) -> None:
        while True:
            try:
                session.track("x", cost=0.01)
            except BudgetExhausted as error:
                refused.append(error.budget)
                return

    with AgentBudget(2).session() as session, ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(spend, session) for _ in range(8)]:
            done.result()

    # Each was refused at its first call beyond the budget, which had been made.
    assert refused == [2.0] * 8
    assert session.spent == 2.08


def test_different_calls_of_one_model_or_tool_are_no_loop() -> None:
    with AgentBudget(50, max_repeated_calls=3).session() as session:
        for number in range(20):
            session.wrap(response("gpt-4o", 100 + number, 50))
            session.track(f"page {'x' * number}", cost=0.01, tool_name="fetch")


def test_the_same_call_with_the_same_result_is_a_loop() -> None:
    told: list[Report] = []
    budget = AgentBudget(50, max_repeated_calls=3, on_loop_detected=told.append)

    with budget.session() as session:
        for _ in range(2):
            session.track("busy", cost=0.01, tool_name="poll")
        with pytest.raises(LoopDetected) as raised:
            session.track("busy", cost=0.01, tool_name="poll")

    assert raised.value.key == "poll"
    assert [report["terminated_by"] for report in told] == ["loop_detected"]
    assert session.spent == 0.03


def test_a_model_without_a_price_is_not_free(caplog: pytest.LogCaptureFixture) -> None:
    with AgentBudget(5).session() as session:
        for _ in range(2):
            session.wrap(response("gpt-nonesuch", 100, 0))
        with pytest.raises(BudgetExhausted):
            session.wrap(response("gpt-nonesuch", 20_000_000, 0))

    # Once a model: a run may call it a thousand times.
    assert [record.getMessage() for record in caplog.records] == [
        "no pricing for model 'gpt-nonesuch': it counts at the dearest rates; see register_model"
    ]
    report: Report = session.report()
    assert report["unpriced_events"] == 3
    assert all(event["unpriced"] and event["cost"] > 0 for event in report["events"])


def test_a_registered_price_holds_for_input_and_output() -> None:
    agentbudget.register_models({"house-model-1": (0.1, 0.2)})

    with AgentBudget(5).session() as session:
        session.wrap(response("house-model-1", 1_000_000, 1_000_000))

    assert session.spent == 0.3


def test_cached_input_costs_what_it_costs() -> None:
    cached = {"prompt_tokens_details": {"cached_tokens": 900_000}}

    with AgentBudget(5).session() as session:
        session.wrap(response("gpt-4o", 1_000_000, 0, **cached))

    assert session.spent == 1.375


def test_one_response_wrapped_twice_costs_once() -> None:
    body = {"id": "chatcmpl-1", **response("gpt-4o", 500, 200)}

    with AgentBudget(5).session() as session:
        session.wrap(body)
        session.wrap(body)

    assert session.spent == 0.00325


@pytest.mark.parametrize("cost", [-0.01, float("nan"), float("inf"), "a lot"])
def test_a_cost_that_is_none_is_refused(cost: Any) -> None:  # noqa: ANN401 (what callers may send)
    with AgentBudget(5).session() as session:
        with pytest.raises(InvalidCost):
            session.track("x", cost=cost)
        with pytest.raises(InvalidCost):
            session.would_exceed(cost)

    assert session.spent == 0.0


@pytest.mark.parametrize("amount", [0, -1, "$0", "five", float("nan"), ""])
def test_a_budget_that_is_none_is_refused(amount: str | float) -> None:
    with pytest.raises(InvalidBudget):
        AgentBudget(amount)


def test_a_reserve_is_kept_back_from_the_limit() -> None:
    with AgentBudget("$1.00", finalization_reserve=0.05).session() as session:
        session.track("x", cost=0.95)
        assert session.would_exceed(0.01)
        with pytest.raises(BudgetExhausted):
            session.track("x", cost=0.01)


def test_a_tool_that_must_not_be_called_is_not_called() -> None:
    calls: list[str] = []

    with AgentBudget(1).session() as session:

        @session.track_tool(cost=1.0, tool_name="search")
        def search(query: str) -> str:
            calls.append(query)
            return query

        assert search("a") == "a"
        with pytest.raises(BudgetExhausted):
            search("b")

    assert calls == ["a"]
    assert session.spent == 1.0


async def searched(session: agentbudget.AsyncBudgetSession) -> str:
    @session.track_tool(cost=0.25)
    async def search(query: str) -> str:
        return query

    async def answer() -> Report:
        return response("gpt-4o", 500, 200)

    async with session:
        await session.wrap_async(answer())
        return await search("a")


def test_an_asynchronous_session_counts_coroutines() -> None:
    import asyncio

    session = AgentBudget(5).async_session()

    assert asyncio.run(searched(session)) == "a"
    assert session.spent == 0.25325


def test_what_a_session_counts_is_metered_and_what_is_in_it_never_leaves() -> None:
    with metered(workspace="acme", agent="bot") as metering:
        with AgentBudget(5).session("run-1") as session:
            session.track("CANARY", cost=0.01, tool_name="serp", metadata={"query": "CANARY"})
        sent = b"".join(value for _, value in metering.outbox.records)
        tool, outcome = metering.events()

    assert (tool.session, tool.agent, tool.tool, tool.cost) == (
        *("run-1", "bot", "serp"),
        "0.010000000000",
    )
    assert (outcome.kind, outcome.success) == ("outcome", True)
    assert b"CANARY" not in sent
    events: Any = session.report()["events"]  # Any: JSON
    assert events[0]["metadata"] == {"query": "CANARY"}


def test_a_block_of_the_fleet_is_a_budget_that_is_exhausted() -> None:
    with metered(workspace="acme", agent="bot") as metering:
        metering.block(agent="bot")
        session = AgentBudget(5).session()

        @session.track_tool(cost=1.0)
        def search() -> None:
            raise AssertionError("it was called")

        with session, pytest.raises(BudgetExhausted) as raised:
            search()

    assert (raised.value.budget, raised.value.spent) == (1.0, 1.0)
    assert isinstance(raised.value.__cause__, meter.CallBlocked)


def test_errors_survive_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(BudgetExhausted(5.0, 5.5)))

    assert str(error) == "Budget exhausted: spent $5.5000 of $5.00 budget"
