"""What the broker says of the topics and of the worker's group."""

import time
from collections.abc import Sequence

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from tollway.contract.topics import USAGE
from tollway.streams.kafka.options import BROKER_S, PASSING, common
from tollway.streams.kafka.reading import reader
from tollway.streams.settings import WorkerSettings

__all__ = ["TopicIds", "group_members", "group_offset"]

_RETRY_S = 0.2

# What a broker says that gives no ids.
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"


class TopicIds:
    """Asks what tells a topic from another one that had its name before."""

    def __init__(self, settings: WorkerSettings, topics: Sequence[str]) -> None:
        self._admin = AdminClient(dict(common(settings)))
        self._topics = TopicCollection(list(topics))

    def ask(self) -> dict[str, str]:
        """By topic; without those that are not there, and those whose broker gives no ids.

        Raises `ConnectionError` where no broker answers.
        """
        found: dict[str, str] = {}
        answers = self._admin.describe_topics(self._topics, request_timeout=BROKER_S)
        for topic, answer in answers.items():
            try:
                name = str(answer.result().topic_id)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                said = error.args[0].str()
                raise ConnectionError(f"{topic} cannot be described: {said}") from None
            if name != _NO_ID:
                found[topic] = name
        return found


def group_offset(settings: WorkerSettings, partition: int) -> int:
    """The usage offset at which the worker's group goes on; 0 where it has closed no books.

    It follows the books: what the group has read, they held.
    """
    consumer = reader(settings, {"group.id": settings.group})
    try:
        return max(0, _committed(consumer, TopicPartition(USAGE.name, partition)).offset)
    finally:
        consumer.close()


def _committed(consumer: Consumer, place: TopicPartition) -> TopicPartition:
    """Asked again while the group's coordinator moves, as the client does not by itself."""
    end_s = time.monotonic() + BROKER_S
    while True:
        try:
            (committed,) = consumer.committed([place], timeout=BROKER_S)
        except KafkaException as error:
            if error.args[0].code() not in PASSING or time.monotonic() > end_s:
                raise
            time.sleep(_RETRY_S)
        else:
            return committed


def group_members(settings: WorkerSettings) -> list[str]:
    """Who is in the worker's group, by client and host; one that died is, until its session ends.

    Raises `ConnectionError` where the broker does not say.
    """
    admin = AdminClient(dict(common(settings)))
    end_s = time.monotonic() + BROKER_S
    while True:
        answer = admin.describe_consumer_groups([settings.group], request_timeout=BROKER_S)
        try:
            group = answer[settings.group].result()
        except KafkaException as error:
            cause = error.args[0]
            if cause.code() == KafkaError.GROUP_ID_NOT_FOUND:
                return []
            # A broker that has just started is still reading what it knows of groups.
            if cause.code() not in PASSING or time.monotonic() > end_s:
                raise ConnectionError(f"group {settings.group}: {cause.str()}") from None
            time.sleep(_RETRY_S)
        else:
            return [f"{member.client_id} on {member.host}" for member in group.members]
