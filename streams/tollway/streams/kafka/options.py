"""What all clients of the worker are told."""

from tollway.streams.settings import WorkerSettings

__all__ = ["BROKER_S", "POLL_S", "Option", "common"]

BROKER_S = 30.0
# Short waits: `consume` waits out its full time at the end of a partition.
POLL_S = 0.05

Option = str | int | float | bool


def common(settings: WorkerSettings) -> dict[str, Option]:
    return {"bootstrap.servers": settings.brokers, "client.id": "tollway-worker", **settings.kafka}
