"""Accounts: what a subject of a budget spent in a window, and the thresholds it crosses."""

from typing import Final

from tollway.contract.ledger_entries import AccountEntry, LedgerEntry
from tollway.contract.moments import format_ms
from tollway.contract.money import format_usd
from tollway.contract.subjects import Subject, encode_name, encode_subject
from tollway.domain.budgets import TOKENS, USD, Rule
from tollway.domain.calendar import FOREVER_MS, HOUR_MS, window_bounds
from tollway.domain.crowding import ACCOUNTS, Crowds
from tollway.domain.dedup import HORIZON_HOURS
from tollway.domain.stateful import Stateful

__all__ = ["NEVER", "Account", "Purse"]

# A mark that no amount reaches.
NEVER: Final = 1 << 120


class Account(Stateful):
    """What one subject of a budget spent in one window."""

    __slots__ = (
        "buckets",
        "calls",
        "end_ms",
        "fired",
        "last_ms",
        "next_mark",
        "partition",
        "rule",
        "spent",
        "start_ms",
        "subject",
        "subject_text",
        "tokens",
        "touched_ms",
        "unpriced",
    )

    spent: int
    tokens: int
    calls: int
    next_mark: int
    fired: int
    buckets: list[list[int]]

    def __init__(
        self, rule: Rule, subject: Subject, start_ms: int, end_ms: int, partition: int
    ) -> None:
        super().__init__()
        self.rule = rule
        self.subject = subject
        self.subject_text = encode_subject(subject)
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.partition = partition
        self.spent = 0
        self.tokens = 0
        self.calls = 0
        self.last_ms = 0
        # Log time of the last change.
        self.touched_ms = 0
        # Events among them that wait for a price: until it comes, the account must not leave.
        self.unpriced = 0
        # How many thresholds have fired; the next one to fire stands at `next_mark`.
        self.fired = 0
        self.next_mark = rule.marks[0]
        # Of a rolling window: [bucket number, pico-dollars, tokens, calls], oldest first.
        self.buckets = []

    def amount(self) -> int:
        unit = self.rule.unit
        return self.spent if unit == USD else self.tokens if unit == TOKENS else self.calls

    def add(self, cost: int, tokens: int, calls: int, at_ms: int) -> None:
        if at_ms > self.last_ms:
            self.last_ms = at_ms
            if self.buckets:
                # First what rolls out: a window that fell below its marks crosses them again.
                self.forget_before(at_ms)
        self.spent += cost
        self.tokens += tokens
        self.calls += calls
        if self.rule.rolling_ms:
            self._roll(cost, tokens, calls, at_ms)

    def _roll(self, cost: int, tokens: int, calls: int, at_ms: int) -> None:
        number = at_ms // self.rule.bucket_ms
        buckets = self.buckets
        at = len(buckets)
        while at and buckets[at - 1][0] > number:
            at -= 1
        if at and buckets[at - 1][0] == number:
            bucket = buckets[at - 1]
            bucket[1] += cost
            bucket[2] += tokens
            bucket[3] += calls
        else:
            buckets.insert(at, [number, cost, tokens, calls])
        self.forget_before(self.last_ms)

    def forget_before(self, now_ms: int) -> None:
        """Lets the buckets of a rolling window go that have left it by `now_ms`."""
        oldest = (now_ms - self.rule.rolling_ms) // self.rule.bucket_ms
        while self.buckets and self.buckets[0][0] < oldest:
            _, cost, tokens, calls = self.buckets.pop(0)
            self.spent -= cost
            self.tokens -= tokens
            self.calls -= calls
        if self.is_below_fired():
            self.rearm()

    def is_below_fired(self) -> bool:
        return self.fired > 0 and self.amount() < self.rule.marks[self.fired - 1]

    def rearm(self) -> None:
        """Sets which thresholds count as fired from the amount alone; after an edit, or a roll."""
        amount = self.amount()
        self.set_fired(sum(1 for mark in self.rule.marks if amount >= mark))

    def set_fired(self, count: int) -> None:
        marks = self.rule.marks
        self.fired = count
        self.next_mark = marks[count] if count < len(marks) else NEVER

    def cross(self) -> int:
        """Fires the next threshold if the amount has reached it: its percent, else 0."""
        if self.amount() < self.next_mark:
            return 0
        percent = self.rule.percents[self.fired]
        self.set_fired(self.fired + 1)
        return percent

    def lapses_ms(self, percent: int, idle_end_ms: int) -> int:
        """When a verdict at a threshold lapses by itself; `FOREVER_MS` for never."""
        if self.rule.rolling_ms:
            # A block holds until the limit is kept, whichever threshold above it has fired.
            blocks = self.rule.action_at(percent) == "block"
            mark = self.rule.mark(100 if blocks else percent)
            left = self.amount()
            for number, *amounts in self.buckets:
                left -= amounts[self.rule.unit]
                if left < mark:
                    return (number + 1) * self.rule.bucket_ms + self.rule.rolling_ms
            return self.last_ms + self.rule.rolling_ms
        if self.rule.window == "run":
            return idle_end_ms
        return self.end_ms

    def key(self) -> str:
        workspace = encode_name(self.rule.workspace)
        return f"account|{workspace}|{self.rule.name}|{self.subject_text}|{self.start_ms}"

    def entry(self, stamp: int) -> LedgerEntry:
        bounded = self.end_ms != FOREVER_MS
        return AccountEntry(
            workspace=self.rule.workspace,
            budget_id=self.rule.budget.id,
            subject=self.subject,
            window=self.rule.window,
            window_start=format_ms(self.start_ms) if bounded else None,
            window_end=format_ms(self.end_ms) if bounded else None,
            spent=format_usd(self.spent),
            tokens=self.tokens,
            calls=self.calls,
            fired_percent=self.rule.percents[: self.fired],
            buckets=self.buckets,
            last_event_ms=self.last_ms,
            touched_ms=self.touched_ms,
            unpriced=self.unpriced,
            partition=self.partition,
            generation=stamp >> 48,
            version=stamp,
        )


