"""What other topics tell of books that are gone, on real brokers."""

import msgspec
import pytest
from confluent_kafka import Producer

from lost_logs import event
from tollway.cli.kafka.broker import Broker
from tollway.cli.kafka.topics import create_topics
from tollway.contract.charge import Charge
from tollway.contract.control import Cause, Decision, Heartbeat, control_key
from tollway.contract.topics import CHARGES, CONTROL
from tollway.streams.kafka import first_since, group_members, last_charged, read_said
from tollway.streams.settings import WorkerSettings
from worker_child import DEADLINE_S, PARTITIONS, send

CHARGE = Charge(
    workspace="acme",
    time="2026-03-10T12:00:00.000Z",
    id="e",
    agent="bot",
    cost="1.000000000000",
    partition=0,
    offset=0,
    log_time="2026-03-10T12:00:00.000Z",
)
BLOCK = Decision(
    id="d",
    workspace="acme",
    subject={"agent": "bot"},
    rule="budget:cap",
    action="block",
    reason="budget_exceeded",
    message="",
    cause=Cause(partition=0, offset=0, event_id="e"),
    version=(2, 10, 0),
    issued_at="2026-03-10T12:00:00.000Z",
)
BEAT = Heartbeat(
    partition=0,
    generation=3,
    usage_offset=-1,
    commands_offset=-1,
    issued_at="2026-03-10T12:00:00.000Z",
)


@pytest.fixture(scope="module")
def settings(fresh_broker: Broker) -> WorkerSettings:
    create_topics(fresh_broker.bootstrap, PARTITIONS)
    return WorkerSettings(brokers=fresh_broker.bootstrap)


def write(settings: WorkerSettings, topic: str, *records: tuple[str, bytes | None]) -> None:
    """Each its own batch, as closings are."""
    producer = Producer({"bootstrap.servers": settings.brokers})
    for key, value in records:
        producer.produce(topic, value, key, partition=0)
        assert producer.flush(DEADLINE_S) == 0


def pack(*offsets: int, kind: str = "llm") -> tuple[str, bytes]:
    charges = [msgspec.structs.replace(CHARGE, offset=n, kind=kind) for n in offsets]
    return "0", b"\n".join(map(msgspec.json.encode, charges))


def test_the_last_charge_is_found_before_all_adjustments(settings: WorkerSettings) -> None:
    before = last_charged(settings, 0)
    adjusted = [pack(3, 1, kind="adjustment") for _ in range(9)]
    write(settings, CHARGES.name, pack(5, 6), pack(7, 9), *adjusted)

    last = last_charged(settings, 0)

    assert before is None
    assert last is not None
    assert (last.offset, last.kind) == (9, "llm")


def test_of_what_agents_were_told_the_newest_version_counts(settings: WorkerSettings) -> None:
    lifted = msgspec.structs.replace(BLOCK, action="allow", version=(2, 12, 0))
    other = msgspec.structs.replace(BLOCK, subject={"agent": "cat"})
    warned = msgspec.structs.replace(other, action="warn", threshold_percent=90)
    records = [
        (control_key(each), msgspec.json.encode(each))
        for each in (BLOCK, lifted, BLOCK, warned, other, BEAT)
    ]
    write(settings, CONTROL.name, *records, ("of a newer worker", b'{"type":"unheard-of"}'))

    said = read_said(settings, 0)

    assert said.generation == 3
    assert sorted(decision.action for decision in said.decisions.values()) == ["allow", "warn"]


def test_offsets_are_found_by_time_and_the_end_where_nothing_is_so_late(
    settings: WorkerSettings, fresh_broker: Broker
) -> None:
    send(settings.brokers, [event("one"), event("two")])

    assert first_since(settings, 0, 0) == 0
    if not fresh_broker.kind.startswith("embedded"):
        assert first_since(settings, 0, 4_102_444_800_000) == 2


def test_a_group_that_never_was_has_no_members(settings: WorkerSettings) -> None:
    assert group_members(settings) == []
