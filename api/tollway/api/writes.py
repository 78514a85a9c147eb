"""How a write becomes a command: named, dated, appended to the log, and only then answered."""

from datetime import UTC, datetime
from typing import Annotated, TypedDict
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from tollway.api.overlay import WrittenCommands
from tollway.api.ports import Parts
from tollway.contract.command import Command
from tollway.contract.moments import format_ms

__all__ = ["Accepted", "Ask", "Signature", "Writer"]


class Ask(BaseModel):
    """What every write may say besides its subject: where, who and why."""

    model_config = ConfigDict(extra="forbid")

    workspace: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    actor: Annotated[str, Field(min_length=1, max_length=512)] = "unknown"
    reason: Annotated[str, Field(max_length=2000)] = ""


class Signature(TypedDict):
    """The fields that all commands share."""

    id: str
    time: datetime
    workspace: str
    actor: str
    reason: str


class Accepted(BaseModel):
    """A command that is in the log; it takes effect when the worker next closes its books."""

    id: str
    type: str
    workspace: str
    time: str
    topic: str
    partition: int
    offset: int


class Writer:
    """Signs commands, appends them, and remembers them until the store shows them."""

    def __init__(self, parts: Parts, written: WrittenCommands) -> None:
        self._parts = parts
        self._written = written

    def sign(self, ask: Ask) -> Signature:
        return Signature(
            id=str(uuid4()),
            time=datetime.fromtimestamp(self._parts.now_ms() / 1000, UTC),
            workspace=self._parts.workspace(ask.workspace),
            actor=ask.actor,
            reason=ask.reason,
        )

    def write(self, command: Command) -> Accepted:
        appended = self._parts.command_log.append(command)
        self._written.add(command)
        return Accepted(
            id=command.id,
            type=command.type,
            workspace=command.workspace,
            time=format_ms(int(command.time.timestamp() * 1000)),
            topic=appended.topic,
            partition=appended.partition,
            offset=appended.offset,
        )
