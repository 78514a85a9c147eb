"""The books of a log as anybody would keep them by hand: one event after another, from its file.

Prices are the price book's, which has tests of its own; everything else is worked out again here.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from oracle_budgets import AccountKey, Amounts, BudgetBooks
from tollway.contract.command import PriceOverride, ToolPrice
from tollway.contract.topics import DEFAULT_PARTITIONS as PARTITIONS
from tollway.contract.topics import partition_of
from tollway.contract.usage import UsageEvent
from tollway.domain.prices import Catalogue, PriceBook
from tollway.domain.usage import Usage
from workload import LogLine

__all__ = ["ChargeKey", "Charged", "Expected", "MinuteKey", "Spent", "expect"]

MINUTE_MS = 60_000
HORIZON_MS = 72 * 60 * MINUTE_MS
FUTURE_MS = 5 * MINUTE_MS
LATE_MINUTES = 15
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# workspace, source, id
ChargeKey = tuple[str, str, str]
# workspace, minute in ms, then agent, provider, model, connection, tool, user, customer
MinuteKey = tuple[str, int, str, str, str, str, str, str, str]


class Charged(NamedTuple):
    """What must be charged for one event; `cost_pico` with what a later price added."""

    cost_pico: int
    booked_ms: int
    kind: str
    agent: str
    session: str
    parent_session: str
    connection: str
    user: str
    customer: str
    provider: str
    model: str
    tool: str
    step: int | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    skewed: bool


@dataclass(slots=True)
class Spent:
    """The sums of one minute of one tuple of dimensions."""

    cost_pico: int = 0
    events: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    unpriced_events: int = 0


@dataclass
class Expected:
    """`late` is None for a log whose file has not the broker's time."""

    charges: dict[ChargeKey, Charged] = field(default_factory=dict)
    spend: defaultdict[MinuteKey, Spent] = field(default_factory=lambda: defaultdict(Spent))
    accounts: dict[AccountKey, Amounts] = field(default_factory=dict)
    # By topic, reason, key and size of the value.
    dead_letters: Counter[tuple[str, str, str, int]] = field(default_factory=Counter)
    # Usage records in the log, and those of them in a partition that is not their workspace's.
    records: int = 0
    misrouted: int = 0
    duplicates: int = 0
    missing: int = 0
    skewed: int = 0
    late: set[ChargeKey] | None = field(default_factory=set)


