"""Commands that this process just wrote, until the store shows them: read your own writes."""

from collections import OrderedDict
from threading import Lock

from tollway.contract.command import Command

__all__ = ["WrittenCommands"]

WRITTEN_MAX = 10_000


class WrittenCommands:
    """Bounded: a command leaves when the store has it, or when `WRITTEN_MAX` newer ones exist."""

    def __init__(self) -> None:
        self._commands: OrderedDict[str, Command] = OrderedDict()
        self._lock = Lock()

    def add(self, command: Command) -> None:
        with self._lock:
            self._commands[command.id] = command
            if len(self._commands) > WRITTEN_MAX:
                self._commands.popitem(last=False)

    def of(self, workspace: str) -> list[Command]:
        """The commands of a workspace that the store may not show yet, oldest first."""
        with self._lock:
            return [each for each in self._commands.values() if each.workspace == workspace]

    def forget(self, stored: set[str]) -> None:
        with self._lock:
            for command_id in stored & self._commands.keys():
                del self._commands[command_id]
