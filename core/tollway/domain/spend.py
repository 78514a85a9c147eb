"""Minutes: what one tuple of dimensions spent in each, and the history that budgets count from."""

from typing import Final

from tollway.contract.ledger_entries import HistoryEntry, LedgerEntry, SpendEntry
from tollway.contract.moments import format_ms
from tollway.contract.money import format_usd
from tollway.contract.subjects import encode_name
from tollway.domain.calendar import MINUTE_MS, QUARTER_MS
from tollway.domain.stateful import Stateful

__all__ = ["ANY", "CARRIED", "DIMENSIONS_OF_LANE", "Hour", "Lane", "Minute", "encode_lane"]

# The dimensions of a lane, in the order of its key and of `HistoryEntry.dimensions`.
DIMENSIONS_OF_LANE: Final = ("agent", "provider", "model", "connection", "tool", "user", "customer")
# The hour that holds what is older than the history is kept.
CARRIED: Final = -1

LaneKey = tuple[str, str, str, str, str, str, str]
# Of what is remembered of a workspace without names.
ANY: Final[LaneKey] = ("", "", "", "", "", "", "")


def encode_lane(workspace: str, dimensions: LaneKey) -> str:
    return "|".join(encode_name(name) for name in (workspace, *dimensions))


class Minute(Stateful):
    """The accumulator of one minute of a lane. Absolute; opened anew for what comes late."""

    __slots__ = (
        "cache_read",
        "cache_write",
        "calls",
        "cost",
        "events",
        "generation",
        "input",
        "lane",
        "minute",
        "opened_at",
        "output",
        "partition",
        "touched",
        "unpriced",
    )

    lane: "Lane"
    minute: int
    opened_at: int
    cost: int
    events: int
    calls: int
    input: int
    output: int
    cache_read: int
    cache_write: int
    unpriced: int
    partition: int
    generation: int
    # The minute of log time in which it last changed.
    touched: int

    def __init__(
        self, lane: "Lane", minute: int, opened_at: int, partition: int, generation: int
    ) -> None:
        super().__init__()
        self.lane = lane
        self.minute = minute
        self.opened_at = opened_at
        self.partition = partition
        self.generation = generation
        self.cost = 0
        self.events = 0
        self.calls = 0
        self.input = 0
        self.output = 0
        self.cache_read = 0
        self.cache_write = 0
        self.unpriced = 0
        self.touched = -1

    def key(self) -> str:
        lane = self.lane
        return f"spend|{lane.text}|{self.minute}|{self.generation}|{self.opened_at}"

    def entry(self, stamp: int) -> LedgerEntry:
        agent, provider, model, connection, tool, user, customer = self.lane.dimensions
        return SpendEntry(
            workspace=self.lane.workspace,
            minute=format_ms(self.minute * MINUTE_MS),
            opened_at_offset=self.opened_at,
            partition=self.partition,
            generation=self.generation,
            agent=agent,
            provider=provider,
            model=model,
            connection=connection,
            tool=tool,
            user=user,
            customer=customer,
            cost=format_usd(self.cost),
            events=self.events,
            calls=self.calls,
            input_tokens=self.input,
            output_tokens=self.output,
            cache_read_tokens=self.cache_read,
            cache_write_tokens=self.cache_write,
            unpriced_events=self.unpriced,
            touched_minute=self.touched,
            version=stamp,
        )


class Hour(Stateful):
    """One hour of a lane whose minutes have left, by quarter: [pico-dollars, tokens, calls]."""

    __slots__ = ("hour", "lane", "quarters")

    def __init__(self, lane: "Lane", hour: int) -> None:
        super().__init__()
        self.lane = lane
        self.hour = hour
        self.quarters: list[list[int]] = [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]

    def add(self, quarter: int, cost: int, tokens: int, calls: int) -> None:
        sums = self.quarters[quarter]
        sums[0] += cost
        sums[1] += tokens
        sums[2] += calls

    def add_all(self, other: "Hour") -> None:
        for quarter, (cost, tokens, calls) in enumerate(other.quarters):
            self.add(quarter, cost, tokens, calls)

    def key(self) -> str:
        return f"history|{self.lane.text}|{self.hour}"

    def entry(self, stamp: int) -> LedgerEntry:
        return HistoryEntry(
            workspace=self.lane.workspace,
            dimensions=self.lane.dimensions,
            hour=self.hour,
            quarters=self.quarters,
        )


class Lane:
    """One tuple of dimensions of a workspace: its open minutes and its history."""

    __slots__ = ("current", "current_minute", "dimensions", "hours", "minutes", "text", "workspace")

    minutes: dict[int, Minute]
    hours: dict[int, Hour]
    current: Minute | None
    current_minute: int

    def __init__(self, workspace: str, dimensions: LaneKey) -> None:
        self.workspace = workspace
        self.dimensions = dimensions
        self.text = encode_lane(workspace, dimensions)
        self.minutes = {}
        self.hours = {}
        self.current = None
        self.current_minute = -1

    def newest(self) -> int:
        """The minute of its newest spend, as far as the books say it."""
        newest = max((minute.touched for minute in self.minutes.values()), default=-1)
        return max(newest, max(self.hours, default=CARRIED) * 60 + 59)

    def close(self, minute: Minute) -> Hour:
        """Takes a minute out and folds it into its hour, which is returned, changed."""
        if self.minutes.get(minute.minute) is minute:
            del self.minutes[minute.minute]
        if self.current is minute:
            self.current, self.current_minute = None, -1
        hour = self.hours.get(minute.minute // 60)
        if hour is None:
            hour = Hour(self, minute.minute // 60)
            self.hours[hour.hour] = hour
        tokens = minute.input + minute.output
        hour.add(minute.minute % 60 // 15, minute.cost, tokens, minute.calls)
        return hour

    def carry(self, hour: Hour) -> Hour:
        """Takes an hour out that is too old, and adds it to what is carried, which is returned."""
        del self.hours[hour.hour]
        carried = self.hours.get(CARRIED)
        if carried is None:
            carried = Hour(self, CARRIED)
            self.hours[CARRIED] = carried
        for sums in hour.quarters:
            carried.add(0, *sums)
        return carried

    def pieces(self, start_ms: int, now_ms: int) -> list[tuple[int, int, int, int]]:
        """When, pico-dollars, tokens and calls of all that was booked from `start_ms` on.

        By minute, and by quarter where minutes have left; a quarter that `start_ms` parts is out.
        """
        first = start_ms // MINUTE_MS
        found = [
            (minute.minute * MINUTE_MS, minute.cost, minute.input + minute.output, minute.calls)
            for minute in self.minutes.values()
            if first <= minute.minute
        ]
        for hour in self.hours.values():
            for quarter, (cost, tokens, calls) in enumerate(hour.quarters):
                at = hour.hour * 60 + quarter * 15 if hour.hour != CARRIED else 0
                if first <= at and (cost or tokens or calls):
                    # A quarter counts as spent at its end: what rolls out does so too late.
                    end_ms = at * MINUTE_MS + QUARTER_MS - 1
                    found.append((max(at * MINUTE_MS, min(end_ms, now_ms)), cost, tokens, calls))
        return sorted(found)
