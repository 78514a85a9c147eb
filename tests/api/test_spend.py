"""Spend, asked over HTTP of a real store."""

import pytest
from fastapi.testclient import TestClient

from stored import stored
from tollway.sinks.clickhouse import Client


def test_spend_is_summed_by_agent_model_and_connection_to_the_last_digit(
    api: TestClient, tables: Client
) -> None:
    stored(
        tables,
        "spend",
        {"model": "m", "connection": "crm", "cost": "0.000000000001", "input_tokens": 10},
        {"model": "m", "connection": "crm", "cost": "0.001234500000", "opened_at_offset": 5},
    )

    answer = api.get("/v1/spend").json()

    assert answer["rows"] == [
        {
            "agent": "bot",
            "model": "m",
            "connection": "crm",
            "cost": "0.001234500001",
            "events": 2,
            "input_tokens": 10,
            "output_tokens": 0,
            "unpriced_events": 0,
        }
    ]
    assert answer["total"] == {
        "cost": "0.001234500001",
        "events": 2,
        "input_tokens": 10,
        "output_tokens": 0,
        "unpriced_events": 0,
    }
    assert answer["as_of"] == "2026-03-10T12:30:00.000Z"


def test_a_replayed_row_counts_once(api: TestClient, tables: Client) -> None:
    stored(tables, "spend", {"cost": "1"})
    stored(tables, "spend", {"cost": "1"})
    stored(tables, "spend", {"cost": "3", "version": 2})

    assert api.get("/v1/spend?by=agent").json()["total"]["cost"] == "3.000000000000"


def test_what_has_no_model_or_connection_is_a_row_of_its_own(
    api: TestClient, tables: Client
) -> None:
    stored(tables, "spend", {"model": "m", "connection": "crm", "cost": "2"}, {"cost": "1"})

    rows = api.get("/v1/spend").json()["rows"]

    assert [(row["model"], row["connection"], row["cost"]) for row in rows] == [
        ("m", "crm", "2.000000000000"),
        (None, None, "1.000000000000"),
    ]


def test_from_is_inclusive_and_to_is_exclusive(api: TestClient, tables: Client) -> None:
    stored(
        tables,
        "spend",
        {"minute": "2026-03-10T11:59:00.000Z", "cost": "1"},
        {"minute": "2026-03-10T12:00:00.000Z", "cost": "10"},
        {"minute": "2026-03-10T13:00:00.000Z", "cost": "100"},
    )

    bounds = "from=2026-03-10T12:00:00Z&to=2026-03-10T14:00:00%2B01:00"
    answer = api.get(f"/v1/spend?by=agent&{bounds}").json()

    assert answer["total"]["cost"] == "10.000000000000"


@pytest.mark.parametrize("by", ["agent", "session"])
def test_bounds_within_a_minute_are_those_of_the_minute_in_every_sum(
    api: TestClient, tables: Client, by: str
) -> None:
    stored(tables, "spend", {"minute": "2026-03-10T12:00:00.000Z"})
    stored(tables, "charges", {"time": "2026-03-10T12:00:10.000Z"})

    def events(bounds: str) -> object:
        return api.get(f"/v1/spend?by={by}&{bounds}").json()["total"]["events"]

    assert events("from=2026-03-10T12:00:40Z") == 1
    assert events("to=2026-03-10T12:00:40Z") == 0


def test_a_time_that_ends_before_it_begins_is_refused(api: TestClient) -> None:
    answer = api.get("/v1/spend?from=2026-03-10T12:00:00Z&to=2026-03-10T11:00:00Z")

    assert answer.status_code == 422
    assert "is not a minute or more before to=" in answer.json()["detail"]


def test_what_a_producer_lost_is_no_event_of_anybody(api: TestClient, tables: Client) -> None:
    stored(tables, "charges", {"id": "e1"}, {"id": "lost", "kind": "loss", "cost": "0"})

    answer = api.get("/v1/spend?by=session,agent").json()

    assert [(row["agent"], row["events"]) for row in answer["rows"]] == [("bot", 1)]


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("agent=bot", "query.agent is not known here; known are: by, from, limit, to, workspace"),
        ("form=2026-03-10T12:00:00Z", "query.form is not known here"),
        ("by=agent&by=model", "query.by is given twice"),
    ],
)
def test_a_question_that_would_be_misread_is_refused(
    api: TestClient, query: str, complaint: str
) -> None:
    answer = api.get(f"/v1/spend?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert complaint in answer.json()["detail"]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("minute", "2026-03-10T12:34:00.000Z"),
        ("hour", "2026-03-10T12:00:00.000Z"),
        ("day", "2026-03-10T00:00:00.000Z"),
    ],
)
def test_spend_by_a_span_of_time_says_when_the_span_began(
    api: TestClient, tables: Client, span: str, expected: str
) -> None:
    stored(tables, "spend", {"minute": "2026-03-10T12:34:00.000Z"})

    assert api.get(f"/v1/spend?by={span}").json()["rows"][0][span] == expected


