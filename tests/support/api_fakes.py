"""Fakes for the API: a log of commands in memory, and sinks that are as far behind as told."""

from tollway.api.ports import Appended, LogUnavailable, TopicLag
from tollway.contract.command import Command

__all__ = ["CommandList", "FixedLag"]


class CommandList:
    """A `CommandLog` of one partition; with `away` it answers as when there is no broker."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.away = False

    def append(self, command: Command) -> Appended:
        if self.away:
            raise LogUnavailable("Kafka did not confirm the command")
        self.commands.append(command)
        offset = len(self.commands) - 1
        return Appended(topic="tollway.commands", partition=3, offset=offset)

    def reachable(self) -> bool:
        return not self.away


class FixedLag:
    def __init__(self) -> None:
        self.records: dict[str, int] = {"tollway.charges": 0, "tollway.ledger": 0}
        self.away = False

    def topics(self) -> list[TopicLag]:
        if self.away:
            raise LogUnavailable("Kafka did not answer")
        return [TopicLag(topic=topic, records=count) for topic, count in self.records.items()]

    def at_most(self) -> int:
        return sum(topic.records for topic in self.topics())
