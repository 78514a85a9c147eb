"""Logs that lose records, or are made anew, under the books that were kept of them."""

import json
import time
from itertools import count

import msgspec
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tollway.cli.kafka.topics import create_topics
from tollway.contract.ledger_entries import LedgerEntry, PositionEntry
from tollway.contract.moments import format_ms
from tollway.contract.topics import COMMANDS, TOPICS, USAGE, partition_of
from tollway.streams.kafka import read_ledger
from tollway.streams.settings import WorkerSettings
from worker_child import DEADLINE_S, PARTITIONS, until

__all__ = [
    "WORKSPACE",
    "drop_usage_before",
    "entries",
    "event",
    "forget_group",
    "make_anew",
    "position",
    "tell",
]

WORKSPACE = next(f"acme-{n}" for n in count() if partition_of(f"acme-{n}", PARTITIONS) == 0)


def event(event_id: str) -> bytes:
    """A quarter of a cent."""
    document = {
        "id": event_id,
        "time": format_ms(time.time_ns() // 1_000_000),
        "workspace": WORKSPACE,
        "agent": "bot",
        "provider": "openai",
        "model": "gpt-4o",
        "input_tokens": 1000,
    }
    return json.dumps(document).encode()


def tell(bootstrap: str, *documents: dict[str, object]) -> None:
    """Commands, in order."""
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for number, document in enumerate(documents):
        common = {
            "id": f"c{number}",
            "time": format_ms(time.time_ns() // 1_000_000),
            "workspace": WORKSPACE,
            "actor": "ann",
        }
        producer.produce(COMMANDS.name, json.dumps(common | document).encode(), b"key", 0)
    assert producer.flush(DEADLINE_S) == 0


def make_anew(bootstrap: str, *names: str) -> None:
    """Topics under their old names, without a record; of all topics where none is named."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    wanted = set(names or (topic.name for topic in TOPICS))
    there = wanted & set(admin.list_topics(timeout=DEADLINE_S).topics)
    if there:
        for done in admin.delete_topics(list(there), operation_timeout=DEADLINE_S).values():
            done.result(DEADLINE_S)
    until(
        lambda: not wanted & set(admin.list_topics(timeout=DEADLINE_S).topics), "topics to be gone"
    )
    create_topics(bootstrap, PARTITIONS)


def drop_usage_before(bootstrap: str, offset: int) -> None:
    """As retention does."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    place = TopicPartition(USAGE.name, 0, offset)
    assert admin.delete_records([place])[place].result(DEADLINE_S).low_watermark == offset


def forget_group(bootstrap: str) -> None:
    """What the workers' group has noted, as if it had not come to it yet; nobody may be in it."""
    group = WorkerSettings(brokers=bootstrap).group
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.delete_consumer_groups([group])[group].result(DEADLINE_S)


def entries(bootstrap: str) -> dict[str, LedgerEntry]:
    """What the books of partition 0 hold, by key."""
    decode = msgspec.json.Decoder(LedgerEntry).decode
    newest = read_ledger(WorkerSettings(brokers=bootstrap), 0).newest
    return {key.decode(): decode(value) for key, value in newest.items()}


def position(bootstrap: str) -> PositionEntry:
    found = entries(bootstrap)["position"]
    assert isinstance(found, PositionEntry)
    return found
