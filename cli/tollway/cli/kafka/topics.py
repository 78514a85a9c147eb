"""The topics of the contract on a broker: made where absent, compared where present."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the stubs do not re-export
    AdminClient,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from tollway.contract.topics import DEFAULT_PARTITIONS, TOPICS, Topic

__all__ = ["TopicReport", "WrongTopics", "create_topics"]

_REQUEST_TIMEOUT_S = 30.0
_METADATA_TIMEOUT_S = 10.0
_VISIBLE_TIMEOUT_S = 30.0
_RETRY_S = 0.05


class WrongTopics(RuntimeError):
    """Topics exist in a shape that would put one workspace's records before two writers."""


@dataclass(frozen=True, kw_only=True)
class TopicReport:
    """What `create_topics` did, and what it left as it was although the contract differs."""

    created: tuple[str, ...]
    existing: tuple[str, ...]
    # Lines for people: ``tollway.usage: retention.ms is 86400000, the contract says 604800000``.
    differences: tuple[str, ...]


def create_topics(
    bootstrap: str, partitions: int = DEFAULT_PARTITIONS, replication: int = 1
) -> TopicReport:
    """Make the missing topics; raise `WrongTopics` if one has another number of partitions.

    Settings that differ are reported and left alone: who runs the broker may have changed them.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    present = admin.list_topics(timeout=_METADATA_TIMEOUT_S).topics
    _check_partitions((topic for topic in TOPICS if topic.name in present), present, partitions)
    missing = [topic for topic in TOPICS if topic.name not in present]
    created = _create(admin, missing, partitions, replication)
    _wait_until_visible(admin, TOPICS)
    # Somebody else may have made them in the same moment, in another shape.
    _check_partitions(TOPICS, admin.list_topics(timeout=_METADATA_TIMEOUT_S).topics, partitions)
    existing = [topic for topic in TOPICS if topic.name not in created]
    return TopicReport(
        created=tuple(created),
        existing=tuple(topic.name for topic in existing),
        differences=tuple(_config_differences(admin, existing)),
    )


def _check_partitions(
    topics: Iterable[Topic], present: dict[str, TopicMetadata], partitions: int
) -> None:
    wrong = [
        f"{topic.name} has {len(present[topic.name].partitions)}"
        for topic in topics
        if topic.co_partitioned and len(present[topic.name].partitions) != partitions
    ]
    if wrong:
        raise WrongTopics(
            f"{', '.join(wrong)} partitions, not {partitions}; a workspace would have two writers."
            f" Use --partitions with the number they all have, or, to change it: stop the workers,"
            f" delete the tollway.* topics, create them with --partitions {partitions} and begin"
            f" with empty tables: books are not carried over"
        )


def _create(
    admin: AdminClient, topics: list[Topic], partitions: int, replication: int
) -> list[str]:
    """The names of those that were really made now."""
    if not topics:
        return []
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=partitions if topic.co_partitioned else 1,
            replication_factor=replication,
            config=dict(topic.config),
        )
        for topic in topics
    ]
    created = []
    for name, done in admin.create_topics(wanted, request_timeout=_REQUEST_TIMEOUT_S).items():
        try:
            done.result(_REQUEST_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise KafkaException(error.args[0], f"while creating {name}") from error
        else:
            created.append(name)
    return created


def _wait_until_visible(admin: AdminClient, topics: Iterable[Topic]) -> None:
    """A topic is made before every broker tells of it, with a leader for each partition."""
    deadline = time.monotonic() + _VISIBLE_TIMEOUT_S
    waiting = {topic.name for topic in topics}
    while waiting:
        present = admin.list_topics(timeout=_METADATA_TIMEOUT_S).topics
        waiting -= {
            name
            for name in waiting
            if name in present and all(p.leader >= 0 for p in present[name].partitions.values())
        }
        if waiting and time.monotonic() > deadline:
            raise WrongTopics(
                f"{', '.join(sorted(waiting))} have no leader {_VISIBLE_TIMEOUT_S:g} s after they"
                " were made; look at the broker's log"
            )
        if waiting:
            time.sleep(_RETRY_S)


def _config_differences(admin: AdminClient, topics: list[Topic]) -> list[str]:
    if not topics:
        return []
    resources = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics]
    answers = admin.describe_configs(resources, request_timeout=_REQUEST_TIMEOUT_S)
    configs: dict[str, dict[str, ConfigEntry]] = {
        resource.name: done.result(_REQUEST_TIMEOUT_S) for resource, done in answers.items()
    }
    return [
        f"{topic.name}: {key} is {actual}, the contract says {wanted}"
        for topic in topics
        for key, wanted in topic.config.items()
        # The embedded broker does not tell of settings that it does not know.
        if key in configs[topic.name] and (actual := configs[topic.name][key].value) != wanted
    ]
