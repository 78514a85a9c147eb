"""The audit: balanced to the last digit, or where not."""

import json

from fastapi.testclient import TestClient

from api_fakes import FixedLag
from stored import stored
from tollway.sinks.clickhouse import Client


def test_books_that_agree_are_balanced(api: TestClient, tables: Client) -> None:
    stored(tables, "charges", {"cost": "1.25"}, {"id": "e2", "cost": "0.000000000001"})
    stored(tables, "spend", {"cost": "1.250000000001"})

    answer = api.get("/v1/audit").json()

    assert answer["balanced"] is True
    assert answer["differences"] == []
    assert answer["lag"] == {"records": 0, "topics": {"tollway.charges": 0, "tollway.ledger": 0}}
    assert answer["checked"] == {"hours": 1, "accounts": 0, "charges": "1.250000000001"}


def test_what_was_lost_before_it_was_booked_is_told_of_books_that_balance(
    api: TestClient, tables: Client
) -> None:
    lost = {"reason": "lost", "partition": 3, "offset": 50, "detail": "70 records are gone"}
    stored(tables, "deadletters", {}, lost)

    answer = api.get("/v1/audit").json()

    assert answer["balanced"] is True
    assert answer["lost"] == [
        {
            "topic": "tollway.usage",
            "partition": 3,
            "offset": 50,
            "detail": "70 records are gone",
            "time": "2026-03-10T12:00:00.000Z",
        }
    ]


def test_the_smallest_difference_is_named_with_its_hour(api: TestClient, tables: Client) -> None:
    stored(tables, "charges", {"cost": "1.000000000001"})
    stored(tables, "spend", {"cost": "1"})

    answer = api.get("/v1/audit").json()

    assert answer["balanced"] is False
    assert answer["differences"] == [
        {
            "kind": "hour",
            "workspace": "default",
            "hour": "2026-03-10T12:00:00.000Z",
            "charges": "1.000000000001",
            "spend": "1.000000000000",
            "difference": "0.000000000001",
        }
    ]


def test_an_account_that_differs_from_its_charges_is_named(api: TestClient, tables: Client) -> None:
    budget = {"id": "cap", "match": {"agent": "*"}, "limit_usd": "5"}
    stored(tables, "commands", {"document": json.dumps({"type": "budget.set", "budget": budget})})
    stored(tables, "charges", {"cost": "1"})
    stored(tables, "spend", {"cost": "1"})
    stored(
        tables,
        "accounts",
        {"subject": {"agent": "bot"}, "subject_text": "agent=bot", "spent": "3"},
    )

    answer = api.get("/v1/audit").json()

    assert answer["balanced"] is False
    assert answer["differences"] == [
        {
            "kind": "account",
            "workspace": "default",
            "budget_id": "cap",
            "subject": "agent=bot",
            "window": "day",
            "window_start": "2026-03-10T00:00:00.000Z",
            "charges": "1.000000000000",
            "accounts": "3.000000000000",
            "difference": "-2.000000000000",
        }
    ]


def test_the_audit_covers_all_workspaces_unless_one_is_named(
    api: TestClient, tables: Client
) -> None:
    stored(tables, "charges", {"workspace": "acme"})

    assert api.get("/v1/audit").json()["balanced"] is False
    assert api.get("/v1/audit?workspace=default").json()["balanced"] is True


def test_sinks_that_are_behind_are_told_from_an_imbalance(
    api: TestClient, sink_lag: FixedLag
) -> None:
    sink_lag.records["tollway.ledger"] = 4

    lag = api.get("/v1/audit").json()["lag"]

    assert lag == {"records": 4, "topics": {"tollway.charges": 0, "tollway.ledger": 4}}


def test_the_audit_answers_without_kafka_and_says_that_the_lag_is_unknown(
    api: TestClient, sink_lag: FixedLag
) -> None:
    sink_lag.away = True

    answer = api.get("/v1/audit").json()

    assert (answer["balanced"], answer["lag"]) == (True, None)
