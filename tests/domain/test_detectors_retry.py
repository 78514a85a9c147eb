"""`retry_loop`: repeated prompts, repeated calls, cycles, and what is no repetition."""

import pytest

from detector_runs import AgentRun, compat, production
from tollway.contract.command import DetectorParameters, Policy

FIVE_MINUTES_MS = 300_000


def firing(run: AgentRun, prompts: list[str | None]) -> list[int]:
    """Which of the calls, counted from 1, were spoken of."""
    return [at for at, prompt in enumerate(prompts, 1) if run.llm(100, prompt=prompt)]


def test_compat_speaks_at_the_third_same_prompt_then_at_each_doubling() -> None:
    assert firing(AgentRun(compat()), ["p"] * 30) == [3, 6, 12, 24]


def test_a_repeated_prompt_warns_in_compat_and_blocks_in_production() -> None:
    for policy, level in ((compat(), "warn"), (production(), "block")):
        run = AgentRun(policy)
        firing(run, ["p"] * 3)
        assert run.said() == [("retry_loop", level)]
        assert run.heard[0].message == "the same prompt 3 times in a row"


@pytest.mark.parametrize("policy", [compat(), production()])
def test_a_different_prompt_ends_the_row(policy: Policy) -> None:
    assert firing(AgentRun(policy), ["p", "p", "q", "p", "p"]) == []
    assert firing(AgentRun(policy), ["p", "p", "q", "p", "p", "p"]) == [6]


@pytest.mark.parametrize("policy", [compat(), production()])
def test_prompts_without_a_hash_equal_nothing(policy: Policy) -> None:
    assert firing(AgentRun(policy), [None] * 9) == []
    assert firing(AgentRun(policy), ["p", "p", None, "p", "p"]) == []


@pytest.mark.parametrize("policy", [compat(), production()])
def test_a_silence_above_the_gap_ends_the_row(policy: Policy) -> None:
    run = AgentRun(policy, step_ms=FIVE_MINUTES_MS)
    assert firing(run, ["p", "p", "p"]) == [3]

    run = AgentRun(policy, step_ms=FIVE_MINUTES_MS + 1)
    assert firing(run, ["p"] * 9) == []


@pytest.mark.parametrize("policy", [compat(), production()])
def test_a_changed_result_ends_the_row_of_prompts(policy: Policy) -> None:
    run = AgentRun(policy)
    for number in range(9):
        run.llm(100, prompt="p")
        run.tool("search", f"a{number}", f"r{number}")
    assert run.said() == []


def test_the_same_results_of_several_tools_do_not_end_the_row_of_prompts() -> None:
    run = AgentRun(compat())
    for _ in range(3):
        run.llm(100, prompt="p")
        run.tool("search", "a", "first")
        run.tool("fetch", "b", "second")
    assert run.said() == [("retry_loop", "warn")]


def test_a_clients_own_retry_counts_only_if_it_used_tokens() -> None:
    outage = AgentRun(production())
    assert [outage.llm(0, prompt="p", attempt=attempt) for attempt in range(6)] == [[]] * 6

    paid = AgentRun(production())
    heard = [paid.llm(100, prompt="p", attempt=attempt) for attempt in range(3)]
    assert [len(sightings) for sightings in heard] == [0, 0, 1]


def test_the_model_does_not_matter() -> None:
    run = AgentRun(compat())
    heard = [run.llm(100, prompt="p", model=model) for model in ("a", "b", "c")]
    assert [len(sightings) for sightings in heard] == [0, 0, 1]


def test_compat_does_not_look_at_tool_calls() -> None:
    run = AgentRun(compat())
    for _ in range(20):
        run.tool("ls", "a", "r")
    assert run.said() == []


def test_the_same_call_with_changing_results_warns_at_three_and_blocks_at_five() -> None:
    run = AgentRun(production())
    heard = [run.tool("ls", "a", f"r{number}") for number in range(20)]

    fired = {at: seen[0].level for at, seen in enumerate(heard, 1) if seen}
    assert fired == {3: "warn", 5: "block", 10: "block", 20: "block"}
    assert heard[2][0].message == "same call of tool ls 3 times"


