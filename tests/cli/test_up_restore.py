"""What an embedded broker forgot comes back from the store: commands, control, ledger."""

import json
import time
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from tollway.cli.children import Child
from tollway.cli.kafka.broker import Broker, free_port
from tollway.cli.kafka.embedded import EmbeddedBroker
from tollway.cli.kafka.topics import create_topics
from tollway.cli.up.commands import Commands, Place
from tollway.cli.up.member import Member
from tollway.cli.up.restore import Log, RestoreFailed, next_generation, restore
from tollway.contract.ledger_entries import PositionEntry, SpendEntry

DEADLINE_S = 60.0
PARTITION = 5
Kept = list[tuple[bytes | None, bytes | None]]

POSITION = PositionEntry(
    generation=3,
    usage_offset=41,
    commands_offset=1,
    log_time_ms=1_790_000_000_000,
    counts={"events": 42},
)
SPEND = SpendEntry(
    workspace="acme",
    minute="2026-03-10T12:00:00.000Z",
    opened_at_offset=0,
    partition=PARTITION,
    generation=3,
    agent="bot",
    cost="1.000000000000",
    version=(3 << 48) + 42,
)


def command(number: int) -> bytes:
    document = {
        "type": "budget.set",
        "id": f"command-{number}",
        "workspace": "acme",
        "actor": "ann",
        "time": "2026-03-10T12:00:00.000Z",
        "budget": {"id": "cap", "limit_usd": f"{number}.00"},
    }
    return json.dumps(document).encode()


def read(bootstrap: str, topic: str, partition: int = PARTITION) -> Kept:
    """Everything of a partition, to its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0)])
    found: Kept = []
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        message = consumer.poll(1.0)
        if message is None:
            continue
        error = message.error()
        if error is not None:
            assert error.code() == KafkaError._PARTITION_EOF
            consumer.close()
            return found
        found.append((as_bytes(message.key()), as_bytes(message.value())))
    raise AssertionError(f"{topic} has no end")


def as_bytes(text: str | bytes | None) -> bytes | None:
    return text.encode() if isinstance(text, str) else text


def first_life(bootstrap: str) -> None:
    """What api and worker wrote: two commands, then one that the books do not hold yet."""
    plain = Producer({"bootstrap.servers": bootstrap})
    for number in (1, 2, 3):
        plain.produce("tollway.commands", command(number), b"acme", partition=PARTITION)
    plain.produce("tollway.control", b'{"type":"heartbeat"}', b"heartbeat|5", partition=PARTITION)
    assert plain.flush(DEADLINE_S) == 0
    books = Producer({"bootstrap.servers": bootstrap, "transactional.id": "tollway-5"})
    books.init_transactions(DEADLINE_S)
    first = msgspec.json.encode(SPEND)
    second = msgspec.json.encode(msgspec.structs.replace(SPEND, cost="2.000000000000"))
    position = msgspec.json.encode(POSITION)
    for closing in (
        [(b"spend|1", first), (b"spend|2", first), (b"position", position)],
        [(b"spend|1", second), (b"spend|2", None), (b"position", position)],
        # Cut off before its position.
        [(b"spend|1", first), (b"spend|3", first)],
    ):
        books.begin_transaction()
        for key, value in closing:
            books.produce("tollway.ledger", value, key, partition=PARTITION)
        books.commit_transaction(DEADLINE_S)


def until_ready(member: Member) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not member.ready():
        assert member.child.running, member.child.tail()
        assert time.monotonic() < deadline, member.child.tail()


def store_child(place: Place, life: int, directory: Path) -> Member:
    port = free_port()
    command = Commands().store(place, port, life)
    return Member(Child("store", command, log=directory / "store.log"), port)


def restore_child(place: Place, directory: Path) -> dict[str, int]:
    result = directory / "restored.json"
    child = Child("restore", Commands().restore(place, result), log=directory / "restore.log")
    child.start()
    deadline = time.monotonic() + DEADLINE_S
    while child.running:
        assert time.monotonic() < deadline, child.tail()
    assert child.exit_code == 0, child.tail()
    return dict(json.loads(result.read_text()))


def started(broker: Broker) -> Broker:
    broker.start()
    create_topics(broker.bootstrap)
    return broker


@pytest.mark.slow
def test_the_next_broker_holds_what_the_store_kept_of_the_one_before(tmp_path: Path) -> None:
    broker = started(EmbeddedBroker(tmp_path))
    place = Place(
        directory=tmp_path,
        brokers=broker.bootstrap,
        embedded=True,
        clickhouse=f"chdb://{tmp_path / 'chdb'}",
        partitions=12,
    )
    store: Member | None = None
    try:
        assert restore_child(place, tmp_path) == {"life": 1, "records": 0}
        store = store_child(place, 1, tmp_path)
        store.start()
        until_ready(store)
        first_life(broker.bootstrap)
        # A request to stop first reads what is there.
        assert store.child.stop(DEADLINE_S), store.child.tail()
        assert store.child.exit_code == 0, store.child.tail()
        broker.kill()
        started(broker)

        restored = restore_child(place, tmp_path)

        assert restored == {"life": 2, "records": 5}
        assert read(broker.bootstrap, "tollway.commands") == [
            (b"acme", command(1)),
            (b"acme", command(2)),
            (b"acme", command(3)),
        ]
        assert read(broker.bootstrap, "tollway.control") == []
        # The books as they were last closed, and where they stand in a log without usage.
        spend, position = read(broker.bootstrap, "tollway.ledger")
        assert spend[0] == b"spend|1"
        assert b'"2.000000000000"' in (spend[1] or b"")
        assert position[0] == b"position"
        assert msgspec.json.decode(position[1] or b"", type=PositionEntry) == PositionEntry(
            generation=4,
            usage_offset=-1,
            commands_offset=1,
            log_time_ms=1_790_000_000_000,
            counts={"events": 42},
        )
    finally:
        if store is not None:
            store.child.stop(DEADLINE_S)
        broker.stop()


def test_commands_that_the_store_had_not_kept_are_not_counted_as_applied() -> None:
    position = next_generation(POSITION, last_command=0)

    assert position.commands_offset == 0
    assert position.usage_offset == -1
    assert position.generation == 4


def test_a_store_of_more_partitions_is_refused() -> None:
    log = Log("127.0.0.1:1")

    with pytest.raises(
        RestoreFailed, match=r"partition 12 of tollway\.commands, and the topics have"
    ):
        restore(log, {"tollway.commands": [(12, b"acme", command(1))]}, partitions=12)
