"""The commands that speak to the api, on a real api with a real store."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api_fakes import FixedLag
from stored import stored
from tollway.cli.main import app
from tollway.sinks.clickhouse import Client

pytestmark = pytest.mark.usefixtures("api")


def tollway(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"NO_COLOR": "1"})


def test_spend_is_a_table_with_its_money_on_the_right(tables: Client) -> None:
    stored(
        tables,
        "spend",
        {"model": "gpt-4o", "connection": "crm", "cost": "1234.5", "input_tokens": 1_200_000},
        {"agent": "other", "cost": "0.0012"},
    )

    result = tollway("spend")

    assert result.exit_code == 0
    assert result.stdout == (
        "AGENT  MODEL   CONNECTION         COST  EVENTS      INPUT  OUTPUT\n"
        "bot    gpt-4o  crm         $1,234.5000       1  1,200,000       0\n"
        "other  (none)  (none)          $0.0012       1          0       0\n"
        "TOTAL                      $1,234.5012       2  1,200,000       0\n"
    )


def test_json_is_the_document_of_the_api(tables: Client, api: str) -> None:
    stored(tables, "spend", {"cost": "0.5"})

    document = json.loads(tollway("spend", "--by", "agent,day", "--json").stdout)

    assert document == {
        "rows": [
            {
                "agent": "bot",
                "day": "2026-03-10T00:00:00.000Z",
                "cost": "0.500000000000",
                "events": 1,
                "input_tokens": 0,
                "output_tokens": 0,
                "unpriced_events": 0,
            }
        ],
        "total": {
            "cost": "0.500000000000",
            "events": 1,
            "input_tokens": 0,
            "output_tokens": 0,
            "unpriced_events": 0,
        },
        "truncated": False,
        "as_of": "2026-03-10T12:30:00.000Z",
    }


def test_events_without_a_price_have_a_column_where_there_are_some(
    tables: Client, api: str
) -> None:
    stored(tables, "spend", {"model": "m", "cost": "0", "unpriced_events": 2})

    assert tollway("spend", "--by", "model").stdout == (
        "MODEL   COST  EVENTS  INPUT  OUTPUT  UNPRICED\n"
        "m      $0.00       1      0       0         2\n"
        "TOTAL  $0.00       1      0       0         2\n"
    )


def test_a_total_by_nothing_is_one_line(tables: Client) -> None:
    stored(tables, "spend", {"cost": "0.5"})

    assert tollway("spend", "--by", "").stdout == (
        " COST  EVENTS  INPUT  OUTPUT\n$0.50       1      0       0\n"
    )


def test_a_day_is_its_first_moment_in_utc(tables: Client) -> None:
    for day in (9, 10, 11):
        stored(tables, "spend", {"minute": f"2026-03-{day:02}T00:00:00.000Z", "cost": str(day)})

    result = tollway("spend", "--by", "day", "--from", "2026-03-10", "--to", "2026-03-11")

    assert "\n2026-03-10  $10.00" in result.stdout
    assert len(result.stdout.splitlines()) == 3


@pytest.mark.parametrize("moment", ["yesterday", "-5h", "2026-13-01", "2026-03-10T12:00:00"])
def test_a_moment_that_is_none_says_how_one_is_written(moment: str) -> None:
    result = tollway("spend", f"--from={moment}")

    assert result.exit_code == 2
    assert "or a day such as 2026-01-31, or a length such as 90m, 24h, 7d" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_nothing_spent_says_where_something_was(tables: Client) -> None:
    stored(tables, "spend", {"workspace": "acme"})

    assert tollway("spend", "-w", "amce").stderr == (
        "(nothing was spent in workspace amce yet; `tollway spend --by workspace -w '*'` shows"
        " where)\n"
    )
    assert tollway("spend", "-w", "acme").stderr == ""


def test_a_terminal_without_a_letter_shows_another(tables: Client) -> None:
    stored(tables, "spend", {"agent": "bøt"})
    runner = CliRunner(charset="ascii")

    table = runner.invoke(app, ["spend", "--by", "agent"])
    document = runner.invoke(app, ["spend", "--by", "agent", "--json"])

    assert table.stdout.splitlines()[1].startswith("b?t")
    assert json.loads(document.stdout)["rows"][0]["agent"] == "bøt"


def test_a_name_cannot_steer_the_terminal(tables: Client) -> None:
    stored(tables, "spend", {"agent": "bot\x1b[2J\nTOTAL"})

    result = tollway("spend", "--by", "agent")

    assert "\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) == 3


def test_a_question_that_the_api_refuses_is_one_line_and_exit_code_1() -> None:
    result = tollway("spend", "--by", "colour")

    assert result.exit_code == 1
    assert result.stderr == (
        "tollway: by='colour' is not known; the known ones are agent, model, connection,"
        " provider, tool, user, customer, workspace, session, task, minute, hour, day\n"
    )


def test_an_audit_that_balances_exits_with_0(tables: Client) -> None:
    stored(tables, "charges", {"cost": "1"})
    stored(tables, "spend", {"cost": "1"})

    result = tollway("audit")

    assert result.exit_code == 0
    assert result.stdout == "balanced: 1 hours and 0 accounts, charges of $1.000000000000\n"


def test_an_audit_tells_what_was_lost_before_it_was_booked(tables: Client) -> None:
    stored(tables, "deadletters", {"reason": "lost", "detail": "70 records are gone"})

    result = tollway("audit")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1] == (
        "lost before it was booked, accepted 2026-03-10 12:00:00Z: partition 0: 70 records are gone"
    )


def test_an_audit_that_does_not_exits_with_1_and_the_difference(
    tables: Client, lag: FixedLag
) -> None:
    stored(tables, "charges", {"cost": "1.000000000001"})
    stored(tables, "spend", {"cost": "1"})
    lag.records["tollway.ledger"] = 2

    result = tollway("audit")

    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "NOT BALANCED: 1 differences in 1 hours and 0 accounts"
    assert lines[2].split() == [
        *["default", "spend", "of", "the", "hour", "2026-03-10", "12:00:00Z"],
        *["1.000000000001", "1.000000000000", "0.000000000001"],
    ]
    assert lines[3].startswith("the sinks are 2 records behind (tollway.ledger 2)")
    assert tollway("audit", "--json").exit_code == 1


def test_decisions_and_findings_are_told_by_line(tables: Client) -> None:
    stored(tables, "decisions", {}, {"id": "d2", "issued_at": "2026-03-10T12:00:01.000Z"})
    stored(tables, "findings", {"session": ""})

    decisions = tollway("decisions", "--limit", "1")
    findings = tollway("findings")

    assert re.split(r"\s{2,}", decisions.stdout.splitlines()[1]) == [
        "2026-03-10 12:00:01Z",
        "block",
        "agent=bot",
        "budget:cap",
        "2026-03-11 00:00:00Z",
        "bot has spent its budget",
    ]
    assert decisions.stderr.startswith("(more: --cursor ")
    assert "retry_loop" in findings.stdout
    assert "(none)" in findings.stdout
    assert tollway("decisions", "--agent", "nobody").stdout == "no decisions\n"


def test_top_without_a_terminal_prints_once(tables: Client) -> None:
    stored(tables, "spend", {"cost": "2"})

    result = tollway("top", "--by", "agent", "--since", "2026-03-01T00:00:00Z")

    assert result.exit_code == 0
    assert "$2.00" in result.stdout
    assert "nothing is blocked" in result.stdout


def test_the_running_instance_is_found_by_its_run_file(
    api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOLLWAY_API")
    monkeypatch.chdir(tmp_path)
    without = tollway("spend")
    (tmp_path / ".tollway").mkdir()
    (tmp_path / ".tollway" / "run.json").write_text(json.dumps({"api": api, "broker": "b:1"}))

    assert without.exit_code == 1
    assert "start one with `tollway up`" in without.stderr
    assert tollway("spend").exit_code == 0


def test_an_api_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLWAY_API", "http://127.0.0.1:1")

    result = tollway("spend")

    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "cannot be reached" in result.stderr
