"""`tool_amplification` and `spend_spike` at their edges."""

import pytest

from detector_runs import AgentRun, compat, production
from tollway.contract.command import Policy

# Only what is looked at here: inputs that grow fivefold also bloat and accelerate.
QUIET = compat(context_growth_percent=10**6, acceleration_percent=10**6)


@pytest.mark.parametrize(("after", "fires"), [(4999, False), (5000, True)])
def test_compat_fires_when_tools_multiply_the_input_by_five(after: int, fires: bool) -> None:
    run = AgentRun(QUIET)
    run.llm(1000)
    run.tool("ls", tokens=after)

    heard = run.llm(after)

    assert [sighting.detector for sighting in heard] == ["tool_amplification"] * fires


def test_compat_names_the_tool_with_the_largest_result() -> None:
    run = AgentRun(QUIET)
    run.llm(1000)
    run.tool("ls", tokens=10)
    run.tool("fetch", tokens=8_000)
    run.tool("cat", tokens=900)

    (sighting,) = run.llm(9_900)

    assert sighting.level == "warn"
    assert sighting.message == (
        "tool calls took the input from 1000 to 9900 tokens, most from tool fetch"
    )
    assert sighting.evidence["result"] == "8000"


def test_compat_never_fires_without_a_tool_call() -> None:
    run = AgentRun(QUIET)
    run.tool("ls", tokens=10)
    run.llm(1000)
    assert run.llm(50_000) == []


def test_compat_compares_the_first_input_with_nothing() -> None:
    run = AgentRun(QUIET)
    run.tool("ls", tokens=10)
    assert run.llm(50_000) == []


def test_compat_names_the_first_of_equal_results_and_forgets_it_after() -> None:
    run = AgentRun(QUIET)
    run.llm(1000)
    run.tool("ls", tokens=10)
    run.tool("cat", tokens=10)
    (first,) = run.llm(5000)
    run.tool("touch", tokens=0)
    (second,) = run.llm(25_000)
    assert first.evidence["tool"] == "ls"
    assert "tool" not in second.evidence


@pytest.mark.parametrize(("first", "second"), [(1, 0), (0, 1)])
def test_compat_takes_either_model_calls_count_of_tool_calls(first: int, second: int) -> None:
    run = AgentRun(QUIET)
    run.llm(1000, tool_calls=first)
    assert len(run.llm(5000, tool_calls=second)) == 1


def after_two_results() -> AgentRun:
    run = AgentRun(production())
    run.tool("ls", "a0", "r0", tokens=500)
    run.tool("ls", "a1", "r1", tokens=500)
    return run


@pytest.mark.parametrize(
    ("output", "result", "prompt", "fires"),
    [
        (100, 10_000, 40_000, True),
        (100, 9_999, 20_000, False),
        (2_000, 10_000, 40_000, True),
        (2_001, 10_000, 40_000, False),
        (100, 10_000, 40_001, False),
    ],
)
def test_production_needs_the_size_the_ratio_and_the_share(
    output: int, result: int, prompt: int, fires: bool
) -> None:
    run = after_two_results()
    run.llm(5_000, output=output)
    run.tool("fetch", "a2", "r2", tokens=result)

    heard = run.llm(prompt)

    assert [sighting.detector for sighting in heard] == ["tool_amplification"] * fires


def test_production_says_the_figures() -> None:
    run = after_two_results()
    run.llm(5_000, output=50)
    run.tool("fetch", "a2", "r2", tokens=25_000)
    (sighting,) = run.llm(40_000)
    assert sighting.level == "warn"
    assert sighting.message == (
        "a result of tool fetch has 25000 tokens, 62 % of the next prompt of 40000; the call had 50"
    )
    assert run.llm(40_000) == []


def test_the_tools_own_input_tokens_are_its_call() -> None:
    run = after_two_results()
    run.llm(5_000, output=9_000)
    run.tool("fetch", "a2", "r2", tokens=10_000, call_tokens=40)
    assert len(run.llm(20_000)) == 1


def test_the_first_two_results_of_a_run_are_not_looked_at() -> None:
    run = AgentRun(production())
    heard = []
    for number in range(3):
        run.llm(5_000, output=50)
        run.tool("ls", f"a{number}", f"r{number}", tokens=20_000)
        heard.append(len(run.llm(30_000)))
    assert heard == [0, 0, 1]


def test_a_model_call_without_input_leaves_the_result_to_the_next() -> None:
    run = after_two_results()
    run.llm(5_000, output=50)
    run.tool("fetch", "a2", "r2", tokens=10_000)
    assert run.llm(0) == []
    assert len(run.llm(20_000)) == 1


# Nothing but the spike: a window of that spend would be fast as well.
SPIKY = Policy.model_validate({"detectors": {"off": ["token_acceleration"]}})


@pytest.mark.parametrize(("usd", "fires"), [("1.999999999999", False), ("2.00", True)])
def test_a_spike_is_ten_times_the_median_event_of_the_agent(usd: str, fires: bool) -> None:
    run = AgentRun(SPIKY)
    for _ in range(32):
        assert run.llm(usd="0.20") == []

    heard = run.llm(usd=usd)

    assert [sighting.detector for sighting in heard] == ["spend_spike"] * fires


def test_a_spike_says_the_figures_and_only_warns() -> None:
    run = AgentRun(SPIKY)
    for _ in range(40):
        run.llm(usd="0.01")
    (sighting,) = run.llm(usd="3.00")
    assert sighting.level == "warn"
    assert sighting.message == (
        "one event cost $3.00, 300 times the median $0.01 of the agent's last 32 events"
    )


def test_a_spike_needs_thirty_two_events_and_a_dollar() -> None:
    run = AgentRun(SPIKY)
    for _ in range(31):
        run.llm(usd="0.01")
    assert run.llm(usd="50") == []
    assert run.llm(usd="0.999999999999") == []
    assert len(run.llm(usd="1.00")) == 1


def test_only_a_spike_twice_as_dear_is_said_again_in_a_run() -> None:
    run = AgentRun(SPIKY)
    for _ in range(64):
        run.llm(usd="0.01")
    heard = [len(run.llm(usd=usd)) for usd in ("2.00", "2.00", "3.999999999999", "4.00")]
    assert heard == [1, 0, 0, 1]


def test_compat_knows_no_spikes() -> None:
    run = AgentRun(compat())
    for _ in range(64):
        run.llm(usd="0.01")
    assert run.llm(usd="50") == []
