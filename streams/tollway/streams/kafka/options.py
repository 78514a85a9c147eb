"""What all clients of the worker are told."""

from confluent_kafka import KafkaError

from tollway.streams.settings import WorkerSettings

__all__ = ["BROKER_S", "PASSING", "POLL_S", "Option", "common"]

BROKER_S = 30.0
# Short waits: `consume` waits out its full time at the end of a partition.
POLL_S = 0.05

# What brokers answer while a leader or a coordinator moves: the client asks again for what it
# fetches, not for what it is asked once.
PASSING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)

Option = str | int | float | bool


def common(settings: WorkerSettings) -> dict[str, Option]:
    return {"bootstrap.servers": settings.brokers, "client.id": "tollway-worker", **settings.kafka}
