"""The commands that set something: budgets, blocks, policies and prices."""

import pytest
from typer.testing import CliRunner, Result

from api_fakes import CommandList
from stored import stored
from tollway.cli.main import app
from tollway.contract.command import BlockSubject, SetPolicy, SetPrice, SetToolPrice, UnblockSubject
from tollway.sinks.clickhouse import Client

pytestmark = pytest.mark.usefixtures("api")


def tollway(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"NO_COLOR": "1"})


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
    # What the option is called, and nothing of bodies and validators.
    assert result.stderr.startswith(
        "tollway: window: window 'fortnight' is not one of run, hour, day"
    )
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["a b", "ü", "q?x=1"])
def test_a_name_that_no_budget_can_have_is_told_as_one(name: str, log: CommandList) -> None:
    result = tollway("budget", "set", name, "--limit", "5")

    assert result.exit_code == 1
    assert "budget_id" in result.stderr
    assert log.commands == []


def test_block_and_unblock_name_their_subject(log: CommandList) -> None:
    blocked = tollway("block", "agent=bot", "connection=crm", "--for", "90m", "--reason", "loop")
    lifted = tollway("unblock", "agent=bot", "connection=crm")
    everything = tollway("block", "--all", "-w", "acme")

    block, unblock, whole = log.commands
    assert (blocked.exit_code, lifted.exit_code, everything.exit_code) == (0, 0, 0)
    assert blocked.stdout.startswith("agent=bot connection=crm is blocked in workspace default")
    assert lifted.stdout.startswith("whatever blocked exactly agent=bot connection=crm is lifted")
    assert everything.stdout.startswith("everything is blocked in workspace acme")
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
        ["block", "agent=bot", "--for", "a while"],
        ["block", "agent=bot", "--until", "tomorrow"],
        ["budget", "set", "a/b", "--limit", "1"],
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
        tollway(
            "price",
            "set",
            "mine",
            "--input",
            "1.25",
            "--output",
            "10",
            "--provider",
            "us",
            "--input-audio",
            "40",
            "--output-audio",
            "80",
        ),
        tollway("price", "tool", "search", "--usd", "0.02"),
        tollway("price", "rm", "mine"),
    ]

    assert [result.exit_code for result in results] == [0, 0, 0, 0]
    policy, price, tool, gone = log.commands
    assert isinstance(policy, SetPolicy)
    assert policy.policy.detectors.numbers == {"retry_repeats": 5}
    assert isinstance(price, SetPrice)
    assert (str(price.price.price.input), price.price.provider) == ("1.25", "us")
    heard, spoken = price.price.price.input_audio, price.price.price.output_audio
    assert (str(heard), str(spoken)) == ("40", "80")
    assert isinstance(tool, SetToolPrice)
    assert tool.price.usd_per_call == "0.02"
    assert gone.type == "price.delete"
