"""What became of records that were sent: charged, refused, or neither."""

from fastapi.testclient import TestClient

from stored import stored
from tollway.sinks.clickhouse import Client


def test_a_range_of_the_log_is_accounted_for(api: TestClient, tables: Client) -> None:
    stored(
        tables,
        "charges",
        {"id": "before", "offset": 9},
        {"id": "a", "offset": 10},
        {"id": "b", "offset": 11, "price_state": "unpriced", "cost": "0"},
        {"id": "b2", "offset": 11, "kind": "adjustment", "adjusts": "b"},
        {"id": "other partition", "offset": 11, "partition": 1},
        {"id": "former log", "offset": 12, "log_time": "2026-03-09T00:00:00.000Z"},
    )
    stored(tables, "deadletters", {"offset": 13}, {"offset": 14, "reason": "missing_field"})

    answer = api.get("/v1/arrivals?partition=0&first=10&last=13&since=2026-03-10T00:00:00Z").json()

    assert answer == {
        "charged": 2,
        "unpriced": 1,
        "refused": [{"reason": "broken_json", "example": "not JSON", "records": 1}],
    }


def test_a_dead_letter_is_shown_as_it_was_written(api: TestClient, tables: Client) -> None:
    stored(tables, "deadletters", {"offset": 5}, {"offset": 6, "topic": "tollway.commands"})

    rows = api.get("/v1/deadletters?topic=tollway.usage&partition=0").json()["rows"]

    assert rows == [
        {
            "reason": "broken_json",
            "detail": "not JSON",
            "topic": "tollway.usage",
            "partition": 0,
            "offset": 5,
            "time": "2026-03-10T12:00:00.000Z",
            "key": None,
            "value": "e30=",
            "size_bytes": 2,
        }
    ]