class Purse:
    """One subject of one budget: its accounts by window, the current one at hand."""

    __slots__ = (
        "accounts",
        "crowds",
        "current",
        "end_ms",
        "partition",
        "rule",
        "start_ms",
        "subject",
    )

    accounts: dict[int, Account]
    current: Account | None
    start_ms: int
    end_ms: int

    def __init__(self, rule: Rule, subject: Subject, partition: int, crowds: Crowds) -> None:
        self.rule = rule
        self.subject = subject
        self.partition = partition
        self.crowds = crowds
        self.accounts = {}
        # Nothing lies in an empty window, so the first event looks the account up.
        self.current = None
        self.start_ms = 0
        self.end_ms = 0

    def at(self, at_ms: int) -> Account | None:
        """The account of the window that holds `at_ms`.

        None where that window had ended when the budget was made.
        """
        account = self.current
        if account is not None and self.start_ms <= at_ms < self.end_ms:
            return account
        return self.find(at_ms)

    def find(self, at_ms: int) -> Account | None:
        """As `at`, looked up by the calendar."""
        start, end = self._bounds(at_ms)
        if end <= self.rule.since_ms:
            return None
        account = self.accounts.get(start)
        if account is None:
            self.crowds.enter(ACCOUNTS)
            account = Account(self.rule, self.subject, start, end, self.partition)
            self.accounts[start] = account
        if start >= self.start_ms:
            self.current, self.start_ms, self.end_ms = account, start, end
        return account

    def takes(self, cost: int, at_ms: int, now_ms: int) -> bool:
        """Whether a correction goes into the account that holds `at_ms`.

        One that has left is opened anew only where more was spent, and while events can still be
        booked into its window: it would hold nothing but the difference.
        """
        start, end = self._bounds(at_ms)
        return start in self.accounts or (cost > 0 and end + HORIZON_HOURS * HOUR_MS > now_ms)

    def _bounds(self, at_ms: int) -> tuple[int, int]:
        if self.rule.rolling_ms:
            return 0, FOREVER_MS
        return window_bounds(self.rule.window, self.rule.zone, at_ms)

    def close(self, account: Account) -> None:
        """Lets an account go; the next event of its window opens another."""
        self.accounts.pop(account.start_ms, None)
        if self.current is account:
            self.current, self.start_ms, self.end_ms = None, 0, 0
        self.crowds.leave(ACCOUNTS)
