"""What each record becomes: rows whose columns are the contract's fields."""

import json

import msgspec
import pytest

from sinks_fakes import record
from tollway.contract.charge import Charge
from tollway.contract.control import Cause, Decision, Finding, Heartbeat
from tollway.contract.deadletter import dead_letter
from tollway.contract.ledger_entries import AccountEntry, PositionEntry, SpendEntry
from tollway.sinks.clickhouse import ClickHouseStore, Client
from tollway.sinks.records import Line
from tollway.sinks.rows import MalformedRecord, rows_of

MOMENT = "2026-03-10T12:00:00.000Z"
CAUSE = Cause(partition=0, offset=7, event_id="e7")

CHARGE = Charge(
    workspace="acme",
    time=MOMENT,
    id="e1",
    agent="bot",
    cost="0.001234500000",
    partition=3,
    offset=7,
    log_time=MOMENT,
)
SPEND = SpendEntry(
    workspace="acme",
    minute="2026-03-10T12:00:00.000Z",
    opened_at_offset=7,
    partition=0,
    generation=1,
    agent="bot",
    cost="1.500000000000",
    unpriced_events=-1,
    version=(1 << 48) + 8,
)
ACCOUNT = AccountEntry(
    workspace="acme",
    budget_id="cap",
    subject={"model": "gpt 4", "agent": "bot"},
    window="total",
    spent="1.500000000000",
    fired_percent=[70],
    partition=0,
    generation=1,
    version=5,
)
DECISION = Decision(
    id="d1",
    workspace="acme",
    subject={"agent": "bot"},
    rule="budget:cap",
    action="block",
    reason="exhausted",
    message="bot has spent its budget",
    spent="5.000000000000",
    limit="5.000000000000",
    cause=CAUSE,
    version=(2, 7, -1),
    issued_at=MOMENT,
)
FINDING = Finding(
    id="f1",
    detector="retry_loop",
    level="warn",
    workspace="acme",
    agent="bot",
    event_id="e7",
    message="the same call 3 times",
    evidence={"repeats": "3"},
    time=MOMENT,
    cause=CAUSE,
    version=(1, 7, 2),
)
COMMAND = {
    "type": "budget.set",
    "id": "c1",
    "time": "2026-03-10T13:00:00+01:00",
    "workspace": "acme",
    "actor": "ops",
    "budget": {"id": "cap", "limit_usd": "5"},
}
# A moment before the calendar begins, once it is in UTC.
TOO_EARLY = "0001-01-01T00:00:00+14:00"


def only(lines: list[Line]) -> Line:
    assert len(lines) == 1
    return lines[0]


def stored(client: Client, store: ClickHouseStore, topic: str, value: object) -> dict[str, object]:
    """The one row that a record of `topic` becomes."""
    body = msgspec.json.encode(value)
    line = only(rows_of(record(topic, body, partition=4, offset=9)))
    store.insert(line.table, line.body)
    result = client.query(f"SELECT * FROM {line.table} FINAL")
    return dict(zip(result.column_names, result.result_rows[0], strict=True))


@pytest.mark.parametrize(
    ("table", "struct", "left_out"),
    [
        ("charges", Charge, set()),
        ("spend", SpendEntry, {"touched_minute"}),
        ("accounts", AccountEntry, {"touched_ms", "buckets", "unpriced"}),
        ("decisions", Decision, {"cause", "version"}),
        ("findings", Finding, {"cause", "version"}),
    ],
)
def test_every_field_of_a_record_is_a_column(
    embedded: Client, table: str, struct: type[msgspec.Struct], left_out: set[str]
) -> None:
    names = "SELECT name FROM system.columns WHERE table = {table:String} AND database = 'default'"
    columns = {
        str(row[0]) for row in embedded.query(names, parameters={"table": table}).result_rows
    }

    assert set(struct.__struct_fields__) - left_out <= columns


def test_a_charge_that_says_little_has_the_contracts_defaults(
    client: Client, store: ClickHouseStore
) -> None:
    row = stored(client, store, "tollway.charges", CHARGE)

    assert str(row["cost"]) == "0.001234500000"
    assert (row["kind"], row["status"], row["price_state"]) == ("llm", "ok", "priced")
    assert (row["step"], row["success"], row["event_time"]) == (None, None, None)
    assert (row["session"], row["tags"], row["clamped"]) == ("", {}, False)
    assert (row["partition"], row["offset"]) == (3, 7)


def test_a_chunk_of_charges_is_passed_on_unread() -> None:
    chunk = b'{"id":"1"}\n{"id":"2"}'

    line = only(rows_of(record("tollway.charges", chunk)))

    assert (line.table, line.body) == ("charges", chunk)