def test_the_same_call_with_the_same_result_blocks_at_three_then_at_each_doubling() -> None:
    run = AgentRun(production())
    heard = [run.tool("read_file", "a", "r") for _ in range(13)]

    fired = {at: seen[0].level for at, seen in enumerate(heard, 1) if seen}
    assert fired == {3: "block", 6: "block", 12: "block"}
    assert heard[2][0].message == "same call of tool read_file with the same result 3 times"
    assert heard[2][0].evidence == {"tool": "read_file", "repeats": "3", "cycle_length": "1"}


def test_results_that_stop_changing_block_at_their_third() -> None:
    run = AgentRun(production())
    heard = [run.tool("ls", "a", result) for result in ("x", "y", "y", "y")]

    assert [seen[0].level if seen else "" for seen in heard] == ["", "", "warn", "block"]


def test_calls_without_arguments_or_results_never_match() -> None:
    run = AgentRun(production())
    for _ in range(9):
        run.tool("ls", None, "r")
        run.tool(None, "a", "r")
    assert run.said() == []

    without_result = AgentRun(production())
    for _ in range(3):
        without_result.tool("ls", "a", None)
    assert without_result.said() == [("retry_loop", "warn")]


@pytest.mark.parametrize("period", [2, 3, 4])
@pytest.mark.parametrize("same_results", [True, False])
def test_a_cycle_is_spoken_of_when_it_closes_the_third_time(
    period: int, same_results: bool
) -> None:
    run = AgentRun(production())
    heard = []
    for number in range(6 * period):
        result = "r" if same_results else f"r{number}"
        heard.append(run.tool("step", f"a{number % period}", result))

    level = "block" if same_results else "warn"
    fired = {at: seen[0].level for at, seen in enumerate(heard, 1) if seen}
    assert fired == {3 * period: level, 6 * period: level}
    how = "with the same result " if same_results else ""
    assert run.heard[0].message == f"same cycle of {period} tool calls, last step, {how}3 times"


def test_a_cycle_of_five_is_not_looked_for() -> None:
    run = AgentRun(production())
    for number in range(50):
        run.tool("step", f"a{number % 5}", "r")
    assert run.said() == []


def test_a_shorter_cycle_length_is_obeyed() -> None:
    run = AgentRun(production(retry_cycle_length=1))
    for number in range(12):
        run.tool("step", f"a{number % 2}", "r")
    assert run.said() == []


def test_model_calls_between_the_same_tool_calls_do_not_end_the_row() -> None:
    run = AgentRun(production())
    for number in range(3):
        run.llm(100 + number, prompt=f"p{number}")
        run.tool("ls", "a", "r")
    assert run.said() == [("retry_loop", "block")]


def test_a_silence_before_the_model_call_ends_the_row_of_tool_calls() -> None:
    run = AgentRun(production())
    for number in range(9):
        run.at_ms += FIVE_MINUTES_MS
        run.llm(100, prompt=f"p{number}")
        run.tool("ls", "a", "r")
    assert run.said() == []


def test_polling_tools_are_exempt_and_hide_no_other_loop() -> None:
    policy = Policy(detectors=DetectorParameters(polling_tools=["check_status"]))
    polling = AgentRun(policy)
    for _ in range(50):
        polling.tool("check_status", "a", "r")
    assert polling.said() == []

    between = AgentRun(policy)
    for _ in range(3):
        between.tool("check_status", "a", "r")
        between.tool("ls", "a", "r")
    assert between.said() == [("retry_loop", "block")]


def test_the_same_arguments_of_another_tool_are_another_call() -> None:
    run = AgentRun(production())
    for name in ("a", "b", "c", "d", "e", "f"):
        run.tool(name, "same", "r")
    assert run.said() == []
