"""Whether the API is alive, ready, and what it counts; and what its contract says of itself."""

from fastapi.testclient import TestClient

from api_fakes import CommandList, FixedLag
from stored import stored
from tollway.sinks.clickhouse import Client


def test_ready_means_log_store_and_lag(api: TestClient) -> None:
    answer = api.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "checks": {"log": "ok", "store": "ok", "lag": "ok"},
    }


def test_without_the_log_it_is_alive_and_not_ready(
    api: TestClient, command_log: CommandList
) -> None:
    command_log.away = True

    assert api.get("/healthz").status_code == 200
    answer = api.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["log"]) == (503, "Kafka does not answer")


def test_far_behind_is_not_ready(api: TestClient, sink_lag: FixedLag) -> None:
    sink_lag.records["tollway.charges"] = 100_001

    assert api.get("/readyz").status_code == 503


def test_a_store_without_its_tables_is_not_ready(api: TestClient, tables: Client) -> None:
    tables.command("RENAME TABLE spend TO spend_away")
    try:
        readiness, spend = api.get("/readyz"), api.get("/v1/spend")
    finally:
        tables.command("RENAME TABLE spend_away TO spend")

    assert readiness.status_code == 503
    assert (spend.status_code, spend.json()["code"]) == (503, "store-unavailable")


def test_requests_are_counted_by_route_and_never_by_address(
    api: TestClient, tables: Client
) -> None:
    stored(tables, "spend", {})
    api.get("/v1/budgets/secret-name")
    api.get("/no/such/place")

    text = api.get("/metrics").text

    assert (
        'tollway_api_requests_total{method="GET",route="/v1/budgets/{budget_id}",status="404"} 1.0'
        in text
    )
    assert "secret-name" not in text
    assert "/no/such/place" not in text


def test_the_status_names_the_clock_and_the_migrations(api: TestClient) -> None:
    answer = api.get("/v1/status").json()

    assert answer["now"] == "2026-03-10T12:30:00.000Z"
    assert [(each["version"], each["name"]) for each in answer["migrations"]][:2] == [
        (1, "tables"),
        (2, "views"),
    ]
    assert len(answer["migrations"][0]["checksum"]) == 64


def test_every_operation_has_an_id_of_its_own(api: TestClient) -> None:
    paths = api.get("/openapi.json").json()["paths"]

    operations = [
        operation["operationId"] for path in paths.values() for operation in path.values()
    ]
    assert sorted(operations) == [
        "deleteBudget",
        "deletePrice",
        "getArrivals",
        "getAudit",
        "getBudget",
        "getHealth",
        "getMetrics",
        "getReadiness",
        "getSpend",
        "getStatus",
        "listBudgets",
        "listDeadLetters",
        "listDecisions",
        "listFindings",
        "postBlock",
        "postPolicy",
        "postPrice",
        "postToolPrice",
        "putBudget",
    ]


def test_an_unknown_address_is_a_problem_too(api: TestClient) -> None:
    answer = api.get("/v2/spend")

    assert answer.status_code == 404
    assert "/openapi.json lists what is" in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
