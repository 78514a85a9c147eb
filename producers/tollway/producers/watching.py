"""Who wants to see each event that is recorded in this process, whatever `init` and forks bring."""

from collections.abc import Callable

from tollway.contract.usage import UsageEvent

__all__ = ["Watch", "shown", "watch"]

# Told of each event and of what a session's books said of it, in the thread that records: it must
# neither raise nor wait.
Watch = Callable[[UsageEvent, object], None]

_watches: tuple[Watch, ...] = ()


def watch(tell: Watch) -> Callable[[], None]:
    """From now on; returns what ends it."""
    global _watches
    _watches = (*_watches, tell)

    def end() -> None:
        global _watches
        _watches = tuple(held for held in _watches if held is not tell)

    return end


def shown(event: UsageEvent, booked: object) -> object:
    """Shows an event to who watches; gives `booked` back."""
    for tell in _watches:
        tell(event, booked)
    return booked
