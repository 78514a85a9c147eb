"""`context_bloat` at its edges, in both profiles."""

import pytest

from detector_runs import AgentRun, compat, production


@pytest.mark.parametrize(("after", "fires"), [(1200, False), (1201, True)])
def test_compat_fires_above_twenty_percent_and_not_at_it(after: int, fires: bool) -> None:
    run = AgentRun(compat())
    run.llm(1000)

    heard = run.llm(after)

    assert [sighting.detector for sighting in heard] == ["context_bloat"] * fires


def test_compat_says_how_much_it_grew() -> None:
    run = AgentRun(compat())
    run.llm(1000)
    (sighting,) = run.llm(1500)
    assert sighting.message == "the input grew by 50 % in one step, from 1000 to 1500 tokens"
    assert sighting.evidence == {"before": "1000", "input": "1500"}


def test_the_first_step_and_steps_without_input_are_compared_with_nothing() -> None:
    run = AgentRun(compat())
    assert run.llm(1_000) == []
    assert run.llm(0) == []
    assert run.llm(1_200) == []


def test_production_warns_at_sixty_percent_of_the_window_once_a_crossing() -> None:
    run = AgentRun(production())
    run.window = 100_000
    assert run.llm(59_999) == []

    (sighting,) = run.llm(60_000)

    assert sighting.level == "warn"
    assert sighting.message == "the context of 60000 tokens is 60 % of the window of 100000"
    assert [run.llm(tokens) for tokens in (61_000, 62_000, 59_000, 61_000)] == [[]] * 4


def test_a_drop_of_thirty_percent_re_arms_the_level() -> None:
    run = AgentRun(production())
    run.window = 100_000
    run.llm(60_000)
    run.llm(70_000)
    assert run.llm(49_001) == []
    assert run.llm(60_000) == []

    run.llm(49_000)

    assert len(run.llm(60_000)) == 1


def test_a_drop_that_stays_above_the_level_is_no_new_crossing() -> None:
    run = AgentRun(production(context_growth_tokens=10**9))
    run.window = 100_000
    run.llm(100_000)
    assert run.llm(65_000) == []
    assert run.llm(66_000) == []
    run.llm(59_000)
    assert len(run.llm(60_000)) == 1


def test_a_drop_to_the_level_itself_re_arms_nothing() -> None:
    run = AgentRun(production())
    run.window = 100_000
    run.llm(90_000)
    run.llm(60_000)
    assert run.llm(61_000) == []


def test_an_unknown_window_is_two_hundred_thousand() -> None:
    run = AgentRun(production())
    assert run.llm(119_999) == []
    assert len(run.llm(120_000)) == 1


@pytest.mark.parametrize(
    ("before", "after", "fires"),
    [
        (50_000, 69_999, False),
        (50_000, 70_000, True),
        (49_999, 90_000, False),
        (100_000, 119_999, False),
        (200_000, 239_999, False),
        (200_000, 240_000, True),
    ],
)
def test_production_jumps_need_the_floor_the_percentage_and_the_tokens(
    before: int, after: int, fires: bool
) -> None:
    run = AgentRun(production())
    run.window = 10_000_000
    run.llm(before)

    assert bool(run.llm(after)) is fires


def test_a_small_model_between_is_no_fall_and_no_rise() -> None:
    run = AgentRun(production())
    run.window = 200_000
    heard = 0
    for _ in range(10):
        heard += len(run.llm(130_000, model="large"))
        heard += len(run.llm(400, model="small"))
    assert heard == 1


def test_more_models_than_are_kept_apart_cost_memory_of_the_oldest() -> None:
    run = AgentRun(production())
    for number in range(40):
        run.llm(1000, model=f"model-{number}")
    assert len(run.watch.context.lanes) == 4


def test_production_never_blocks_on_context() -> None:
    run = AgentRun(production())
    for tokens in (10_000, 500_000, 900_000, 100, 2_000_000):
        run.llm(tokens)
    assert {level for _, level in run.said()} == {"warn"}