@pytest.mark.parametrize("name", ["provider", "tool", "user", "customer", "workspace"])
def test_spend_by_any_dimension(api: TestClient, tables: Client, name: str) -> None:
    stored(tables, "spend", {name: "acme"})

    rows = api.get(f"/v1/spend?by={name}&workspace=*").json()["rows"]

    assert [row[name] for row in rows] == ["acme"]


def test_spend_by_run_is_read_from_the_charges_and_an_adjustment_is_no_event(
    api: TestClient, tables: Client
) -> None:
    stored(
        tables,
        "charges",
        {"session": "run-1", "cost": "2", "input_tokens": 7, "price_state": "conservative"},
        {"session": "run-1", "cost": "-0.5", "id": "a1", "kind": "adjustment", "adjusts": "e1"},
    )

    rows = api.get("/v1/spend?by=session,agent").json()["rows"]

    assert rows == [
        {
            "session": "run-1",
            "agent": "bot",
            "cost": "1.500000000000",
            "events": 1,
            "input_tokens": 7,
            "output_tokens": 0,
            "unpriced_events": 0,
        }
    ]


def test_a_free_call_charged_later_was_never_unpriced(api: TestClient, tables: Client) -> None:
    call = {"session": "run-1", "tool": "serp"}
    charged = {"kind": "adjustment", "adjusts": "e1", "price_source": "tool"}
    stored(
        tables,
        "charges",
        {**call, "id": "e1", "kind": "tool", "cost": "0", "price_state": "free"},
        {**call, "id": "a1", "cost": "0.5", **charged},
    )

    (row,) = api.get("/v1/spend?by=session").json()["rows"]

    assert (row["cost"], row["events"], row["unpriced_events"]) == ("0.500000000000", 1, 0)


def test_the_total_holds_what_the_limit_leaves_out(api: TestClient, tables: Client) -> None:
    stored(tables, "spend", {"agent": "a", "cost": "1"}, {"agent": "b", "cost": "2"})

    answer = api.get("/v1/spend?by=agent&limit=1").json()

    assert [row["agent"] for row in answer["rows"]] == ["b"]
    assert answer["truncated"] is True
    assert answer["total"]["cost"] == "3.000000000000"


def test_events_that_wait_for_a_price_are_counted_beside_the_cost(
    api: TestClient, tables: Client
) -> None:
    stored(
        tables,
        "spend",
        {"model": "m", "cost": "0", "unpriced_events": 2},
        {"model": "n", "cost": "1"},
    )

    answer = api.get("/v1/spend?by=model").json()

    assert [(row["model"], row["unpriced_events"]) for row in answer["rows"]] == [
        ("n", 0),
        ("m", 2),
    ]
    assert answer["total"]["unpriced_events"] == 2


def test_spend_is_of_all_workspaces_unless_one_is_named(api: TestClient, tables: Client) -> None:
    stored(tables, "spend", {"workspace": "acme", "cost": "2"}, {"cost": "1"})

    assert api.get("/v1/spend").json()["total"]["cost"] == "3.000000000000"
    assert api.get("/v1/spend?workspace=default").json()["total"]["cost"] == "1.000000000000"
    assert api.get("/v1/spend?workspace=acme").json()["total"]["cost"] == "2.000000000000"
    assert api.get("/v1/spend?workspace=*").json()["total"]["cost"] == "3.000000000000"


def test_an_unknown_dimension_is_a_problem_that_names_the_known_ones(api: TestClient) -> None:
    answer = api.get("/v1/spend?by=agent,colour")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:tollway:problem:unknown-dimension",
        "title": "unknown dimension",
        "status": 422,
        "code": "unknown-dimension",
        "detail": "by='colour' is not known; the known ones are agent, model, connection,"
        " provider, tool, user, customer, workspace, session, task, minute, hour, day",
        "instance": "/v1/spend",
    }


@pytest.mark.parametrize(
    "hostile",
    ["' OR 1=1 --", "a\\' OR 'x'='x", "{x:String}", "%s", "a;DROP TABLE spend", "\u0000", "ключ`"],
)
def test_a_hostile_value_is_only_a_value(api: TestClient, tables: Client, hostile: str) -> None:
    stored(tables, "spend", {"cost": "1"}, {"workspace": hostile, "agent": hostile, "cost": "2"})

    answer = api.get("/v1/spend", params={"workspace": hostile, "by": "agent"})

    assert answer.status_code == 200
    assert [(row["agent"], row["cost"]) for row in answer.json()["rows"]] == [
        (hostile, "2.000000000000")
    ]
    injected = api.get("/v1/spend", params={"by": f"agent,{hostile}"})
    assert injected.status_code == 422


def test_a_moment_without_a_zone_is_refused(api: TestClient) -> None:
    answer = api.get("/v1/spend?from=2026-03-10T12:00:00")

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed-time")
    assert "no zone" in answer.json()["detail"]
