"""CloudEvents through the worker on real brokers: charged, sent on with headers, or buried."""

import base64
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tollway.cli.kafka.broker import Broker
from tollway.cli.kafka.topics import create_topics
from tollway.contract.topics import USAGE, partition_of
from worker_child import DEADLINE_S, PARTITIONS, WorkerChild, charges, dead_letters

HERE = next(f"acme-{n}" for n in count() if partition_of(f"acme-{n}", PARTITIONS) == 0)
ELSEWHERE = next(f"acme-{n}" for n in count() if partition_of(f"acme-{n}", PARTITIONS) == 1)
DATA = {
    "time": "2026-03-10T12:00:00Z",
    "provider": "openai",
    "model": "gpt-4o",
    "input_tokens": 1000,
}


@pytest.fixture
def worker(fresh_broker: Broker, tmp_path: Path) -> Iterator[WorkerChild]:
    create_topics(fresh_broker.bootstrap, PARTITIONS)
    worker = WorkerChild(tmp_path, fresh_broker.bootstrap)
    worker.start_until_ready()
    yield worker
    worker.child.kill()


def _attributes(event_id: str, workspace: str, specversion: str) -> dict[str, str]:
    return {
        "specversion": specversion,
        "type": "com.example.usage.v1",
        "source": "/tests",
        "id": event_id,
        "subject": "bot",
        "partitionkey": workspace,
    }


def binary(
    event_id: str, workspace: str = HERE, specversion: str = "1.0"
) -> tuple[bytes, dict[str, str | bytes | None]]:
    told = _attributes(event_id, workspace, specversion)
    headers: dict[str, str | bytes | None] = {f"ce_{name}": text for name, text in told.items()}
    return json.dumps(DATA).encode(), headers | {"content-type": "application/json"}


def structured(
    event_id: str, workspace: str = HERE, specversion: str = "1.0"
) -> tuple[bytes, dict[str, str | bytes | None]]:
    told = _attributes(event_id, workspace, specversion)
    headers: dict[str, str | bytes | None] = {"content-type": "application/cloudevents+json"}
    return json.dumps({**told, "data": DATA}).encode(), headers


def _send(bootstrap: str, *records: tuple[bytes, dict[str, str | bytes | None]]) -> None:
    """To partition 0, in order."""
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for value, headers in records:
        producer.produce(USAGE.name, value, b"key", 0, headers=headers)
    assert producer.flush(DEADLINE_S) == 0


@pytest.mark.usefixtures("worker")
def test_cloudevents_are_charged_once_wherever_they_were_sent_and_broken_ones_are_buried(
    fresh_broker: Broker,
) -> None:
    _send(
        fresh_broker.bootstrap,
        binary("of both modes"),
        structured("of both modes"),
        binary("astray", ELSEWHERE),
        structured("astray too", ELSEWHERE),
        binary("of the past", specversion="0.3"),
        structured("last"),
    )

    ids = {"of both modes", "astray", "astray too", "last"}
    booked = charges(fresh_broker.bootstrap, ids)
    assert sorted((one.id, one.partition, one.workspace, one.cost) for one in booked) == [
        ("astray", 1, ELSEWHERE, "0.002500000000"),
        ("astray too", 1, ELSEWHERE, "0.002500000000"),
        ("last", 0, HERE, "0.002500000000"),
        ("of both modes", 0, HERE, "0.002500000000"),
    ]
    (letter,) = dead_letters(fresh_broker.bootstrap, [4])
    assert letter.reason == "unknown_version"
    assert letter.headers is not None
    assert base64.b64decode(letter.headers["ce_id"] or "") == b"of the past"
