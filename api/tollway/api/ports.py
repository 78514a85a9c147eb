"""What the API asks of the world, as narrow Protocols, and the parts that every door shares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tollway.api.settings import ApiSettings
from tollway.contract.command import Command

__all__ = [
    "ALL_WORKSPACES",
    "DEFAULT_WORKSPACE",
    "Appended",
    "CommandLog",
    "LogUnavailable",
    "Parameters",
    "Parts",
    "Row",
    "SinkLag",
    "Store",
    "StoreUnavailable",
    "TopicLag",
]

# What is asked for all workspaces names, and where what names none is written.
ALL_WORKSPACES = "*"
DEFAULT_WORKSPACE = "default"

Row = Mapping[str, object]
Parameters = Mapping[str, str | int | Sequence[str]]


class StoreUnavailable(Exception):
    """ClickHouse did not answer."""


class LogUnavailable(Exception):
    """Kafka did not answer, or did not confirm a command in time."""


class Store(Protocol):
    """Where questions in SQL are answered; values go in as `parameters` only."""

    def query(self, sql: str, parameters: Parameters) -> list[Row]: ...


@dataclass(frozen=True, kw_only=True)
class Appended:
    """Where a confirmed record stands in the log."""

    topic: str
    partition: int
    offset: int


class CommandLog(Protocol):
    """The log of commands; an append has happened when it returns."""

    def append(self, command: Command) -> Appended: ...

    def reachable(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class TopicLag:
    """How many records of a topic the sinks have not stored yet."""

    topic: str
    records: int


class SinkLag(Protocol):
    def topics(self) -> list[TopicLag]: ...

    def at_most(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What `create_app` was given, for each group of doors."""

    settings: ApiSettings
    store: Store
    command_log: CommandLog
    sink_lag: SinkLag
    now_ms: Callable[[], int]

    def workspace(self, asked: str | None) -> str:
        """Whose budgets and blocks: one workspace's."""
        return asked or self.settings.workspace or DEFAULT_WORKSPACE

    def workspaces(self, asked: str | None) -> str:
        """Whose spend and decisions: one workspace's, or `ALL_WORKSPACES`."""
        return asked or self.settings.workspace or ALL_WORKSPACES
