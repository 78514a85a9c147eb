"""What the broker says of the topics and of the worker's group."""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from tollway.contract.topics import USAGE
from tollway.streams.kafka.options import BROKER_S, common
from tollway.streams.kafka.reading import reader
from tollway.streams.settings import WorkerSettings

__all__ = ["TopicIds", "group_offset"]

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
        place = TopicPartition(USAGE.name, partition)
        (committed,) = consumer.committed([place], timeout=BROKER_S)
    finally:
        consumer.close()
    return max(0, committed.offset)
