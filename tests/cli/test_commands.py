"""The commands that speak to the api, on a real api with a real store."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api_fakes import CommandList, FixedLag
from served_api import served
from stored import stored
from tollway.api.app import create_app
from tollway.api.clickhouse import ClickHouseStore, connect_reader
from tollway.api.settings import ApiSettings
from tollway.cli.main import app
from tollway.contract.command import BlockSubject, SetPolicy, SetPrice, SetToolPrice, UnblockSubject
from tollway.contract.moments import parse_ms
from tollway.contract.tables import TABLES
from tollway.sinks.clickhouse import Client, connect
from tollway.sinks.migrate import migrate

NOW_MS = parse_ms("2026-03-10T12:30:00.000Z")


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    where = f"chdb://{tmp_path_factory.mktemp('chdb')}"
    writer = connect(where)
    migrate(writer)
    yield where
    writer.close()


@pytest.fixture
def tables(dsn: str) -> Iterator[Client]:
    writer = connect(dsn)
    for table in TABLES:
        writer.command(f"TRUNCATE TABLE {table}")
    yield writer
    writer.close()


@pytest.fixture
def log() -> CommandList:
    return CommandList()


@pytest.fixture
def lag() -> FixedLag:
    return FixedLag()


@pytest.fixture(autouse=True)
def api(
    tables: Client, dsn: str, log: CommandList, lag: FixedLag, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Running, and known by the environment; every command of this module finds it."""
    reader = connect_reader(dsn)
    settings = ApiSettings(brokers="127.0.0.1:1")
    api = create_app(settings, ClickHouseStore(reader), log, lag, lambda: NOW_MS)
    with served(api) as address:
        monkeypatch.setenv("TOLLWAY_API", address)
        monkeypatch.delenv("TOLLWAY_WORKSPACE", raising=False)
        yield address
    reader.close()


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
            }
        ],
        "total": {
            "cost": "0.500000000000",
            "events": 1,
            "input_tokens": 0,
            "output_tokens": 0,
        },
        "truncated": False,
        "as_of": "2026-03-10T12:30:00.000Z",
    }


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


def test_a_budget_is_set_listed_and_removed(log: CommandList, tables: Client) -> None:
    done = tollway("budget", "set", "daily", "--limit", "5.00", "--match", "agent=*")
    stored(tables, "accounts", {"budget_id": "daily", "subject": {"agent": "bot"}, "spent": "4"})
    listed = tollway("budget", "ls")
    removed = tollway("budget", "rm", "daily", "--reason", "done")

    assert done.exit_code == 0
    assert done.stdout.startswith("budget daily is set in workspace default (command ")
    assert listed.stdout == (
        "BUDGET  SUBJECT    WINDOW  SPENT  LIMIT  USED  AT THE LIMIT\n"
        "daily   agent=bot  day     $4.00  $5.00  80 %  block, soft\n"
    )
    assert removed.exit_code == 0
    assert [command.type for command in log.commands] == ["budget.set", "budget.delete"]
    assert log.commands[1].reason == "done"
    assert tollway("budget", "ls").stdout.startswith("no budgets")


def test_a_budget_of_tokens_counts_tokens(tables: Client) -> None:
    tollway("budget", "set", "big", "--tokens", "2000000")
    stored(tables, "accounts", {"budget_id": "big", "tokens": 1_000_000})

    assert tollway("budget", "ls").stdout.splitlines()[1] == (
        "big     (workspace)  day     1,000,000 tokens  2,000,000 tokens  50 %  block, soft"
    )


def test_a_budget_that_is_none_says_what_is_wrong() -> None:
    result = tollway("budget", "set", "daily", "--limit", "5", "--window", "fortnight")

    assert result.exit_code == 1
    assert "window 'fortnight' is not one of run, hour, day" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_block_and_unblock_name_their_subject(log: CommandList) -> None:
    blocked = tollway("block", "agent=bot", "connection=crm", "--for", "90m", "--reason", "loop")
    lifted = tollway("unblock", "agent=bot", "connection=crm")
    everything = tollway("block", "--all", "-w", "acme")

    block, unblock, whole = log.commands
    assert (blocked.exit_code, lifted.exit_code, everything.exit_code) == (0, 0, 0)
    assert isinstance(block, BlockSubject)
    assert block.subject == {"agent": "bot", "connection": "crm"}
    assert block.reason == "loop"
    assert block.expires_at is not None
    assert isinstance(unblock, UnblockSubject)
    assert isinstance(whole, BlockSubject)
    assert (whole.subject, whole.workspace, whole.expires_at) == ({}, "acme", None)


@pytest.mark.parametrize(
    "arguments",
    [
        ["block"],
        ["block", "--all", "agent=bot"],
        ["block", "bot"],
        ["block", "agnt=bot"],
        ["block", "agent=a", "agent=b"],
        ["block", "agent=bot", "--for", "1h", "--until", "2027-01-01T00:00:00Z"],
        ["budget", "set", "b", "--limit", "1", "--thresholds", "70;90"],
        ["policy", "set", "--number", "retries=many"],
    ],
)
def test_a_command_called_wrongly_exits_with_2_and_one_line(
    arguments: list[str], log: CommandList
) -> None:
    result = tollway(*arguments)

    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert log.commands == []


def test_policies_and_prices_are_commands(log: CommandList) -> None:
    results = [
        tollway("policy", "set", "--profile", "compat", "--number", "retry_repeats=5"),
        tollway("price", "set", "mine", "--input", "1.25", "--output", "10", "--provider", "us"),
        tollway("price", "tool", "search", "--usd", "0.02"),
        tollway("price", "rm", "mine"),
    ]

    assert [result.exit_code for result in results] == [0, 0, 0, 0]
    policy, price, tool, gone = log.commands
    assert isinstance(policy, SetPolicy)
    assert policy.policy.detectors.numbers == {"retry_repeats": 5}
    assert isinstance(price, SetPrice)
    assert (str(price.price.price.input), price.price.provider) == ("1.25", "us")
    assert isinstance(tool, SetToolPrice)
    assert tool.price.usd_per_call == "0.02"
    assert gone.type == "price.delete"


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
