"""Books one new event: prices it, adds it to its minute and accounts, and lets the rules look."""

from tollway.contract.moments import parse_ms
from tollway.domain.accounts import Account, Purse
from tollway.domain.calendar import HOUR_MS, MINUTE_MS
from tollway.domain.charging import Booking, ChargeLines, charge_head
from tollway.domain.crowding import MINUTES
from tollway.domain.detectors import RUN_IDLE_MS, observe
from tollway.domain.leaving import SESSION_IDLE_MS, Sweeper
from tollway.domain.prices import is_inconsistent
from tollway.domain.pricing import Pricer
from tollway.domain.reporting import report
from tollway.domain.routes import FREE, Route
from tollway.domain.runs import Run
from tollway.domain.spend import Lane, Minute
from tollway.domain.stateful import Changes
from tollway.domain.usage import Usage
from tollway.domain.verdicts import Moment, Verdicts, budget_decision
from tollway.domain.workspaces import Workspace

__all__ = ["Booker"]


class Booker:
    """Books events of all workspaces of a partition."""

    __slots__ = ("changes", "lines", "moment", "pricer", "sweeper", "verdicts")

    def __init__(
        self,
        changes: Changes,
        verdicts: Verdicts,
        pricer: Pricer,
        sweeper: Sweeper,
        moment: Moment,
        lines: ChargeLines,
    ) -> None:
        self.changes = changes
        self.verdicts = verdicts
        self.pricer = pricer
        self.sweeper = sweeper
        self.moment = moment
        self.lines = lines

    def book(
        self, workspace: Workspace, usage: Usage, booking: Booking, explicit_pico: int
    ) -> None:
        """`explicit_pico` is the price the event named; -1 for none."""
        if usage.kind == "loss":
            self._note_loss(workspace, usage, booking)
            return
        run = workspace.run(usage.session, usage.agent)
        route = workspace.route(run, usage)
        if run.revision != workspace.revision or (
            usage.parent_session and usage.session and not run.parent
        ):
            workspace.settle_run(run, usage.parent_session)
        if route.revision != workspace.revision:
            self._settle(workspace, route)
        booking.clamped = is_inconsistent(usage)
        self.pricer.price(workspace, run, route, usage, booking, explicit_pico)
        self.lines.add(usage, booking)
        tokens = usage.input_tokens + usage.output_tokens
        self._add(route, usage, booking)
        cost, calls, at_ms = booking.cost_pico, route.calls, booking.booked_ms
        self._spend(route.purses, cost, tokens, calls, at_ms)
        self._spend(run.purses, cost, tokens, calls, at_ms)
        if workspace.has_mixed:
            self._spend(workspace.mixed_purses(run, route), cost, tokens, calls, at_ms)
        run.tokens += tokens
        run.calls += calls
        self._watch(workspace, run, route, usage, booking)

    def _settle(self, workspace: Workspace, route: Route) -> None:
        workspace.settle_route(route)
        if route.model and not route.context_window:
            catalogue = self.pricer.prices.catalogue
            window = catalogue.context_window(route.provider or None, route.model)
            route.context_window = window

    def _note_loss(self, workspace: Workspace, usage: Usage, booking: Booking) -> None:
        """What a producer dropped is written down; it costs nothing and belongs to no run."""
        booking.clamped = booking.waits = False
        booking.cost_pico, booking.state = 0, "free"
        booking.head = charge_head(usage, self.moment.partition) + FREE
        self.lines.add(usage, booking)
        if not workspace.lanes:
            self.sweeper.close_if_empty(workspace)

    def _add(self, route: Route, usage: Usage, booking: Booking) -> None:
        """Adds an event to its minute."""
        minute = self._minute(route.lane, booking.booked_ms)
        minute.cost += booking.cost_pico
        minute.calls += route.calls
        minute.events += 1
        minute.input += usage.input_tokens
        minute.output += usage.output_tokens
        minute.cache_read += usage.cache_read_tokens
        minute.cache_write += usage.cache_write_tokens
        if booking.waits:
            minute.unpriced += 1

    def correct(self, workspace: Workspace, run: Run, route: Route, booking: Booking) -> None:
        """Adds a difference in money for an event that was booked without a price, or as free."""
        at_ms, now_ms = booking.booked_ms, self.moment.time_ms
        # First: the route's lane may have left since it was looked up.
        purses: list[Purse] = []
        for purse in workspace.purses_of(run, route):
            if purse.takes(booking.cost_pico, at_ms, now_ms):
                purses.append(purse)
            else:
                self.sweeper.hollow.add(purse)
        minute = self._minute(route.lane, at_ms)
        minute.cost += booking.cost_pico
        if run.last_ms and _is_watched(run, at_ms):
            run.watch.spent_pico += booking.cost_pico
            self.changes.touch(run)
        if booking.waits:
            minute.unpriced -= 1
            for purse in purses:
                account = purse.at(at_ms)
                if account is not None and account.unpriced:
                    account.unpriced -= 1
        self._spend(purses, booking.cost_pico, 0, 0, at_ms)

    def _spend(self, purses: list[Purse], cost: int, tokens: int, calls: int, at_ms: int) -> None:
        """Adds an amount to accounts, and judges them."""
        for purse in purses:
            account = purse.current
            if account is None or not purse.start_ms <= at_ms < purse.end_ms:
                account = purse.find(at_ms)
                if account is None:
                    self.sweeper.hollow.add(purse)
                    continue
            account.add(cost, tokens, calls, at_ms)
            self.keep(account)
            if account.amount() >= account.next_mark:
                self.judge(account)
            elif account.fired and account.rule.rolling_ms:
                self._prolong(account)

    def keep(self, account: Account) -> None:
        now_ms = self.moment.time_ms
        if not account.dirty:
            self.changes.touch(account)
        if account.touched_ms // HOUR_MS != now_ms // HOUR_MS:
            self.sweeper.keep_account(account, now_ms)
        account.touched_ms = now_ms

    def judge(self, account: Account) -> None:
        """Fires the thresholds that an account has reached, in order."""
        now_ms = self.moment.time_ms
        idle_end_ms = now_ms + SESSION_IDLE_MS
        while percent := account.cross():
            self.verdicts.decide(
                budget_decision(account, percent, self.moment, idle_end_ms),
                account.lapses_ms(percent, idle_end_ms),
                now_ms,
            )

    def _prolong(self, account: Account) -> None:
        """What is spent while a rolling window is blocked moves the end of its block."""
        rule, now_ms = account.rule, self.moment.time_ms
        percent = rule.percents[account.fired - 1]
        held = self.verdicts.stands(rule.workspace, account.subject, rule.name, now_ms)
        if held is None or held.action != "block" or rule.action_at(percent) != "block":
            return
        lapses_ms = account.lapses_ms(percent, now_ms)
        if held.expires_at is not None and lapses_ms > parse_ms(held.expires_at):
            decision = budget_decision(account, percent, self.moment, now_ms)
            self.verdicts.decide(decision, lapses_ms, now_ms)

    def _minute(self, lane: Lane, booked_ms: int) -> Minute:
        number = booked_ms // MINUTE_MS
        minute = lane.current
        if minute is None or lane.current_minute != number:
            minute = lane.minutes.get(number)
            if minute is None:
                self.sweeper.crowds.enter(MINUTES)
                moment = self.moment
                # A correction is booked at its own place in the log: under the offset of its
                # event it would take the place of what that had opened.
                minute = Minute(lane, number, moment.offset, moment.partition, moment.generation)
                lane.minutes[number] = minute
            lane.current, lane.current_minute = minute, number
        if not minute.dirty:
            self.changes.touch(minute)
        log_minute = self.moment.time_ms // MINUTE_MS
        if minute.touched != log_minute:
            minute.touched = log_minute
            self.sweeper.keep_minute(minute)
        return minute

    def _watch(
        self, workspace: Workspace, run: Run, route: Route, usage: Usage, booking: Booking
    ) -> None:
        norm, now_ms = route.norm, self.moment.time_ms
        if not run.dirty:
            self.changes.touch(run)
        if not norm.dirty:
            if norm.slot < 0:
                norm = route.norm = workspace.norm(usage.agent)
                self.sweeper.keep_norm(norm, now_ms)
            self.changes.touch(norm)
        norm.last_ms = now_ms
        if run.last_ms // MINUTE_MS != now_ms // MINUTE_MS:
            self.sweeper.keep_run(run, now_ms)
            self.sweeper.keep_norm(norm, now_ms)
        run.last_ms = now_ms
        sightings = observe(
            run.watch,
            workspace.profile,
            norm.norm,
            usage,
            booking.booked_ms,
            booking.cost_pico,
            route.context_window,
        )
        if sightings is not None:
            for sighting in sightings:
                report(self.verdicts, self.moment, usage, sighting, booking.booked_ms)
        if usage.kind == "outcome":
            self.sweeper.finish(workspace, run)


def _is_watched(run: Run, booked_ms: int) -> bool:
    """Whether the detectors count an earlier event to what they know of a run.

    Without a session that begins anew after a pause: what may lie before it is none of its spend.
    """
    if run.session:
        return True
    return run.watch.events > 0 and booked_ms > run.last_ms - RUN_IDLE_MS