def test_a_minute_can_take_back_what_another_one_counted(
    client: Client, store: ClickHouseStore
) -> None:
    row = stored(client, store, "tollway.ledger", SPEND)

    assert (str(row["cost"]), row["unpriced_events"]) == ("1.500000000000", -1)


def test_an_account_has_its_subject_as_one_text(client: Client, store: ClickHouseStore) -> None:
    row = stored(client, store, "tollway.ledger", ACCOUNT)

    assert row["subject_text"] == "agent=bot&model=gpt%204"
    assert row["subject"] == {"agent": "bot", "model": "gpt 4"}
    assert (row["window_start"], row["window_end"]) == (None, None)
    assert row["fired_percent"] == [70]


def test_a_decision_is_one_row_with_its_cause_and_version(
    client: Client, store: ClickHouseStore
) -> None:
    row = stored(client, store, "tollway.control", DECISION)

    assert (row["action"], row["subject_text"]) == ("block", "agent=bot")
    assert (str(row["spent"]), str(row["limit"])) == ("5.000000000000", "5.000000000000")
    assert (row["cause_offset"], row["cause_event_id"]) == (7, "e7")
    assert (row["generation"], row["usage_offset"], row["commands_offset"]) == (2, 7, -1)
    assert row["expires_at"] is None


def test_the_newest_version_of_a_decision_stays_whichever_came_last(
    client: Client, store: ClickHouseStore
) -> None:
    newest = msgspec.structs.replace(DECISION, action="allow", version=(2, 8, -1))
    stored(client, store, "tollway.control", newest)

    row = stored(client, store, "tollway.control", DECISION)

    assert row["action"] == "allow"


def test_a_finding_without_a_session_has_the_empty_one(
    client: Client, store: ClickHouseStore
) -> None:
    row = stored(client, store, "tollway.control", FINDING)

    assert (row["detector"], row["session"], row["step"]) == ("retry_loop", "", None)
    assert row["evidence"] == {"repeats": "3"}


def test_a_command_is_kept_as_it_was_written(client: Client, store: ClickHouseStore) -> None:
    row = stored(client, store, "tollway.commands", COMMAND)

    assert (row["type"], row["actor"], row["partition"], row["offset"]) == (
        "budget.set",
        "ops",
        4,
        9,
    )
    assert json.loads(str(row["document"])) == COMMAND
    assert str(row["time"]) == "2026-03-10 12:00:00"


def test_a_dead_letter_keeps_its_value_in_base64(client: Client, store: ClickHouseStore) -> None:
    letter = dead_letter(
        "broken_json",
        "at byte 1",
        topic="tollway.usage",
        partition=1,
        offset=5,
        time=MOMENT,
        key=None,
        value=b"{}",
    )

    row = stored(client, store, "tollway.deadletter", letter)

    assert (row["reason"], row["key"], row["value"], row["size_bytes"]) == (
        "broken_json",
        None,
        "e30=",
        2,
    )


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        ("tollway.ledger", None),
        ("tollway.control", None),
        (
            "tollway.ledger",
            PositionEntry(
                generation=1, usage_offset=1, commands_offset=1, log_time_ms=1, counts={}
            ),
        ),
        ("tollway.ledger", {"type": "of a later version"}),
        (
            "tollway.control",
            Heartbeat(
                partition=0, generation=1, usage_offset=1, commands_offset=1, issued_at=MOMENT
            ),
        ),
        ("tollway.commands", {"type": "dance"}),
    ],
    ids=["ledger tombstone", "control tombstone", "position", "new entry", "heartbeat", "command"],
)
def test_what_no_table_is_for_becomes_no_row(topic: str, value: object) -> None:
    body = None if value is None else msgspec.json.encode(value)

    assert rows_of(record(topic, body)) == []


@pytest.mark.parametrize(
    ("topic", "value", "reason"),
    [
        ("tollway.charges", None, "empty"),
        ("tollway.ledger", b"{", "broken_json"),
        ("tollway.ledger", b"\xff", "broken_json"),
        ("tollway.ledger", b'{"type":"spend","workspace":"acme"}', "missing_field"),
        ("tollway.ledger", b"[]", "wrong_type"),
        ("tollway.control", b'{"type":"decision","id":7}', "wrong_type"),
        ("tollway.deadletter", b"{}", "missing_field"),
        ("tollway.ledger", b'{"type":"spend","x":' + b"[" * 100_000, "broken_json"),
        ("tollway.commands", json.dumps({**COMMAND, "time": TOO_EARLY}).encode(), "out_of_range"),
    ],
)
def test_a_record_without_a_reading_says_why(topic: str, value: bytes, reason: str) -> None:
    with pytest.raises(MalformedRecord) as raised:
        rows_of(record(topic, value))

    assert raised.value.reason == reason
