"""Commands on a real broker, and how far a group is behind, transactions included."""

from datetime import UTC, datetime
from time import monotonic

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tollway.api.kafka import KafkaCommandLog, KafkaSinkLag
from tollway.api.ports import LogUnavailable
from tollway.cli.kafka.broker import Broker, free_port
from tollway.cli.kafka.topics import create_topics
from tollway.contract.command import Command, SetBudget, command_adapter
from tollway.contract.topics import CHARGES, COMMANDS, CONTROL, partition_of

PARTITIONS = 4


def set_budget(workspace: str) -> Command:
    return command_adapter.validate_python(
        {
            "type": "budget.set",
            "id": "c1",
            "time": datetime(2026, 3, 10, tzinfo=UTC),
            "workspace": workspace,
            "budget": {"id": "cap", "limit_usd": "5"},
        }
    )


def read_at(broker: Broker, at: TopicPartition) -> tuple[bytes, bytes]:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "reader"})
    consumer.assign([at])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None
    key, value = message.key(), message.value()
    assert isinstance(key, bytes)
    assert isinstance(value, bytes)
    return key, value


@pytest.fixture(scope="module")
def own_broker(fresh_broker: Broker) -> Broker:
    create_topics(fresh_broker.bootstrap, partitions=PARTITIONS)
    return fresh_broker


def test_a_command_is_in_its_workspaces_partition_when_append_returns(own_broker: Broker) -> None:
    log = KafkaCommandLog(own_broker.bootstrap)
    for workspace in ("default", "acme", "Zürich", "w-4711"):
        appended = log.append(set_budget(workspace))

        assert appended.topic == "tollway.commands"
        assert appended.partition == partition_of(workspace, PARTITIONS)
        key, value = read_at(
            own_broker, TopicPartition(COMMANDS.name, appended.partition, appended.offset)
        )
        assert key.decode() == workspace
        command = command_adapter.validate_json(value)
        assert isinstance(command, SetBudget)
        assert command.workspace == workspace


def test_a_broker_that_is_away_is_an_error_that_says_so() -> None:
    log = KafkaCommandLog(f"127.0.0.1:{free_port()}")

    assert log.reachable() is False
    with pytest.raises(LogUnavailable, match="command c1"):
        log.append(set_budget("default"))
    with pytest.raises(LogUnavailable):
        KafkaSinkLag(f"127.0.0.1:{free_port()}", "sinks").topics()


def test_lag_counts_records_and_not_the_marks_of_transactions(own_broker: Broker) -> None:
    lag = KafkaSinkLag(own_broker.bootstrap, "a-group-of-sinks")
    producer = Producer(
        {"bootstrap.servers": own_broker.bootstrap, "transactional.id": "test-lag", "linger.ms": 0}
    )
    producer.init_transactions(30)

    def commit(records: int) -> None:
        producer.begin_transaction()
        for number in range(records):
            producer.produce(CHARGES.name, value=b"%d" % number, partition=0)
        producer.commit_transaction(30)

    def behind() -> int:
        return {topic.topic: topic.records for topic in lag.topics()}[CHARGES.name]

    before = behind()
    commit(3)
    # A commit is confirmed a moment before its records can be read.
    deadline = monotonic() + 20
    while (after_three := behind()) == 0 and monotonic() < deadline:
        pass
    store_up_to(own_broker, "a-group-of-sinks", read=2)
    after_two_stored = behind()
    ends = {where: end for where, end in lag.ends().items() if where[0] == CHARGES.name}
    stored_before = lag.stored(ends)
    store_up_to(own_broker, "a-group-of-sinks", read=3)
    after_all_stored = behind()
    commit(2)

    assert (before, after_three, after_two_stored, after_all_stored) == (0, 3, 1, 0)
    # What came later is not asked for.
    assert (stored_before, lag.stored(ends)) == (False, True)


def test_heartbeats_are_no_lag(own_broker: Broker) -> None:
    producer = Producer({"bootstrap.servers": own_broker.bootstrap})
    for key in (b"heartbeat|0", b"default|agent=bot|budget:cap", b"heartbeat|0"):
        producer.produce(CONTROL.name, key=key, value=b"{}", partition=0)
        # One batch each: the embedded broker tells as its end the first record of the last batch.
        producer.flush(20)

    lag = KafkaSinkLag(own_broker.bootstrap, "another-group")
    topics = lag.topics()

    assert lag.at_most() >= sum(topic.records for topic in topics) + 2
    assert {topic.topic: topic.records for topic in topics}[CONTROL.name] == 1


def store_up_to(broker: Broker, group: str, *, read: int) -> None:
    """Commits as a sink does that has stored `read` records: what follows its last record."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(CHARGES.name, 0, 0)])
    messages = [consumer.poll(20) for _ in range(read)]
    last = messages[-1]
    assert last is not None
    assert last.offset() is not None
    consumer.commit(message=last, asynchronous=False)
    consumer.close()
