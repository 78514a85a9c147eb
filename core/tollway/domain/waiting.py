"""Events that wait for a price, and the models that have none."""

from tollway.contract.ledger_entries import LedgerEntry, PendingEntry, UnpricedEntry
from tollway.contract.subjects import encode_name
from tollway.contract.usage import UsageEvent
from tollway.domain.stateful import Stateful

__all__ = ["Pending", "Unpriced"]


class Pending(Stateful):
    """An event without a price, kept so that a later price can charge it."""

    __slots__ = ("booked_ms", "cost", "event", "offset")

    def __init__(self, event: UsageEvent, booked_ms: int, offset: int, cost: int) -> None:
        super().__init__()
        self.event = event
        self.booked_ms = booked_ms
        self.offset = offset
        self.cost = cost

    def key(self) -> str:
        return f"pending|{encode_name(self.event.workspace)}|{self.offset}|{self.booked_ms}"

    def entry(self, stamp: int) -> LedgerEntry:
        return PendingEntry(
            event=self.event, booked_ms=self.booked_ms, offset=self.offset, cost_pico=self.cost
        )


class Unpriced(Stateful):
    """A model of a workspace without a price, and how many of its events wait for one."""

    __slots__ = ("events", "model", "provider", "since_ms", "waiting", "workspace")

    def __init__(self, workspace: str, provider: str, model: str, since_ms: int) -> None:
        super().__init__()
        self.workspace = workspace
        self.provider = provider
        self.model = model
        self.events = 0
        self.since_ms = since_ms
        self.waiting: list[Pending] = []

    def key(self) -> str:
        names = (self.workspace, self.provider, self.model)
        return "unpriced|" + "|".join(encode_name(name) for name in names)

    def entry(self, stamp: int) -> LedgerEntry:
        return UnpricedEntry(
            workspace=self.workspace,
            provider=self.provider,
            model=self.model,
            events=self.events,
            since_ms=self.since_ms,
        )
