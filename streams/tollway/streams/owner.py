"""One owned partition: its ledger, what waits to be written, and the closing of its books."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from tollway.contract.control import Decision, Finding, Heartbeat, control_key
from tollway.contract.ledger_entries import PositionEntry
from tollway.contract.moments import format_ms
from tollway.contract.topics import CHARGES, CONTROL, DEADLETTER, LEDGER, USAGE
from tollway.domain.commanding import obey
from tollway.domain.ledger import Ledger
from tollway.streams.continuing import LogLost
from tollway.streams.kafka import Chunk, CommandRecord, Outgoing

__all__ = ["Acknowledged", "Closing", "Owner", "Publisher"]

_encode: Final = msgspec.json.Encoder().encode


class Acknowledged(Protocol):
    """A chunk that may be acknowledged once the books that hold it are written."""

    def ack(self) -> bool: ...


class Publisher(Protocol):
    """Where decisions go at once."""

    def publish(self, partition: int, key: str, value: bytes) -> None: ...


@dataclass(slots=True)
class Closing:
    """What one transaction writes, and what may happen only after it."""

    records: list[Outgoing]
    chunks: list[Acknowledged]


class Owner:
    """Applies chunks and commands to a partition's ledger. Not thread-safe: the loop's own.

    `seen_until` is the last record that whoever owned the partition before may have judged.
    Commands wait until it is applied again: judged with them, it would make other decisions than
    those that are published already. `torn` is what a closing that was cut off wrote over, as it
    was before: the first closing writes it again. `logs` are the ids of the topics that the
    position counts in.
    """

    def __init__(
        self,
        partition: int,
        ledger: Ledger,
        control: Publisher,
        *,
        seen_until: int,
        torn: dict[bytes, bytes | None],
        logs: dict[str, str],
    ) -> None:
        self.partition = partition
        self.ledger = ledger
        self._control = control
        self._seen_until = seen_until
        self._torn = torn
        self._logs = logs
        self._chunks: list[Acknowledged] = []
        # Whether anything was applied since the books were closed.
        self._touched = bool(torn)
        self._commands: list[CommandRecord] = []
        # While a closing that holds commands is being written, what is decided after it waits.
        self._held: list[Decision | Finding] | None = None

    def apply(self, chunk: Chunk, first: int, last: int) -> None:
        """Applies records [first, last) of a chunk and publishes what they made the rules decide.

        Raises `LogLost` where records between this chunk and what was applied are missing.
        """
        ledger = self.ledger
        if chunk.after > ledger.usage_offset:
            raise LogLost(
                f"partition {self.partition}: a chunk begins after offset {chunk.after}, but the"
                f" ledger ends at {ledger.usage_offset}; records went missing on the way"
            )
        part = slice(first, last)
        ledger.apply(
            chunk.values[part],
            chunk.keys[part],
            chunk.offsets[part],
            chunk.stamps_ms[part],
            chunk.records[part],
        )
        if last >= len(chunk.offsets):
            # A chunk waits for its books to be closed; what it was cut from need not.
            chunk.records.clear()
        self._touched = True
        self._publish(ledger.take_verdicts())

    def add_chunk(self, chunk: Acknowledged) -> None:
        """A chunk that has been applied to its end: acknowledged when the books hold it."""
        self._chunks.append(chunk)

    def add_command(self, command: CommandRecord) -> None:
        self._commands.append(command)

    def has_commands(self) -> bool:
        """Whether commands wait that may take effect now."""
        return bool(self._commands) and self.ledger.usage_offset >= self._seen_until

    def is_open(self) -> bool:
        """Whether there is anything to close the books for."""
        return bool(self._touched or self._chunks) or self.has_commands()

    def close(self) -> Closing:
        """Applies waiting commands, then takes down all that changed since the last closing."""
        commands: list[CommandRecord] = []
        if self.has_commands():
            commands, self._commands = self._commands, []
        ledger = self.ledger
        for command in commands:
            obey(ledger, command.key, command.value, command.offset, command.stamp_ms)
        closing = Closing(records=[], chunks=self._chunks)
        self._chunks = []
        self._touched = False
        if commands:
            # In the books' own transaction: afterwards nobody could decide it a second time.
            closing.records.extend(self._said(ledger.take_verdicts()))
            self._held = []
        closing.records.extend(self._records())
        return closing

    def _said(self, verdicts: list[Decision | Finding]) -> Iterable[Outgoing]:
        for verdict in verdicts:
            key = control_key(verdict).encode()
            yield Outgoing(CONTROL.name, self.partition, key, _encode(verdict))

    def _records(self) -> Iterable[Outgoing]:
        partition = self.partition
        for lines in self.ledger.take_charges():
            yield Outgoing(CHARGES.name, partition, str(partition).encode(), lines)
        for letter in self.ledger.take_buried():
            yield Outgoing(DEADLETTER.name, -1, str(partition).encode(), _encode(letter))
        for stray in self.ledger.take_misrouted():
            yield Outgoing(USAGE.name, -1, stray.workspace.encode(), stray.value, stray.headers)
        torn, self._torn = self._torn, {}
        for torn_key, before in torn.items():
            yield Outgoing(LEDGER.name, partition, torn_key, before)
        for key, entry in self.ledger.close():
            if isinstance(entry, PositionEntry):
                entry = msgspec.structs.replace(entry, logs=self._logs)
            state = None if entry is None else _encode(entry)
            yield Outgoing(LEDGER.name, partition, key.encode(), state)

    def written(self, closing: Closing) -> None:
        """The transaction is committed: acknowledge, then let out what waited for it."""
        for chunk in closing.chunks:
            chunk.ack()
        held, self._held = self._held, None
        if held:
            self._publish(held)

    def _publish(self, verdicts: list[Decision | Finding]) -> None:
        if self._held is not None:
            self._held.extend(verdicts)
            return
        for verdict in verdicts:
            self._control.publish(self.partition, control_key(verdict), _encode(verdict))

    def publish_standing(self) -> None:
        """Re-publishes what is active: renews it for agents, repairs what was lost on the way."""
        if self._held is not None:
            # Some of it is not in the books yet, and may never be.
            return
        now_ms = self.ledger.log_ms
        for standing in self.ledger.verdicts.standing.values():
            if standing.expires_ms > now_ms:
                decision = standing.decision
                self._control.publish(self.partition, control_key(decision), _encode(decision))

    def state(self) -> dict[str, object]:
        """How far the ledger is, for the worker's health page."""
        ledger = self.ledger
        return {
            "usage_offset": ledger.usage_offset,
            "log_time": format_ms(ledger.log_ms),
            "counts": dict(ledger.counts),
        }

    def beat(self, now_ms: int) -> None:
        ledger = self.ledger
        beat = Heartbeat(
            partition=self.partition,
            generation=ledger.generation,
            usage_offset=ledger.usage_offset,
            commands_offset=ledger.commands_offset,
            issued_at=format_ms(now_ms),
        )
        self._control.publish(self.partition, control_key(beat), _encode(beat))
