"""On recorded runs: the figures of docs/detectors.md, by the command that writes them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TOLLWAY_DATA", ROOT.parent / "shared" / "data"))
ENOUGH_RUNS = 100


@pytest.fixture(scope="module")
def figures() -> dict[str, dict[str, int]]:
    if not (DATA / "traces").is_dir():
        pytest.skip(f"no recorded runs in {DATA}: set TOLLWAY_DATA to check what detectors do")
    command = [sys.executable, str(ROOT / "bench" / "detectors.py"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    read: dict[str, dict[str, int]] = json.loads(done.stdout)
    return read


def test_production_blocks_fewer_than_one_percent_of_successful_runs(
    figures: dict[str, dict[str, int]],
) -> None:
    runs, blocked = figures["successful"], figures["successful_blocked"]
    assert sum(runs.values()) > 3_000
    assert 100 * sum(blocked.values()) < sum(runs.values())
    for source, count in runs.items():
        if count >= ENOUGH_RUNS:
            assert 100 * blocked.get(source, 0) < count, source


def test_production_blocks_runaways_that_repeat_a_call(
    figures: dict[str, dict[str, int]],
) -> None:
    runs, blocked = figures["runaways"], figures["runaways_blocked"]
    assert sum(runs.values()) > 5_000
    for grade, count in runs.items():
        assert 100 * blocked[grade] > 96 * count, grade