class _Reader:
    def __init__(self, catalogue: Catalogue) -> None:
        self.expected = Expected()
        self.prices = PriceBook(catalogue)
        self.budgets = BudgetBooks()
        self.sent: set[tuple[str, str, int]] = set()
        self.log_ms: defaultdict[int, int] = defaultdict(int)
        self.late: set[ChargeKey] = set()
        self.decode = msgspec.json.Decoder(UsageEvent).decode

    def command(self, line: LogLine) -> None:
        document: dict[str, Any] = json.loads(line.value or b"")
        workspace = document["workspace"]
        if document["type"] == "budget.set":
            self.budgets.set(workspace, document["budget"])
        elif document["type"] == "price.set":
            override = PriceOverride.model_validate(document["price"])
            assert self.prices.set_override(workspace, override)
        elif document["type"] == "tool_price.set":
            price = ToolPrice.model_validate(document["price"])
            assert self.prices.set_tool_price(workspace, price)

    def event(self, line: LogLine) -> None:
        assert line.value is not None
        event = self.decode(line.plain or line.value)
        self.expected.misrouted += line.partition != partition_of(event.workspace, PARTITIONS)
        log_ms = self.log_ms[line.partition]
        key = (event.workspace, event.source or "", event.id)
        if not self._is_new(event, key):
            self.expected.duplicates += 1
            return
        said_ms = (datetime.fromisoformat(event.time) - _EPOCH) // timedelta(milliseconds=1)
        skewed = said_ms > log_ms + FUTURE_MS or said_ms < log_ms - HORIZON_MS
        booked_ms = log_ms if skewed else said_ms
        if booked_ms // MINUTE_MS < log_ms // MINUTE_MS - LATE_MINUTES:
            self.late.add(key)
        self.expected.skewed += skewed
        cost_pico = self._cost(event, booked_ms)
        self.expected.charges[key] = _charged(event, cost_pico or 0, booked_ms, skewed)
        self._spend(event, cost_pico, booked_ms)
        calls = int(event.kind in {"llm", "tool"})
        tokens = event.input_tokens + event.output_tokens
        self.budgets.add(event, booked_ms, (cost_pico or 0, tokens, calls))

    def _is_new(self, event: UsageEvent, key: ChargeKey) -> bool:
        if event.producer is not None and event.seq is not None:
            sending = (event.workspace, event.producer, event.seq)
            if sending in self.sent:
                return False
            self.sent.add(sending)
        return key not in self.expected.charges

    def _cost(self, event: UsageEvent, booked_ms: int) -> int | None:
        """None where there is no price."""
        if event.cost is not None:
            dollars, _, rest = event.cost.partition(".")
            return int(dollars + rest.ljust(12, "0"))
        if event.kind == "tool" and event.tool is not None:
            found = self.prices.tool_cost(event.workspace, event.tool, event.connection, booked_ms)
            if found is not None:
                return found[0]
        if event.kind == "outcome" or (event.kind == "tool" and event.model is None):
            return 0
        rates = self.prices.rates_for(
            event.workspace, event.provider, event.model or "", event.service_tier, booked_ms
        )
        return None if rates is None else rates.cost_pico(Usage(event))

    def _spend(self, event: UsageEvent, cost_pico: int | None, booked_ms: int) -> None:
        spent = self.expected.spend[
            (
                event.workspace,
                booked_ms - booked_ms % MINUTE_MS,
                event.agent,
                event.provider or "",
                event.model or "",
                event.connection or "",
                event.tool or "",
                event.user or "",
                event.customer or "",
            )
        ]
        spent.cost_pico += cost_pico or 0
        spent.events += 1
        spent.calls += event.kind in {"llm", "tool"}
        spent.input_tokens += event.input_tokens
        spent.output_tokens += event.output_tokens
        spent.cache_read_tokens += event.cache_read_tokens
        spent.cache_write_tokens += event.cache_write_tokens
        spent.unpriced_events += cost_pico is None


def _charged(event: UsageEvent, cost_pico: int, booked_ms: int, skewed: bool) -> Charged:
    return Charged(
        cost_pico=cost_pico,
        booked_ms=booked_ms,
        kind=event.kind,
        agent=event.agent,
        session=event.session or "",
        parent_session=event.parent_session or "",
        connection=event.connection or "",
        user=event.user or "",
        customer=event.customer or "",
        provider=event.provider or "",
        model=event.model or "",
        tool=event.tool or "",
        step=event.step,
        input_tokens=event.input_tokens,
        output_tokens=event.output_tokens,
        cache_read_tokens=event.cache_read_tokens,
        cache_write_tokens=event.cache_write_tokens,
        reasoning_tokens=event.reasoning_tokens,
        skewed=skewed,
    )


def expect(log: Iterable[LogLine], catalogue: Catalogue) -> Expected:
    """The books at the end of the log.

    Commands first: whenever a price comes, what it prices costs the same in the end, and an edit
    of a budget keeps what was spent.
    """
    lines = list(log)
    reader = _Reader(catalogue)
    dead = reader.expected.dead_letters
    for line in lines:
        if line.dead:
            size = len(line.value or b"")
            dead[(f"tollway.{line.topic}", line.dead, line.key, size)] += 1
        elif line.topic == "commands":
            reader.command(line)
    for line in lines:
        if line.topic == "usage":
            # Time is what the broker says, also with records that nobody can read.
            reader.log_ms[line.partition] = max(reader.log_ms[line.partition], line.stamp_ms)
            reader.expected.records += 1
            if not line.dead:
                reader.event(line)
    expected = reader.expected
    expected.late = reader.late
    newest: Counter[tuple[str, str]] = Counter()
    for workspace, producer, seq in reader.sent:
        newest[(workspace, producer)] = max(newest[(workspace, producer)], seq + 1)
    expected.missing = newest.total() - len(reader.sent)
    expected.accounts = reader.budgets.accounts()
    return expected
