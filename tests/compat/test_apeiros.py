"""Sessions and tasks as Apeiros' pages describe them, and what of them outlives the process."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tollway import meter as front_door
from tollway.compat import apeiros
from tollway.compat.apeiros import ApeirosAgent
from tollway.compat.apeiros.months import TaskRecord
from tollway.compat.apeiros.registry import Registry
from tollway.producers.testing import Meter, metered

Told = dict[str, Any]  # Any: JSON, as the tool documents it


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "state" / "tasks.jsonl"
    monkeypatch.setenv("TOLLWAY_STATE", str(path))
    ApeirosAgent._registry.keep_in(None)
    yield path
    apeiros.end_session()
    ApeirosAgent._registry.keep_in(None)


@pytest.fixture
def metering() -> Iterator[Meter]:
    with metered(workspace="acme", agent="bot") as running:
        yield running


def did(customer: str, task: str, input_tokens: int, output_tokens: int) -> Told:
    agent = ApeirosAgent(customer_id=customer, model="gpt-4o")
    agent.start_task(task)
    agent.update_tokens(input_tokens=input_tokens, output_tokens=output_tokens)
    record = agent.end_task()
    assert record is not None
    return record


def types(told: Told) -> list[str]:
    return [warning["type"] for warning in told["warnings"]]


# --- sessions -----------------------------------------------------------------------------------


def test_the_guide_to_budgets_works_as_it_stands() -> None:
    apeiros.start_session(budget=0.50, model="gpt-4o")

    first: Told = apeiros.wrap(None, input_tokens=1200, output_tokens=380)
    second: Told = apeiros.wrap(None, input_tokens=1200, output_tokens=60_000)
    state: Told = apeiros.get_state()
    result: Told = apeiros.end_session()

    assert (first["cost"], first["warnings"]) == (0.0068, [])
    assert "budget_exceeded" in types(second)
    assert state["total_cost"] == result["total_cost"] == 0.6098
    (warning,) = [each for each in result["warnings"] if each["type"] == "budget_exceeded"]
    assert warning["message"] == "the run has spent $0.6098, over its budget of $0.50"


def test_a_session_over_its_budget_is_told_of_once_and_never_stopped() -> None:
    apeiros.start_session(budget=0.01, model="gpt-4o")

    told = [apeiros.wrap(None, input_tokens=1000, output_tokens=1000) for _ in range(3)]
    front_door.check(model="gpt-4o")

    assert [types(each).count("budget_exceeded") for each in told] == [1, 0, 0]


def test_exactly_the_budget_is_not_over_it() -> None:
    apeiros.start_session(budget=0.01, model="gpt-4o")

    assert types(apeiros.wrap(None, output_tokens=1000)) == []


def test_the_same_prompt_three_times_in_a_row_is_a_loop() -> None:
    apeiros.start_session(model="gpt-4o")

    told = [types(apeiros.wrap(None, input_tokens=10, prompt="CANARY")) for _ in range(3)]

    assert ["retry_loop" in each for each in told] == [False, False, True]


def test_a_context_that_grows_by_more_than_a_fifth_is_told() -> None:
    apeiros.start_session(model="gpt-4o")

    told = [types(apeiros.wrap(None, input_tokens=tokens)) for tokens in (1000, 1200, 1441)]

    assert ["context_bloat" in each for each in told] == [False, False, True]


def test_a_response_is_counted_by_what_it_says() -> None:
    apeiros.start_session()
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o",
        "choices": [],
        "usage": {"prompt_tokens": 500, "completion_tokens": 200},
    }

    told: Told = apeiros.wrap(body)

    assert (told["cost"], told["input_tokens"], told["output_tokens"]) == (0.00325, 500, 200)


def test_a_model_without_a_price_is_not_free() -> None:
    apeiros.start_session(model="gpt-nonesuch")

    told: Told = apeiros.wrap(None, input_tokens=1000, output_tokens=1000)

    assert told["cost"] > 0
    assert types(told) == ["unpriced"]


def test_without_a_session_nothing_is_spent_and_the_first_step_opens_one() -> None:
    assert apeiros.end_session() == apeiros.get_state() == {"total_cost": 0.0, "warnings": []}

    apeiros.wrap(None, input_tokens=1000, model="gpt-4o")

    assert apeiros.end_session()["total_cost"] == 0.0025


def test_threads_with_sessions_of_their_own_do_not_mix() -> None:
    totals: dict[int, object] = {}
    together = threading.Barrier(4)

    def run(number: int) -> None:
        apeiros.start_session(model="gpt-4o")
        together.wait()
        for _ in range(number):
            apeiros.wrap(None, input_tokens=1000)
        totals[number] = apeiros.end_session()["total_cost"]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert totals == {1: 0.0025, 2: 0.005, 3: 0.0075, 4: 0.01}


def test_steps_and_tasks_are_metered_and_prompts_never_leave(metering: Meter) -> None:
    apeiros.start_session(customer_id="corp", task="answer", model="gpt-4o")
    apeiros.wrap(None, input_tokens=10, prompt="CANARY")
    apeiros.end_session()
    did("corp", "research", 1000, 10)

    step, outcome, task = metering.events()
    assert (step.customer, step.task, step.input_tokens) == ("corp", "answer", 10)
    assert outcome.kind == "outcome"
    assert (task.customer, task.task, task.model, task.input_tokens) == (
        *("corp", "research", "gpt-4o"),
        1000,
    )
    assert b"CANARY" not in b"".join(value for _, value in metering.outbox.records)


# --- the registry -------------------------------------------------------------------------------


def test_the_guide_to_workflows_works_as_it_stands() -> None:
    did("acme-corp", "answer-support-question", 1_000_000, 0)
    did("acme-corp", "research-and-draft-report", 0, 100_000)
    did("acme-corp", "answer-support-question", 100_000, 0)
    costs: dict[str, float] = {}

    for tasks in ApeirosAgent._registry.values():
        for task in tasks:
            name: Any = task.get("task", "unnamed")  # Any: JSON
            cost: Any = task.get("cost_estimate", 0.0)
            costs[name] = costs.get(name, 0.0) + cost

    assert costs == {"answer-support-question": 2.75, "research-and-draft-report": 1.0}


def test_a_number_of_tokens_alone_is_priced_as_the_dearest_it_can_be() -> None:
    agent = ApeirosAgent(customer_id="acme", model="gpt-4o")
    agent.start_task("t")
    agent.update_tokens(42_000)

    assert agent.cost_estimate == 0.42


def test_the_registry_outlives_the_process(state: Path) -> None:
    code = (
        "from tollway.compat.apeiros import ApeirosAgent\n"
        "agent = ApeirosAgent(customer_id='acme', model='gpt-4o')\n"
        "agent.start_task('elsewhere'); agent.update_tokens(1000); agent.end_task()\n"
        "import os; os._exit(1)\n"
    )

    subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    did("acme", "here", 1000, 0)

    assert [task["task"] for task in ApeirosAgent._registry["acme"]] == ["elsewhere", "here"]
    assert [task["task"] for task in Registry(state)["acme"]] == ["elsewhere", "here"]


def test_a_torn_line_costs_no_other_line(state: Path, caplog: pytest.LogCaptureFixture) -> None:
    did("acme", "before", 1000, 0)
    with state.open("ab") as file:
        file.write(b'{"customer_id": "acme", "task": "to')

    did("acme", "after", 1000, 0)

    assert [task["task"] for task in ApeirosAgent._registry["acme"]] == ["before", "after"]
    assert "a line of the state file is no task" in caplog.text


def test_processes_that_write_at_once_lose_no_task(state: Path) -> None:
    code = (
        "from tollway.compat.apeiros import ApeirosAgent\n"
        "agent = ApeirosAgent(customer_id='acme', model='gpt-4o')\n"
        "for number in range(100):\n"
        "    agent.start_task('t'); agent.update_tokens(1); agent.end_task()\n"
    )

    children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]

    assert [child.wait(timeout=120) for child in children] == [0, 0, 0]
    assert len(ApeirosAgent._registry["acme"]) == 300
    # Who appends while another line is half there takes it for a torn one, and ends it once more.
    lines = [line for line in state.read_text().splitlines() if line]
    assert len(lines) == 300
    assert len({json.loads(line)["ended_at"] for line in lines}) > 1


def test_a_month_that_is_over_is_not_in_this_months_sum(state: Path) -> None:
    past = TaskRecord(
        customer_id="acme",
        task="old",
        model="gpt-4o",
        output_tokens=100,
        cost="9.000000000000",
        ended_at="2026-01-31T23:59:59.999Z",
    )
    ApeirosAgent._registry.add(past)
    did("acme", "new", 0, 100_000)

    assert [task["task"] for task in ApeirosAgent._registry["acme"]] == ["new"]
    assert apeiros.meter()["total_cost"] == 1.0
    assert apeiros.meter(month="2026-01")["total_cost"] == 9.0
    assert apeiros.customer_report("acme", month="2026-01")["tasks"] == 1


def test_a_state_that_cannot_be_written_is_said_stops_nothing_and_is_made_up_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    apeiros.instrument("threading", state=blocked / "tasks.jsonl")
    front_door.uninstrument("threading")
    did("acme", "first", 0, 100_000)

    assert ApeirosAgent._registry["acme"][0]["cost_estimate"] == 1.0
    assert "the state file takes no tasks" in caplog.text

    blocked.unlink()
    did("acme", "second", 0, 100_000)

    for registry in (ApeirosAgent._registry, Registry(blocked / "tasks.jsonl")):
        assert [task["task"] for task in registry["acme"]] == ["first", "second"]


def test_a_customers_report_has_its_tasks_and_its_margin() -> None:
    did("acme", "research", 0, 100_000)
    did("acme", "answer", 100_000, 0)
    did("other", "answer", 100_000, 0)

    report: Told = apeiros.customer_report("acme", revenue=5)
    everybody: Told = apeiros.customer_report(revenue={"acme": 5.0})

    assert (report["total_cost"], report["cost"], report["tasks"]) == (1.25, "1.250000000000", 2)
    assert report["by_task"]["answer"]["total_cost"] == 0.25
    assert report["by_model"]["gpt-4o"]["tokens"] == 200_000
    assert (report["margin"], report["margin_percent"]) == (3.75, 75.0)
    assert everybody["acme"] == report
    assert "margin" not in everybody["other"]
