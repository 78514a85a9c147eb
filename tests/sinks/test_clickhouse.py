"""The one client: which DSNs it takes, and what it says of rows and of an absent store."""

from pathlib import Path

import pytest

from clickhouse_http import serving_clickhouse
from tollway.sinks.clickhouse import (
    ClickHouseStore,
    Client,
    StoreAway,
    StoreRefused,
    connect,
    scrubbed,
)

CHARGE = (
    b'{"workspace":"acme","time":"2026-03-10T12:00:00.000Z","id":"%s","agent":"bot",'
    b'"cost":"0.000000000001","partition":0,"offset":0,"log_time":"2026-03-10T12:00:00.000Z"}'
)


def ids(client: Client) -> list[str]:
    rows = client.query("SELECT id FROM charges FINAL ORDER BY id").result_rows
    return [str(row[0]) for row in rows]


def test_lines_of_json_are_rows_with_money_to_the_last_digit(
    store: ClickHouseStore, client: Client
) -> None:
    store.insert("charges", b"\n".join([CHARGE % b"1", CHARGE % b"2", b"", CHARGE % b"3"]))

    assert ids(client) == ["1", "2", "3"]
    total = client.query("SELECT toString(sum(cost)) FROM charges FINAL").result_rows
    assert total[0][0] == "0.000000000003"


@pytest.mark.parametrize(
    "bad",
    [
        b"{}",
        b"not JSON",
        b'{"workspace":',
        (CHARGE % b"9").replace(b'"0.000000000001"', b'"dear"'),
        (CHARGE % b"9").replace(b'"0.000000000001"', b'"1e30"'),
        (CHARGE % b"9").replace(b'"bot"', b'""'),
        (CHARGE % b"9").replace(b'"2026-03-10T12:00:00.000Z","id"', b'"noon","id"'),
    ],
    ids=["empty", "no json", "cut", "no number", "too much", "no agent", "no time"],
)
def test_rows_that_can_never_be_stored_are_refused(store: ClickHouseStore, bad: bytes) -> None:
    with pytest.raises(StoreRefused):
        store.insert("charges", bad)


def test_a_missing_table_is_the_stores_fault_and_not_the_rows(store: ClickHouseStore) -> None:
    with pytest.raises(StoreAway, match="UNKNOWN_TABLE"):
        store.insert("tolls", CHARGE % b"1")


def test_a_server_that_goes_is_away_and_one_that_comes_back_is_used_again(engine: Path) -> None:
    with serving_clickhouse(engine) as served:
        client = connect(served.dsn)
        client.command("TRUNCATE TABLE charges")
        store = ClickHouseStore(client)
        served.stop()
        with pytest.raises(StoreAway):
            store.insert("charges", CHARGE % b"1")
        served.start()

        store.insert("charges", CHARGE % b"1")

        assert ids(client) == ["1"]


def test_a_wrong_password_is_told_without_telling_the_right_one(engine: Path) -> None:
    with serving_clickhouse(engine, password="right") as served:
        dsn = served.dsn.replace("right", "wrong")

        with pytest.raises(StoreAway, match="Authentication failed") as raised:
            connect(dsn)

    assert "wrong" not in str(raised.value)


def test_quotes_in_a_parameter_stay_data(client: Client, store: ClickHouseStore) -> None:
    store.insert("charges", CHARGE % b"1")
    query = "SELECT count() FROM charges WHERE workspace = {workspace:String}"

    rows = client.query(query, parameters={"workspace": "' OR '1'='1"}).result_rows

    assert rows[0][0] == 0


def test_a_request_has_no_session_so_that_threads_may_share_the_client(engine: Path) -> None:
    with serving_clickhouse(engine) as served:
        connect(served.dsn).command("SELECT 1")

        assert all("session_id" not in parameters for _, parameters, _ in served.requests)


def test_a_dsn_that_names_no_store_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match="chdb:///absolute/path"):
        connect("postgres://localhost")


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("http://me:se@cret@host:8123/db?password=x", "http://me@host:8123/db"),
        ("https://host", "https://host"),
        ("chdb:///var/lib/tollway", "chdb:///var/lib/tollway"),
    ],
)
def test_a_dsn_is_shown_without_its_password(dsn: str, shown: str) -> None:
    assert scrubbed(dsn) == shown
