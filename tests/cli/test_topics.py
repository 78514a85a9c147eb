"""Topics are made once, compared ever after, and never made in a shape that splits a workspace."""

import time

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the stubs do not re-export
    AdminClient,
    ConfigResource,
    ResourceType,
)
from confluent_kafka.cimpl import NewTopic

from tollway.cli.kafka.apache import ApacheKafka
from tollway.cli.kafka.broker import Broker
from tollway.cli.kafka.topics import WrongTopics, create_topics

DEADLINE_S = 20.0
NAMES = (
    "tollway.usage",
    "tollway.commands",
    "tollway.control",
    "tollway.ledger",
    "tollway.charges",
    "tollway.deadletter",
)


def partitions(bootstrap: str) -> dict[str, int]:
    found = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=DEADLINE_S).topics
    return {name: len(found[name].partitions) for name in NAMES if name in found}


def make(bootstrap: str, topic: NewTopic) -> None:
    """Returns when the broker tells of it, which is a moment after it has been made."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([topic])[topic.topic].result(DEADLINE_S)
    deadline = time.monotonic() + DEADLINE_S
    while topic.topic not in partitions(bootstrap):
        assert time.monotonic() < deadline


@pytest.fixture(autouse=True)
def no_topics(fresh_broker: Broker) -> None:
    """Every test here begins with a broker that has none of our topics."""
    admin = AdminClient({"bootstrap.servers": fresh_broker.bootstrap})
    present = list(partitions(fresh_broker.bootstrap))
    if present:
        for done in admin.delete_topics(present).values():
            done.result(DEADLINE_S)
    deadline = time.monotonic() + DEADLINE_S
    while partitions(fresh_broker.bootstrap) and time.monotonic() < deadline:
        pass


def test_create_topics_makes_all_with_the_same_partitions(fresh_broker: Broker) -> None:
    report = create_topics(fresh_broker.bootstrap)

    assert report.created == NAMES
    assert partitions(fresh_broker.bootstrap) == {
        "tollway.usage": 12,
        "tollway.commands": 12,
        "tollway.control": 12,
        "tollway.ledger": 12,
        "tollway.charges": 12,
        "tollway.deadletter": 1,
    }


def test_create_topics_again_changes_nothing(fresh_broker: Broker) -> None:
    create_topics(fresh_broker.bootstrap, partitions=4)

    report = create_topics(fresh_broker.bootstrap, partitions=4)

    assert report.created == ()
    assert report.existing == NAMES
    assert report.differences == ()


def test_another_partition_count_is_refused_and_names_the_way_out(fresh_broker: Broker) -> None:
    create_topics(fresh_broker.bootstrap, partitions=4)

    with pytest.raises(WrongTopics, match=r"tollway\.usage has 4.*not 6.*--partitions"):
        create_topics(fresh_broker.bootstrap, partitions=6)

    assert partitions(fresh_broker.bootstrap)["tollway.usage"] == 4


def test_a_missing_topic_beside_wrong_ones_is_not_made(fresh_broker: Broker) -> None:
    make(fresh_broker.bootstrap, NewTopic("tollway.usage", 3))

    with pytest.raises(WrongTopics, match=r"tollway\.usage has 3"):
        create_topics(fresh_broker.bootstrap)

    assert partitions(fresh_broker.bootstrap) == {"tollway.usage": 3}


def test_settings_that_differ_are_told_and_left_alone(fresh_broker: Broker) -> None:
    if not isinstance(fresh_broker, ApacheKafka):
        pytest.skip("the embedded broker does not tell a topic's settings")
    short = NewTopic("tollway.usage", 12, config={"retention.ms": "60000"})
    make(fresh_broker.bootstrap, short)

    report = create_topics(fresh_broker.bootstrap)

    assert "tollway.usage: retention.ms is 60000, the contract says 604800000" in report.differences
    resource = ConfigResource(ResourceType.TOPIC, "tollway.usage")
    admin = AdminClient({"bootstrap.servers": fresh_broker.bootstrap})
    kept = admin.describe_configs([resource])[resource].result(DEADLINE_S)
    assert kept["retention.ms"].value == "60000"
