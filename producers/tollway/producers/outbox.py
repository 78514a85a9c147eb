"""The seams to the broker: where encoded events go, where decisions come from."""

from typing import Literal, Protocol

__all__ = [
    "ControlReader",
    "LossReason",
    "Outbox",
    "OutboxClosed",
    "OutboxFull",
    "OutboxRefused",
    "Tail",
]

# Stable words: they stand in loss events, where alerts match on them.
LossReason = Literal[
    # The outbox was full: the broker is away, or slower than the agent for long.
    "queue_full",
    # Larger than an event may be.
    "too_large",
    # No usage event: a field is missing, unknown or out of range.
    "invalid",
    # The broker did not take it in time.
    "timeout",
    # The broker refused it: no such topic, no right to write.
    "refused",
    # The process ended before it was sent.
    "shutdown",
    # A fault of the SDK's own.
    "internal",
]


class OutboxFull(Exception):
    """There is no room for another event now."""


class OutboxClosed(Exception):
    """The process is ending, and takes no more events."""


class OutboxRefused(Exception):
    """The broker will not have it; the text says why, in a word."""


class Outbox(Protocol):
    """Takes encoded events and delivers them later. Must not block the agent."""

    def put(self, key: bytes, value: bytes) -> None:
        """Takes a record, or raises `OutboxFull`, `OutboxRefused` or `OutboxClosed`."""

    def has_room(self) -> bool:
        """Whether less than half of it is taken: the broker is there, and it drains."""

    def queued(self) -> int: ...

    def flush(self, timeout_s: float) -> int:
        """Waits until all is delivered; returns how many are not."""

    def close(self, timeout_s: float) -> None:
        """Flushes and stops; what is left after `timeout_s` is lost, and counted."""

    def abandon(self) -> None:
        """Lets go in a forked child: the parent's threads are not here to answer."""


class ControlReader(Protocol):
    """Whom a tail tells what it reads: the guard."""

    workspace: str

    def take(self, key: bytes, value: bytes | None, age_s: float) -> bool: ...

    def caught_up(self) -> None: ...

    def has_heard(self) -> bool:
        """Whether a worker's heart has been heard in what was read."""


class Tail(Protocol):
    """Follows the control topic and tells a guard what it reads."""

    def close(self, timeout_s: float) -> None: ...

    def abandon(self) -> None:
        """Lets go in a forked child, as an outbox does."""
