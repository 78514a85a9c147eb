"""Budgets: written to the log, read from the store, and at once by who wrote them."""

import json

import pytest
from fastapi.testclient import TestClient

from api_fakes import CommandList
from stored import stored
from tollway.contract.command import DeleteBudget, SetBudget, command_adapter
from tollway.contract.moments import format_ms
from tollway.sinks.clickhouse import Client

CAP = {"match": {"agent": "*"}, "limit_usd": "5", "reason": "a trial", "actor": "ops"}


def store_written(tables: Client, command_log: CommandList) -> None:
    """What the sinks do with the log."""
    for offset, command in enumerate(command_log.commands):
        row = {
            "id": command.id,
            "workspace": command.workspace,
            "type": command.type,
            "time": format_ms(int(command.time.timestamp() * 1000)),
            "document": command_adapter.dump_json(command).decode(),
            "offset": offset,
        }
        stored(tables, "commands", row)


def test_a_budget_is_a_command_with_who_and_why(api: TestClient, command_log: CommandList) -> None:
    answer = api.put("/v1/budgets/cap", json=CAP)

    command = command_log.commands[0]
    assert isinstance(command, SetBudget)
    assert (command.actor, command.reason, command.workspace) == ("ops", "a trial", "default")
    assert (command.budget.id, command.budget.match) == ("cap", {"agent": "*"})
    assert answer.status_code == 202
    assert answer.json() == {
        "id": command.id,
        "type": "budget.set",
        "workspace": "default",
        "time": "2026-03-10T12:30:00.000Z",
        "topic": "tollway.commands",
        "partition": 3,
        "offset": 0,
    }


def test_who_sets_a_budget_reads_it_at_once(api: TestClient) -> None:
    api.put("/v1/budgets/cap", json=CAP)

    assert api.get("/v1/budgets/cap").json() == {
        "id": "cap",
        "match": {"agent": "*"},
        "window": "day",
        "zone": "UTC",
        "limit_usd": "5.000000000000",
        "limit_tokens": None,
        "limit_calls": None,
        "thresholds_percent": [70, 90, 100],
        "action": "block",
        "mode": "soft",
        "on_stale": "open",
        "fallback_model": None,
        "workspace": "default",
        "accounts": [],
    }


def test_the_newest_command_wins_before_and_after_it_is_stored(
    api: TestClient, tables: Client, command_log: CommandList
) -> None:
    api.put("/v1/budgets/cap", json={**CAP, "limit_usd": "5"})
    api.put("/v1/budgets/cap", json={**CAP, "limit_usd": "9"})
    api.put("/v1/budgets/gone", json=CAP)
    api.delete("/v1/budgets/gone?reason=done")

    def shown() -> list[tuple[str, str]]:
        rows = api.get("/v1/budgets").json()["rows"]
        return [(row["id"], row["limit_usd"]) for row in rows]

    before = shown()
    store_written(tables, command_log)
    after = shown()

    assert before == after == [("cap", "9.000000000000")]
    assert isinstance(command_log.commands[3], DeleteBudget)


def test_a_budget_that_somebody_else_set_is_read_from_the_store(
    api: TestClient, tables: Client
) -> None:
    command = {
        "type": "budget.set",
        "id": "c1",
        "time": "2026-03-01T00:00:00Z",
        "workspace": "default",
        "budget": {"id": "theirs", "limit_calls": 9},
    }
    stored(
        tables,
        "commands",
        {"document": json.dumps(command)},
        {"id": "c2", "document": '{"budget": {"id": "broken", "limit": "lots"}}', "offset": 1},
    )

    rows = api.get("/v1/budgets").json()["rows"]

    assert [(row["id"], row["limit_calls"]) for row in rows] == [("theirs", 9)]


