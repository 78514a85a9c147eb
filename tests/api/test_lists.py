"""Decisions and findings, page by page."""

from fastapi.testclient import TestClient

from stored import stored
from tollway.sinks.clickhouse import Client


def ids(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [row["id"] for row in answer["rows"]]


def test_a_decision_is_the_document_of_the_control_topic(api: TestClient, tables: Client) -> None:
    stored(tables, "decisions", {})

    answer = api.get("/v1/decisions").json()

    assert answer == {
        "rows": [
            {
                "id": "d1",
                "workspace": "default",
                "subject": {"agent": "bot"},
                "rule": "budget:cap",
                "action": "block",
                "mode": "soft",
                "on_stale": "open",
                "reason": "exhausted",
                "message": "bot has spent its budget",
                "unit": "usd",
                "spent": "5.000000000000",
                "limit": "5.000000000000",
                "threshold_percent": 100,
                "window": "day",
                "window_start": "2026-03-10T00:00:00.000Z",
                "fallback_model": None,
                "expires_at": "2026-03-11T00:00:00.000Z",
                "cause": {"partition": 0, "offset": 7, "event_id": "e7"},
                "version": [1, 7, -1],
                "issued_at": "2026-03-10T12:00:00.000Z",
            }
        ],
        "next_cursor": None,
    }


def test_a_budget_of_tokens_shows_whole_tokens(api: TestClient, tables: Client) -> None:
    stored(tables, "decisions", {"unit": "tokens", "spent": "1152921504606846976", "limit": "9"})

    row = api.get("/v1/decisions").json()["rows"][0]

    assert (row["spent"], row["limit"]) == ("1152921504606846976", "9")


def test_a_cursor_shows_each_row_once_while_new_ones_arrive(
    api: TestClient, tables: Client
) -> None:
    # Three of them at one moment: the id tells them apart.
    stored(tables, "decisions", *({"id": f"d{number}"} for number in range(5)))

    first = api.get("/v1/decisions?limit=2").json()
    stored(tables, "decisions", {"id": "newest", "issued_at": "2026-03-10T12:00:01.000Z"})
    second = api.get("/v1/decisions", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    third = api.get("/v1/decisions", params={"limit": 2, "cursor": second["next_cursor"]}).json()

    assert (ids(first), ids(second), ids(third)) == (["d4", "d3"], ["d2", "d1"], ["d0"])
    assert third["next_cursor"] is None


def test_a_decision_that_was_lifted_or_has_lapsed_is_not_active(
    api: TestClient, tables: Client
) -> None:
    stored(
        tables,
        "decisions",
        {"id": "stands", "expires_at": None},
        {"id": "lapsed", "rule": "budget:b", "expires_at": "2026-03-10T12:29:59.999Z"},
        {"id": "lifted", "rule": "budget:c", "version": 7},
        {"id": "lifting", "rule": "budget:c", "version": 8, "action": "allow", "expires_at": None},
    )

    assert ids(api.get("/v1/decisions?active=true").json()) == ["stands"]
    assert sorted(ids(api.get("/v1/decisions?active=false").json())) == [
        "lapsed",
        "lifted",
        "lifting",
    ]


def test_of_thresholds_crossed_by_one_event_the_highest_is_active(
    api: TestClient, tables: Client
) -> None:
    stored(
        tables,
        "decisions",
        {"id": "z70", "action": "warn", "threshold_percent": 70},
        {"id": "a100", "action": "block", "threshold_percent": 100},
    )

    assert ids(api.get("/v1/decisions?active=true").json()) == ["a100"]


def test_decisions_are_filtered_by_agent_session_and_workspace(
    api: TestClient, tables: Client
) -> None:
    stored(
        tables,
        "decisions",
        {"id": "bot"},
        {"id": "run", "subject": {"session": "run-1"}, "subject_text": "session=run-1"},
        {"id": "elsewhere", "workspace": "acme"},
    )

    assert ids(api.get("/v1/decisions?agent=bot&workspace=default").json()) == ["bot"]
    assert set(ids(api.get("/v1/decisions?agent=bot").json())) == {"bot", "elsewhere"}
    assert ids(api.get("/v1/decisions?session=run-1").json()) == ["run"]
    assert ids(api.get("/v1/decisions?workspace=acme").json()) == ["elsewhere"]


def test_a_finding_has_the_fields_that_tools_rely_on(api: TestClient, tables: Client) -> None:
    stored(tables, "findings", {"session": "", "step": None}, {"id": "f2", "agent": "other"})

    rows = api.get("/v1/findings?agent=bot").json()["rows"]

    assert rows == [
        {
            "id": "f1",
            "detector": "retry_loop",
            "level": "block",
            "workspace": "default",
            "agent": "bot",
            "session": None,
            "step": None,
            "event_id": "e3",
            "message": "the same call 5 times",
            "evidence": {"repeats": "5"},
            "time": "2026-03-10T12:00:00.000Z",
            "cause": {"partition": 0, "offset": 3, "event_id": "e3"},
            "version": [1, 3, -1],
        }
    ]


def test_findings_of_one_run(api: TestClient, tables: Client) -> None:
    stored(tables, "findings", {"id": "f1"}, {"id": "f2", "session": "run-2"})

    assert ids(api.get("/v1/findings?session=run-2").json()) == ["f2"]


def test_a_cursor_that_is_none_is_refused(api: TestClient) -> None:
    for cursor in ("x", "W10", "'; DROP TABLE decisions", "ключ"):
        answer = api.get("/v1/decisions", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed-cursor")
