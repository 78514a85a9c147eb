"""The command lines of the processes below `tollway up`: here, and nowhere else."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Commands", "Place"]

_MAIN = (sys.executable, "-m", "tollway.cli.main")


@dataclass(frozen=True, kw_only=True)
class Place:
    """What every child needs to know of this `up`."""

    brokers: str
    # Whether the broker is ours and forgets: workers join sooner, sinks keep raw records.
    embedded: bool
    # A DSN: an embedded chDB below the directory.
    clickhouse: str
    partitions: int


class Commands:
    """The children as they are; a subclass may start others in their place."""

    def worker(self, place: Place, health_port: int) -> Sequence[str]:
        embedded = ["--embedded"] if place.embedded else []
        return [
            *[*_MAIN, "worker", "--brokers", place.brokers],
            *["--health-port", str(health_port), *embedded],
        ]

    def store(self, place: Place, api_port: int, life: int | None) -> Sequence[str]:
        """Sinks and api in one process: chDB allows one a path. `life` is the broker's."""
        keep = [] if life is None else ["--raw-life", str(life)]
        return [
            *[sys.executable, "-m", "tollway.cli.up.store", "--brokers", place.brokers],
            *["--clickhouse", place.clickhouse, "--port", str(api_port), *keep],
        ]

    def restore(self, place: Place, result: Path) -> Sequence[str]:
        """Ends once the empty broker holds what the store kept; `result` says what that was."""
        return [
            *[sys.executable, "-m", "tollway.cli.up.restore", "--brokers", place.brokers],
            *["--clickhouse", place.clickhouse, "--partitions", str(place.partitions)],
            *["--result", str(result)],
        ]
