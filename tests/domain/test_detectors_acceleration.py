"""`token_acceleration` at its edges, in both profiles."""

import pytest

from detector_runs import START_MS, AgentRun, compat, production
from tollway.domain.detectors import Sighting

WINDOW_MS = 300_000


@pytest.mark.parametrize(("after", "fires"), [(199, False), (200, True)])
def test_compat_fires_when_the_tokens_of_a_step_double(after: int, fires: bool) -> None:
    run = AgentRun(compat(context_growth_percent=10**6))
    run.llm(80, output=20)

    heard = run.llm(after - 20, output=20)

    assert [sighting.detector for sighting in heard] == ["token_acceleration"] * fires


def test_two_events_at_one_instant_are_one_step() -> None:
    run = AgentRun(compat(context_growth_percent=10**6), step_ms=0)
    assert run.llm(output=100) == []
    assert run.llm(output=200) == []

    run.at_ms += 1
    assert run.llm(output=300) == []
    (sighting,) = run.llm(output=300)
    assert sighting.message == "tokens of one step rose from 300 to 600"
    assert run.llm(output=300) == []


def test_a_step_without_tokens_is_skipped() -> None:
    run = AgentRun(compat())
    run.llm(output=100)
    run.llm()
    assert run.llm(output=199) == []


def spend(run: AgentRun, windows: list[str]) -> list[list[Sighting]]:
    """One event in the middle of each window of five minutes."""
    heard = []
    for number, usd in enumerate(windows):
        run.at_ms = START_MS + number * WINDOW_MS + 100_000
        heard.append(run.llm(usd=usd))
    return heard


@pytest.mark.parametrize(("usd", "fires"), [("1.499999999999", False), ("1.50", True)])
def test_production_fires_at_three_times_the_mean_of_the_last_windows(
    usd: str, fires: bool
) -> None:
    heard = spend(AgentRun(production()), ["9.00", *["0.50"] * 6, usd])
    assert bool(heard[-1]) is fires


def test_production_says_the_figures() -> None:
    heard = spend(AgentRun(production()), [*["0.50"] * 6, "4.00"])
    (sighting,) = heard[-1]
    assert sighting.level == "warn"
    assert sighting.message == "$4.00 within 300 s, against a mean of $0.50 in the 6 windows before"


@pytest.mark.parametrize(("usd", "fires"), [("0.999999999999", False), ("1.00", True)])
def test_a_window_below_a_dollar_is_never_fast(usd: str, fires: bool) -> None:
    heard = spend(AgentRun(production(spike_min_events=64)), [*["0.01"] * 6, usd])
    assert bool(heard[-1]) is fires


@pytest.mark.parametrize(("before", "fires"), [(2, False), (3, True)])
def test_there_is_no_mean_before_three_windows(before: int, fires: bool) -> None:
    heard = spend(AgentRun(production()), [*["0.50"] * before, "40.00"])
    assert bool(heard[-1]) is fires


def test_a_window_is_said_once_and_spend_adds_up_in_it() -> None:
    run = AgentRun(production())
    spend(run, ["0.50"] * 6)
    run.at_ms = START_MS + 6 * WINDOW_MS
    assert [len(run.llm(usd="0.75")) for _ in range(4)] == [0, 1, 0, 0]


def test_idle_windows_do_not_make_the_next_one_fast() -> None:
    run = AgentRun(production())
    spend(run, ["0.50"] * 6)
    run.at_ms = START_MS + 100 * WINDOW_MS
    assert run.llm(usd="1.40") == []


def test_a_late_event_says_nothing_of_the_pace_now() -> None:
    run = AgentRun(production())
    spend(run, ["0.50"] * 7)
    run.at_ms = START_MS
    assert run.llm(usd="50.00") == []


def test_an_event_at_the_windows_first_instant_is_in_it() -> None:
    run = AgentRun(production())
    spend(run, ["0.50"] * 7)
    run.at_ms = START_MS + 6 * WINDOW_MS
    assert len(run.llm(usd="50.00")) == 1


def test_the_first_step_is_compared_with_nothing() -> None:
    assert AgentRun(compat()).llm(output=100) == []
