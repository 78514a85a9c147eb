"""The command lines of the processes below `tollway up`: here, and nowhere else."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Commands", "Place"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """What every child needs to know of this `up`."""

    directory: Path
    brokers: str
    # Whether the broker is ours and forgets: workers join sooner, sinks keep raw records.
    embedded: bool
    # A DSN: an embedded chDB below the directory.
    clickhouse: str
    partitions: int


class Commands:
    """The children as they are; a subclass may start others in their place."""

    def worker(self, place: Place, port: int) -> Sequence[str]:
        """Its /readyz is on `port`."""
        embedded = ["--embedded"] if place.embedded else []
        return [
            *[sys.executable, "-m", "tollway.cli.main", "worker", "--brokers", place.brokers],
            *["--health-port", str(port), "--data-dir", str(place.directory / "worker"), *embedded],
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
