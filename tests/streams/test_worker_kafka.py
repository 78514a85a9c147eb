"""The worker as a process on real brokers: what it makes of bad input, and when it must stop."""

import json
import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from tollway.cli.kafka.broker import Broker
from tollway.cli.kafka.topics import create_topics
from tollway.contract.moments import format_ms
from tollway.contract.topics import USAGE, partition_of
from worker_child import PARTITIONS, WorkerChild, charges, dead_letters, send, until

WORKSPACE = next(f"acme-{n}" for n in count() if partition_of(f"acme-{n}", PARTITIONS) == 0)
ELSEWHERE = next(f"acme-{n}" for n in count() if partition_of(f"acme-{n}", PARTITIONS) == 1)


def event(event_id: str, **fields: object) -> bytes:
    document = {
        "id": event_id,
        "time": format_ms(time.time_ns() // 1_000_000),
        "workspace": WORKSPACE,
        "agent": "bot",
        "provider": "openai",
        "model": "gpt-4o",
        "input_tokens": 1000,
        **fields,
    }
    return json.dumps(document).encode()


@pytest.fixture
def started(fresh_broker: Broker, tmp_path: Path) -> Iterator[WorkerChild]:
    create_topics(fresh_broker.bootstrap, PARTITIONS)
    worker = WorkerChild(tmp_path, fresh_broker.bootstrap, poison_limit=200)
    worker.start_until_ready()
    yield worker
    worker.child.kill()


BAD: list[tuple[bytes | None, str]] = [
    (event("nan").replace(b"1000", b"NaN"), "broken_json"),
    (event("infinity").replace(b"1000", b"Infinity"), "broken_json"),
    (event("minus", input_tokens=-1), "out_of_range"),
    (event("boolean", input_tokens=True), "wrong_type"),
    (event("2^63", input_tokens=2**63), "out_of_range"),
    (event("10 MB", task="x" * 10_000_000), "too_large"),
    (event("text", input_tokens="many"), "wrong_type"),
    (b'{"id": "cut off', "broken_json"),
    (event("version", v=2), "unknown_version"),
    (
        json.dumps({"id": "a", "time": "2026-01-01T00:00:00Z", "agent": "b"}).encode(),
        "missing_field",
    ),
    (event("free", cost="-1.00"), "malformed_cost"),
    (event("when", time="yesterday"), "malformed_time"),
    (None, "empty"),
]


def test_bad_records_are_dead_letters_and_their_neighbours_are_charged(
    started: WorkerChild, fresh_broker: Broker
) -> None:
    good = [event(f"good-{n}") for n in range(len(BAD))]
    mixed = [value for pair in zip(good, (bad for bad, _ in BAD), strict=True) for value in pair]

    offsets = send(fresh_broker.bootstrap, mixed)

    letters = dead_letters(fresh_broker.bootstrap, offsets[1::2])
    assert [letter.reason for letter in letters] == [reason for _, reason in BAD]
    booked = charges(fresh_broker.bootstrap, {f"good-{n}" for n in range(len(BAD))})
    assert [(one.id, one.cost) for one in booked] == [
        (f"good-{n}", "0.002500000000") for n in range(len(BAD))
    ]
    assert started.child.running


def test_a_record_in_another_workspaces_partition_is_sent_on_and_charged_once(
    started: WorkerChild, fresh_broker: Broker
) -> None:
    send(fresh_broker.bootstrap, [event("astray", workspace=ELSEWHERE)], partition=0)

    found = charges(fresh_broker.bootstrap, {"astray"})
    assert [(one.workspace, one.partition) for one in found] == [(ELSEWHERE, 1)]


def test_the_books_say_where_to_go_on_wherever_the_groups_offsets_stand(
    started: WorkerChild, fresh_broker: Broker
) -> None:
    if fresh_broker.kind.startswith("embedded"):
        pytest.skip("the embedded broker takes a group's offsets from its members alone")
    where = fresh_broker.bootstrap
    send(where, [event("before")])
    charges(where, {"before"})
    started.child.signal(signal.SIGTERM)
    assert started.exit_code() == 0
    group = Consumer({"bootstrap.servers": where, "group.id": "tollway-worker"})
    group.commit(offsets=[TopicPartition(USAGE.name, 0, 1_000_000)], asynchronous=False)
    group.close()

    started.start()
    send(where, [event("after")])

    assert [charge.id for charge in charges(where, {"after"})] == ["after"]


def test_nothing_but_poison_stops_the_worker_and_stays_in_the_topic(
    started: WorkerChild, fresh_broker: Broker, tmp_path: Path
) -> None:
    offsets = send(fresh_broker.bootstrap, [b"poison"] * 2000)

    assert started.exit_code() == 78
    said = started.child.tail(5)
    assert "are all unreadable" in said
    assert "broken_json" in said

    # A person has looked, and lets them pass: each is a dead letter once.
    patient = WorkerChild(tmp_path, fresh_broker.bootstrap, poison_limit=10_000)
    patient.start()
    try:
        letters = dead_letters(fresh_broker.bootstrap, offsets)
        assert [letter.offset for letter in letters] == offsets
    finally:
        patient.child.kill()


def test_a_second_worker_shares_the_partitions_and_its_end_gives_them_back(
    fresh_broker: Broker, tmp_path: Path
) -> None:
    create_topics(fresh_broker.bootstrap, PARTITIONS)
    workers = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        # The test before left poison behind, which is not what this one is about.
        workers.append(WorkerChild(tmp_path / name, fresh_broker.bootstrap, poison_limit=10_000))
    first, second = workers
    try:
        first.start_until_ready()
        second.start()
        until(
            lambda: (
                first.partitions() + second.partitions() == PARTITIONS
                and 0 < second.partitions() < PARTITIONS
            ),
            "both to own some",
        )

        second.child.signal(signal.SIGTERM)

        assert second.exit_code() == 0
        until(lambda: first.partitions() == PARTITIONS, "the first to own all again")
    finally:
        for worker in workers:
            worker.child.kill()
