"""Processes are killed while events flow; the books are those that anybody would keep by hand.

`make faults` is the same with 300,000 events. `TOLLWAY_FAULT_SEED` repeats a run.
"""

import sys
from pathlib import Path

import pytest

from brokers import kafka_home
from fault_run import Faults, fault_seed, run_faults
from tollway.cli.kafka.apache import why_no_kafka
from workload import why_no_traces


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str]) -> int:
    if missing := why_no_traces():
        pytest.skip(missing)
    seed = fault_seed()
    with capsys.disabled():
        say(f" TOLLWAY_FAULT_SEED={seed}")
    return seed


@pytest.mark.slow
@pytest.mark.kafka
def test_kills_of_anything_neither_lose_nor_double_anything(seed: int, tmp_path: Path) -> None:
    if missing := why_no_kafka(kafka_home()):
        pytest.skip(missing)
    faults = Faults(
        seed=seed, events=20_000, over_s=30.0, workers=3, sinks=1, brokers=1, close_every_s=0.3
    )

    outcome = run_faults(faults, tmp_path, say)

    assert outcome.verdict.differences == [], f"seed {seed}\n{outcome}"
    assert outcome.happened.kills == {"worker": 3, "sink": 1, "broker": 1}
    assert outcome.verdict.figures["charges in the store"] > 19_000


@pytest.mark.slow
@pytest.mark.kafka
def test_books_are_exact_at_the_broker_s_own_time_on_the_embedded_broker(
    seed: int, tmp_path: Path
) -> None:
    faults = Faults(seed=seed, events=5_000, over_s=3.0, kind="embedded", log_time="broker")

    outcome = run_faults(faults, tmp_path, say)

    assert outcome.verdict.differences == [], f"seed {seed}\n{outcome}"
    assert outcome.verdict.figures["charges in the store"] > 4_700
