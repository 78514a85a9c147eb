"""`tollway demo`: agents as in recorded runs, and that only the runaways are stopped."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from tollway.cli.demo.agents import CAST, MAX_CALLS, Role, run_of
from tollway.cli.demo.profiles import draw, profiles
from tollway.cli.demo.stage import BUDGETS
from tollway.cli.main import app
from tollway.contract.money import parse_usd
from tollway.contract.usage import UsageEvent

FITTED = profiles()
ROLES = {role.agent: role for role in CAST}


def test_every_agent_of_the_cast_is_fitted_to_recorded_runs() -> None:
    assert FITTED.keys() == ROLES.keys()
    assert all(profile.runs > 0 for profile in FITTED.values())


def test_draws_have_the_quantiles_that_they_are_drawn_from() -> None:
    random = Random(1)
    drawn = sorted(draw([0, 10, 100, 1000, 10_000], random) for _ in range(20_000))

    assert drawn[0] == 0
    assert 9_900 < drawn[-1] <= 10_000
    # Of the recorded values 5 % lie beyond each end, so the middle of draws is the middle still.
    assert abs(drawn[10_000] - 100) < 20


@pytest.mark.parametrize("role", CAST, ids=lambda role: role.agent)
def test_what_an_agent_sends_is_a_usage_event(role: Role) -> None:
    for fields in run_of(role, FITTED[role.agent], Random(2)):
        event = {"id": "e", "time": "t", "workspace": "w", "agent": role.agent, **fields}
        read = json.loads(json.dumps(event))
        assert UsageEvent(**read).input_tokens >= 0
        parts = fields.get("cache_read_tokens", 0), fields.get("cache_write_tokens", 0)
        assert sum(int(part) for part in parts) <= int(fields.get("input_tokens", 0))


def test_the_looping_agent_repeats_one_call_with_one_result() -> None:
    role = ROLES["stuck-analyst"]

    tools = [
        (fields["tool"], fields["args_hash"], fields["result_hash"])
        for fields in run_of(role, FITTED[role.agent], Random(3))
        if fields["kind"] == "tool"
    ]

    assert len(set(tools[-50:])) == 1


def test_a_healthy_agent_ends_by_itself_and_a_runaway_does_not() -> None:
    def calls(agent: str) -> int:
        run = run_of(ROLES[agent], FITTED[agent], Random(4))
        return sum(1 for fields in run if fields["kind"] == "llm")

    assert calls("support") <= max(FITTED["support"].calls_per_run)
    assert calls("endless-coder") == MAX_CALLS


def test_the_run_budget_is_above_what_healthy_recorded_runs_cost() -> None:
    limit = parse_usd(BUDGETS["run"]["limit_usd"])
    healthy = [each for each in FITTED.values() if each.behaviour == "healthy"]

    assert all(parse_usd(cost) < limit for each in healthy for cost in each.usd_per_run)


def test_a_demo_in_the_data_of_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".tollway").mkdir()

    refused = CliRunner().invoke(app, ["demo", "--dir", str(tmp_path)])

    assert refused.exit_code == 1
    assert "holds the data of an earlier demo; name another --dir" in refused.stderr


DEMO = (sys.executable, "-m", "tollway.cli.main", "demo")


@pytest.mark.slow
def test_the_demo_stops_the_runaways_and_its_books_balance(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--seconds", "5", "--dir", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    logs = "\n".join(log.read_text()[-4000:] for log in sorted(tmp_path.rglob("*.log")))
    assert "stopped stuck-analyst-1 after" in done.stdout, logs
    assert "detector:retry_loop" in done.stdout
    assert "stopped endless-coder-1 after" in done.stdout, logs
    assert "budget:run" in done.stdout
    for healthy in ("support", "researcher", "coder"):
        assert f"stopped {healthy}" not in done.stdout
    assert "from an event to the block it caused, in the agent:" in done.stdout
    assert "the books balance: charges of $" in done.stdout
    assert done.stderr == ""
