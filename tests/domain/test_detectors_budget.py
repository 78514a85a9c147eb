"""`budget_exceeded` at its edges, in both profiles."""

import pytest

from detector_runs import AgentRun, compat, production
from tollway.domain.detectors import Norm

DOLLAR = 10**12


def norm_of(runs: list[int]) -> Norm:
    norm = Norm()
    for pico in runs:
        norm.finished(pico)
    return norm


def test_compat_warns_above_the_budget_and_not_at_it() -> None:
    run = AgentRun(compat("1.00"))
    assert run.llm(usd="1.00") == []

    (sighting,) = run.llm(usd="0.000000000001")

    assert (sighting.detector, sighting.level) == ("budget_exceeded", "warn")
    assert sighting.message == "the run has spent $1.000000000001, over its budget of $1.00"
    assert sighting.evidence == {"spent": "1.000000000001", "limit": "1.000000000000"}


def test_compat_speaks_once_a_crossing_and_once_more_for_a_raised_budget() -> None:
    run = AgentRun(compat("1.00"))
    assert len(run.llm(usd="1.50")) == 1
    assert run.llm(usd="0.10") == []

    run.obey(compat("2.00"))
    assert run.llm(usd="0.40") == []
    assert len(run.llm(usd="0.01")) == 1

    run.obey(compat("1.00"))
    assert run.llm(usd="1.00") == []
    run.obey(compat("2.00"))
    assert run.llm(usd="1.00") == []


def test_production_warns_at_eighty_percent_and_blocks_at_the_budget() -> None:
    run = AgentRun(production("1.00"))
    assert run.llm(usd="0.799999999999") == []

    (warning,) = run.llm(usd="0.000000000001")
    assert warning.level == "warn"
    assert warning.message == "the run has spent $0.80, 80 % of its budget of $1.00"
    assert run.llm(usd="0.199999999999") == []

    (block,) = run.llm(usd="0.000000000001")
    assert block.level == "block"
    assert block.message == "the run has spent $1.00 of its budget of $1.00"
    assert run.llm(usd="5.00") == []


def test_an_event_that_jumps_over_the_warning_only_blocks() -> None:
    run = AgentRun(production("1.00"))

    run.llm(usd="3.00")

    assert run.said() == [("budget_exceeded", "block")]


def test_a_raised_budget_warns_and_blocks_anew() -> None:
    run = AgentRun(production("1.00"))
    run.llm(usd="1.00")
    run.obey(production("1.20"))

    (warning,) = run.llm(usd="0")
    (block,) = run.llm(usd="0.20")

    assert (warning.level, block.level) == ("warn", "block")


def test_without_a_budget_and_a_norm_no_spend_is_too_much() -> None:
    for policy in (compat(), production(), production("0")):
        run = AgentRun(policy)
        assert run.llm(usd="1000000") == []


@pytest.mark.parametrize(
    ("usd", "levels"),
    [
        ("2.999999999999", []),
        ("3.00", ["warn"]),
        ("9.999999999999", ["warn"]),
        ("10.00", ["block"]),
    ],
)
def test_production_compares_a_run_with_the_median_run(usd: str, levels: list[str]) -> None:
    run = AgentRun(production(), norm_of([DOLLAR] * 20))

    run.llm(usd=usd)

    assert [sighting.level for sighting in run.heard] == levels


def test_the_median_says_nothing_before_twenty_finished_runs() -> None:
    run = AgentRun(production(), norm_of([DOLLAR] * 19))
    assert run.llm(usd="500") == []

    run.norm.finished(DOLLAR)

    (block,) = run.llm(usd="0.01")
    assert block.message == (
        "the run has spent $500.01, 500 times the median $1.00 of the agent's last 20 runs"
    )


def test_the_median_warns_once_and_blocks_once_a_run() -> None:
    run = AgentRun(production(), norm_of([DOLLAR] * 20))

    for _ in range(20):
        run.llm(usd="1.00")

    assert run.said() == [("budget_exceeded", "warn"), ("budget_exceeded", "block")]


def test_of_budget_and_median_the_block_is_said() -> None:
    run = AgentRun(production("12.00"), norm_of([DOLLAR] * 20))

    (sighting,) = run.llm(usd="10.00")

    assert sighting.level == "block"
    assert sighting.evidence["median_run"] == "1.000000000000"


def test_a_norm_keeps_the_last_fifty_runs_that_cost_something() -> None:
    norm = norm_of([DOLLAR] * 30 + [3 * DOLLAR] * 26)
    norm.finished(0)

    assert len(norm.runs) == 50
    assert norm.median_run_pico == 3 * DOLLAR
    assert norm_of([DOLLAR, 4 * DOLLAR]).median_run_pico == 2_500_000_000_000


def test_runs_that_cost_nothing_never_make_the_norm_nothing() -> None:
    run = AgentRun(production(), norm_of([0] * 40))

    assert run.llm(usd="0.01") == []
    assert run.norm.runs == []


def test_of_two_warnings_the_budgets_is_said() -> None:
    run = AgentRun(production("5.00"), norm_of([DOLLAR] * 20))

    (sighting,) = run.llm(usd="4.00")

    assert (sighting.level, sighting.evidence["limit"]) == ("warn", "5.000000000000")
