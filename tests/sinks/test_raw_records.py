"""Raw records: what refills a broker that forgets everything, bytes and all."""

import pytest

from sinks_fakes import record
from tollway.sinks.batch import Batch
from tollway.sinks.clickhouse import ClickHouseStore, Client
from tollway.sinks.raw_records import forget_deleted, next_life, raw_line, read_raw
from tollway.sinks.records import Record

LEDGER, CONTROL, COMMANDS = "tollway.ledger", "tollway.control", "tollway.commands"


def keep(store: ClickHouseStore, life: int, *records: Record) -> None:
    lines = [raw_line(each, life) for each in records]
    store.insert("raw_records", b"".join(line.body for line in lines if line is not None))


def test_of_compacted_topics_the_newest_of_each_key_comes_back_in_log_order(
    client: Client, store: ClickHouseStore
) -> None:
    keep(
        store,
        1,
        record(LEDGER, b"old", offset=0, key=b"a"),
        record(LEDGER, b"b's", offset=1, key=b"b"),
        record(LEDGER, b"new", offset=2, key=b"a"),
        record(LEDGER, b"c's", offset=0, key=b"c", partition=1),
        record(CONTROL, b"other topic", offset=9, key=b"a"),
    )

    assert list(read_raw(client, LEDGER)) == [
        (0, b"b", b"b's"),
        (0, b"a", b"new"),
        (1, b"c", b"c's"),
    ]


def test_of_commands_all_come_back_also_those_that_say_nothing(
    client: Client, store: ClickHouseStore
) -> None:
    keep(
        store,
        1,
        record(COMMANDS, b"first", offset=0),
        record(COMMANDS, None, offset=1),
        record(COMMANDS, b"first", offset=2, key=None),
    )

    assert list(read_raw(client, COMMANDS)) == [
        (0, b"acme", b"first"),
        (0, b"acme", None),
        (0, b"", b"first"),
    ]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300, 20_000])
def test_keys_and_values_are_bytes_of_any_kind_and_length(
    client: Client, store: ClickHouseStore, size: int
) -> None:
    value = bytes(number % 256 for number in range(size))
    key = b"\xff\x00\n" + value[:200]

    keep(store, 1, record(LEDGER, value, key=key), record(LEDGER, b"next", offset=1, key=b"z"))

    assert list(read_raw(client, LEDGER)) == [(0, key, value), (0, b"z", b"next")]


def test_a_tombstone_ends_a_key_and_forgetting_it_does_not_bring_the_key_back(
    client: Client, store: ClickHouseStore
) -> None:
    keep(store, 1, record(LEDGER, b"old", offset=0, key=b"a"))
    keep(store, 1, record(LEDGER, None, offset=1, key=b"a"), record(LEDGER, b"b's", key=b"b"))
    assert list(read_raw(client, LEDGER)) == [(0, b"b", b"b's")]

    forget_deleted(client)

    assert list(read_raw(client, LEDGER)) == [(0, b"b", b"b's")]
    assert client.query("SELECT count() FROM raw_records").result_rows[0][0] == 1


def test_a_new_life_of_the_log_is_newer_than_any_offset_of_the_one_before(
    client: Client, store: ClickHouseStore
) -> None:
    assert next_life(client) == 1
    keep(store, 1, record(LEDGER, b"before", offset=10**12, key=b"a"))
    assert next_life(client) == 2

    keep(store, 2, record(LEDGER, b"after", offset=0, key=b"a"))
    keep(store, 1, record(LEDGER, b"before", offset=10**12, key=b"a"))

    assert list(read_raw(client, LEDGER)) == [(0, b"a", b"after")]


def test_commands_that_come_back_at_their_offsets_are_kept_once(
    client: Client, store: ClickHouseStore
) -> None:
    for life in (1, 2):
        keep(store, life, record(COMMANDS, b"first", offset=0))

    assert list(read_raw(client, COMMANDS)) == [(0, b"acme", b"first")]


def test_heartbeats_and_topics_that_are_not_refilled_are_not_kept() -> None:
    assert raw_line(record(CONTROL, b"{}", key=b"heartbeat|3"), 1) is None
    assert raw_line(record("tollway.charges", b"{}"), 1) is None


def test_raw_records_are_kept_only_where_a_life_of_the_log_is_given() -> None:
    for life, tables in ((None, set()), (1, {"raw_records"})):
        batch = Batch(life)
        batch.add(record(LEDGER, {"type": "position"}), 0.0)
        assert set(batch.by_table()) == tables


def test_of_the_ledger_only_whole_closings_are_written() -> None:
    batch = Batch(1)
    batch.add(record(LEDGER, {"type": "session"}, offset=0, key=b"a"), 0.0)
    writable = [batch.writable]
    batch.add(record(LEDGER, {"type": "position"}, offset=1, key=b"position"), 0.0)
    batch.add(record(LEDGER, b"broken", offset=3, key=b"b"), 0.0)
    batch.add(record(LEDGER, {"type": "session"}, offset=4, key=b"c"), 0.0)
    batch.add(record("tollway.charges", b"{}", offset=7), 0.0)
    writable.append(batch.writable)

    rest = batch.cut()

    assert [line.origin.offset for line in batch.lines] == [0, 1, 7]
    assert batch.offsets == {(LEDGER, 0): 3, ("tollway.charges", 0): 8}
    assert batch.malformed == []
    writable.append(rest.writable)
    rest.add(record(LEDGER, {"type": "position"}, offset=5, key=b"position"), 1.0)
    assert [*writable, rest.writable] == [False, True, False, True]
    assert [line.origin.offset for line in rest.lines] == [3, 4, 5]
    assert [each.offset for each, _ in rest.malformed] == [3]
    assert rest.offsets == {(LEDGER, 0): 6}
    assert not rest.cut()


def test_a_closing_is_not_waited_for_where_no_raw_records_are_kept() -> None:
    batch = Batch(None)
    batch.add(record(LEDGER, {"type": "session"}, offset=0, key=b"a"), 0.0)

    assert batch.writable
    assert not batch.cut()


def test_a_partition_read_to_its_end_is_committed_although_it_had_no_records() -> None:
    batch = Batch(1)
    batch.reach((LEDGER, 0), 9, 0.0)

    assert batch.writable
    assert not batch.cut()
    assert batch.offsets == {(LEDGER, 0): 9}
