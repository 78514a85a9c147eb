"""A policy's parameters: known names, bounds, what is off; and the document that lists them."""

from pathlib import Path

import pytest

from detector_runs import AgentRun, compat, production
from tollway.contract.command import DetectorParameters, Policy
from tollway.domain.detectors import DETECTORS, PARAMETERS, parameters_of, profile_of

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "detectors.md"


def test_an_unknown_number_is_refused_with_the_known_names() -> None:
    with pytest.raises(ValueError, match=r"'retries' is no parameter.*retry_prompt_repeats"):
        profile_of(production(retries=3))


def test_a_number_that_the_profile_does_not_use_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'context_level_percent' is no parameter.*compat"):
        profile_of(compat(context_level_percent=80))


def test_a_number_out_of_its_bounds_is_refused_with_the_bounds() -> None:
    with pytest.raises(ValueError, match="retry_cycle_length = 5 is out of bounds; it is 1 to 4"):
        profile_of(production(retry_cycle_length=5))
    with pytest.raises(ValueError, match="retry_prompt_repeats = -1"):
        profile_of(compat(retry_prompt_repeats=-1))


def test_an_unknown_detector_to_turn_off_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'loops' is no detector.*retry_loop"):
        profile_of(Policy(detectors=DetectorParameters(off=["loops"])))


def test_each_number_moves_its_threshold() -> None:
    run = AgentRun(production(retry_call_repeats=4, retry_call_block_repeats=9))
    heard = [len(run.tool("ls", "a", "r")) for _ in range(4)]
    assert heard == [0, 0, 0, 1]


def noisy(policy: Policy) -> set[str]:
    """Detectors that speak in a run that does everything wrong."""
    run = AgentRun(policy)
    for _ in range(40):
        run.norm.finished(10**9)
    for _ in range(40):
        run.llm(1_000, usd="0.01", prompt="p")
        run.at_ms += 100_000
    for _ in range(3):
        run.tool("ls", "a", "r", tokens=50_000)
    run.llm(150_000, usd="9.00", prompt="p")
    return {detector for detector, _ in run.said()}


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_detector_that_is_off_is_silent_and_the_others_are_not(detector: str) -> None:
    assert noisy(production()) == set(DETECTORS)
    quiet = production().model_copy(update={"detectors": DetectorParameters(off=[detector])})
    assert noisy(quiet) == set(DETECTORS) - {detector}


@pytest.mark.parametrize("detector", DETECTORS)
def test_in_compat_a_detector_that_is_off_is_silent(detector: str) -> None:
    five = set(DETECTORS) - {"spend_spike"}
    assert noisy(compat("0.10")) == five
    quiet = compat("0.10").model_copy(update={"detectors": DetectorParameters(off=[detector])})
    assert noisy(quiet) == five - {detector}


def test_defaults_lie_within_their_bounds() -> None:
    for each in PARAMETERS:
        assert each.detector in DETECTORS
        assert each.least <= each.production <= each.most
        assert each.compat is None or each.least <= each.compat <= each.most


def test_every_parameter_is_documented_as_it_is() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    table = text.partition("<!-- parameters -->")[2].partition("<!-- /parameters -->")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[3:]]
    documented = {row[0].strip("`"): (row[2], row[3]) for row in rows if row}

    assert documented == {
        each.name: ("-" if each.compat is None else str(each.compat), str(each.production))
        for each in PARAMETERS
    }
    assert set(parameters_of("compat")) < set(parameters_of("production"))