def test_a_budget_shows_what_is_spent_in_its_present_window_dearest_first(
    api: TestClient, tables: Client
) -> None:
    api.put("/v1/budgets/cap", json=CAP)
    bot, other = {"agent": "bot"}, {"agent": "other"}
    stored(
        tables,
        "accounts",
        {"subject": bot, "subject_text": "agent=bot", "spent": "1.5", "fired_percent": [70]},
        {"subject": other, "subject_text": "agent=other", "spent": "2.5", "calls": 3},
        {
            "subject": bot,
            "subject_text": "agent=bot",
            "spent": "99",
            "window_start": "2026-03-09T00:00:00.000Z",
            "window_end": "2026-03-10T00:00:00.000Z",
        },
        # Left behind by an edit of the budget.
        {"subject": {}, "spent": "77"},
    )

    accounts = api.get("/v1/budgets/cap").json()["accounts"]

    assert [(each["subject"], each["spent"]) for each in accounts] == [
        (other, "2.500000000000"),
        (bot, "1.500000000000"),
    ]
    assert accounts[1] == {
        "subject": bot,
        "window_start": "2026-03-10T00:00:00.000Z",
        "window_end": "2026-03-11T00:00:00.000Z",
        "spent": "1.500000000000",
        "tokens": 0,
        "calls": 0,
        "fired_percent": [70],
    }


def test_a_workspace_sees_only_its_own_budgets(api: TestClient) -> None:
    api.put("/v1/budgets/cap", json={**CAP, "workspace": "acme"})

    assert api.get("/v1/budgets").json()["rows"] == []
    assert len(api.get("/v1/budgets?workspace=acme").json()["rows"]) == 1


@pytest.mark.parametrize("method", ["get", "delete"])
def test_an_unknown_budget_is_not_found(
    api: TestClient, command_log: CommandList, method: str
) -> None:
    answer = api.request(method, "/v1/budgets/none")

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-budget")
    assert command_log.commands == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"limit_usd": "5e3"}, "body.limit_usd"),
        ({"limit_usd": "5", "limit_calls": 1}, "body: a budget needs exactly one of"),
        ({"limit_usd": "5", "window": "fortnight"}, "body.window"),
        ({"limit_usd": "5", "zone": "Mars/Olympus"}, "body.zone"),
        ({"limit_usd": "5", "match": {"colour": "red"}}, "body.match.colour"),
        ({"limit_usd": "5", "limitless": True}, "body.limitless"),
        ({"limit_usd": "5", "id": "other"}, "is not the address's"),
    ],
)
def test_a_budget_that_is_none_is_refused_and_nothing_is_written(
    api: TestClient, command_log: CommandList, body: dict[str, object], complaint: str
) -> None:
    answer = api.put("/v1/budgets/cap", json=body)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert complaint in answer.json()["detail"]
    assert command_log.commands == []


def test_json_that_is_not_sent_as_json_names_the_header(api: TestClient) -> None:
    answer = api.put("/v1/budgets/cap", content=b'{"limit_usd": "5"}')

    assert answer.status_code == 422
    assert "Content-Type: application/json" in answer.json()["detail"]


def test_more_budgets_than_a_worker_holds_are_refused(api: TestClient, tables: Client) -> None:
    signed = {"type": "budget.set", "time": "2026-03-01T00:00:00Z", "workspace": "default"}
    stored(
        tables,
        "commands",
        *(
            {
                "id": f"c{number}",
                "document": json.dumps(
                    {**signed, "id": f"c{number}", "budget": {"id": f"b{number}", "limit_calls": 1}}
                ),
                "offset": number,
            }
            for number in range(1000)
        ),
    )

    another = api.put("/v1/budgets/another", json={"limit_usd": "1"})
    changed = api.put("/v1/budgets/b5", json={"limit_usd": "2"})

    assert (another.status_code, another.json()["code"]) == (409, "too-many-budgets")
    assert changed.status_code == 202


def test_a_command_that_kafka_did_not_confirm_is_no_success(
    api: TestClient, command_log: CommandList
) -> None:
    command_log.away = True

    answer = api.put("/v1/budgets/cap", json=CAP)

    assert (answer.status_code, answer.json()["code"]) == (503, "log-unavailable")
    assert api.get("/v1/budgets").json()["rows"] == []
