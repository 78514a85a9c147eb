"""Books one new event: prices it, adds it to its minute and accounts, and lets the rules look."""

from typing import Final

from tollway.contract.control import Decision, Finding
from tollway.contract.moments import format_ms, parse_ms
from tollway.contract.subjects import Subject
from tollway.contract.usage import UsageEvent
from tollway.domain.budgets import Account
from tollway.domain.calendar import FOREVER_MS, HOUR_MS, MINUTE_MS
from tollway.domain.charging import Booking, charge_head, charge_line, price_part
from tollway.domain.detectors import Sighting, observe
from tollway.domain.leaving import SESSION_IDLE_MS, Sweeper
from tollway.domain.prices import BEGINNING_MS, END_MS, PriceBook, Rates, is_inconsistent
from tollway.domain.spend import Lane, LaneKey, Minute
from tollway.domain.stateful import Changes
from tollway.domain.verdicts import Moment, Verdicts, budget_decision, identity
from tollway.domain.workspaces import AgentNorm, Pending, Priced, Route, Run, Unpriced, Workspace

__all__ = ["MAX_PENDING", "MAX_ROUTES", "Booker"]

# Routes of one workspace held at hand; past that they are looked up anew.
MAX_ROUTES = 100_000
# Events without a price kept for a later one, in a partition. Past that the charge is still
# written and counted as unpriced, and is re-priced from the table of charges.
MAX_PENDING = 100_000
# How long a detector's block stands unless it is lifted.
DETECTOR_BLOCK_MS = 3_600_000


_EXPLICIT: Final = price_part("explicit", "event", "")
_FREE: Final = price_part("free", "", "")
_TOOL: Final = price_part("priced", "tool", "")
_UNPRICED: Final = price_part("unpriced", "", "")


class Booker:
    """Books events of all workspaces of a partition."""

    __slots__ = (
        "changes",
        "generation",
        "lines",
        "moment",
        "partition",
        "pending",
        "prices",
        "sweeper",
        "verdicts",
    )

    def __init__(
        self,
        changes: Changes,
        verdicts: Verdicts,
        prices: PriceBook,
        sweeper: Sweeper,
        moment: Moment,
        lines: list[str],
    ) -> None:
        self.changes = changes
        self.verdicts = verdicts
        self.prices = prices
        self.sweeper = sweeper
        self.moment = moment
        self.lines = lines
        self.partition = moment.partition
        # How many events wait for a price.
        self.pending = 0

    def book(
        self, workspace: Workspace, event: UsageEvent, booking: Booking, explicit_pico: int
    ) -> None:
        """`explicit_pico` is the price the event named; -1 for none."""
        if event.kind == "loss":
            self._note_loss(event, booking)
            return
        route = self.route(workspace, event)
        booking.clamped = is_inconsistent(event)
        if explicit_pico >= 0:
            booking.cost_pico, booking.state = explicit_pico, "explicit"
            booking.price_text = _EXPLICIT
        else:
            self._price(workspace, route, event, booking)
        tokens = event.input_tokens + event.output_tokens
        self.lines.append(charge_line(route.head, event, booking))
        self._add(route, event, booking, tokens)
        self._watch(workspace, route, event, booking, tokens)

    def _note_loss(self, event: UsageEvent, booking: Booking) -> None:
        """What a producer dropped is written down; it costs nothing and belongs to no run."""
        booking.clamped = False
        booking.cost_pico, booking.state, booking.price_text = 0, "free", _FREE
        self.lines.append(charge_line(charge_head(event, self.partition), event, booking))

    def route(self, workspace: Workspace, event: UsageEvent) -> Route:
        key = (
            event.agent,
            event.session,
            event.model,
            event.tool,
            event.kind,
            event.provider,
            event.connection,
            event.user,
            event.customer,
            event.service_tier,
            event.source,
            event.parent_session,
        )
        route = workspace.routes.get(key)
        if route is None:
            route = self._open_route(workspace, event)
            if len(workspace.routes) >= MAX_ROUTES:
                workspace.routes.clear()
            workspace.routes[key] = route
        return route

    def _open_route(self, workspace: Workspace, event: UsageEvent) -> Route:
        session = event.session or ""
        dimensions = (
            event.agent,
            event.provider or "",
            event.model or "",
            event.connection or "",
            event.tool or "",
            event.user or "",
            event.customer or "",
        )
        run = self.run(workspace, session, event.agent)
        workspace.learn_parent(run, event.parent_session or "")
        route = Route(
            self.lane(workspace, dimensions),
            run,
            self._norm(workspace, event.agent),
            charge_head(event, self.partition),
        )
        agent, provider, model, connection, tool, user, customer = dimensions
        values = {
            "agent": agent,
            "session": session,
            "connection": connection,
            "user": user,
            "customer": customer,
            "provider": provider,
            "model": model,
            "tool": tool,
        }
        route.purses = workspace.purses_of(values, self.partition)
        route.calls = 1 if event.kind in {"llm", "tool"} else 0
        if model:
            route.context_window = self.prices.catalogue.context_window(event.provider, model)
        return route

    def lane(self, workspace: Workspace, dimensions: LaneKey) -> Lane:
        lane = workspace.lanes.get(dimensions)
        if lane is None:
            lane = Lane(workspace.name, dimensions)
            workspace.lanes[dimensions] = lane
        return lane

    def run(self, workspace: Workspace, session: str, agent: str) -> Run:
        run = workspace.runs.get((session, agent))
        if run is None:
            run = Run(workspace.name, session, agent)
            workspace.runs[(session, agent)] = run
        return run

    def _norm(self, workspace: Workspace, agent: str) -> AgentNorm:
        norm = workspace.norms.get(agent)
        if norm is None:
            norm = AgentNorm(workspace.name, agent)
            workspace.norms[agent] = norm
        return norm

    def _price(
        self, workspace: Workspace, route: Route, event: UsageEvent, booking: Booking
    ) -> None:
        """Sets what the event costs and why, from the prices at its booked time."""
        at_ms = booking.booked_ms
        prices = self.prices
        if route.book_revision != prices.revision:
            route.book_revision = prices.revision
            route.rates_to = route.tool_to = 0
        booking.cost_pico = 0
        booking.state = "free"
        booking.price_text = _FREE
        if event.kind == "tool" and event.tool is not None:
            if not route.tool_from <= at_ms < route.tool_to:
                self._look_up_tool(workspace, route, event, at_ms)
            if route.tool_cost >= 0:
                booking.cost_pico, booking.state = route.tool_cost, "priced"
                booking.price_text = _TOOL
                return
        if event.kind == "outcome" or (event.kind == "tool" and not event.model):
            return
        if not route.rates_from <= at_ms < route.rates_to:
            self._look_up_rates(workspace, route, event, at_ms)
        rates = route.rates
        if rates is None or not rates.covers(event):
            # Without a rate for a part of what was used, the rest is no price.
            self._park(workspace, route, event, booking)
            return
        booking.cost_pico, booking.state = rates.cost_pico(event), "priced"
        booking.price_text = route.price_text

    def _look_up_rates(
        self, workspace: Workspace, route: Route, event: UsageEvent, at_ms: int
    ) -> None:
        """Routes are many, models few: prices are held by the workspace too."""
        prices = self.prices
        if workspace.priced_revision != prices.revision:
            workspace.priced_revision = prices.revision
            workspace.priced.clear()
        key = (event.provider, event.model or "", event.service_tier)
        priced = workspace.priced.get(key)
        if priced is None or not priced.from_ms <= at_ms < priced.to_ms:
            rates = prices.rates_for(workspace.name, *key, at_ms)
            if len(workspace.priced) >= MAX_ROUTES:
                workspace.priced.clear()
            priced = workspace.priced[key] = self._priced(workspace, event, rates, at_ms)
        route.rates, route.rates_from, route.rates_to = priced.rates, priced.from_ms, priced.to_ms
        route.price_text = priced.price_text

    def _priced(
        self, workspace: Workspace, event: UsageEvent, rates: Rates | None, at_ms: int
    ) -> Priced:
        if rates is not None:
            return Priced(rates, rates.valid_from_ms, rates.valid_to_ms)
        if self.prices.knows(workspace.name, event.provider, event.model or ""):
            # That there is no price holds for this moment alone: a dated one may begin.
            return Priced(None, at_ms, at_ms + 1)
        return Priced(None, BEGINNING_MS, END_MS)

    def _look_up_tool(
        self, workspace: Workspace, route: Route, event: UsageEvent, at_ms: int
    ) -> None:
        found = self.prices.tool_cost(workspace.name, event.tool or "", event.connection, at_ms)
        if found is None:
            route.tool_cost = -1
            route.tool_from, route.tool_to = at_ms, at_ms + 1
            if not self.prices.has_tool_prices(workspace.name):
                route.tool_from, route.tool_to = BEGINNING_MS, END_MS
        else:
            route.tool_cost, route.tool_from, route.tool_to = found

    def _park(
        self, workspace: Workspace, route: Route, event: UsageEvent, booking: Booking
    ) -> None:
        """No price: never free, but `unpriced` until there is one, as the policy says."""
        booking.state = "unpriced"
        booking.price_text = _UNPRICED
        mode = workspace.policy.unpriced
        if mode == "conservative":
            rates = self.prices.catalogue.dearest(event.provider, booking.booked_ms)
            if rates is not None:
                booking.cost_pico, booking.state = rates.cost_pico(event), "conservative"
                booking.price_text = price_part("conservative", rates.source, rates.version)
        key = (event.provider or "", event.model or "")
        unpriced = workspace.unpriced.get(key)
        if unpriced is None:
            unpriced = Unpriced(workspace.name, *key, since_ms=booking.booked_ms)
            workspace.unpriced[key] = unpriced
        unpriced.events += 1
        self.changes.touch(unpriced)
        if self.pending < MAX_PENDING:
            self.pending += 1
            waiting = Pending(event, booking.booked_ms, booking.offset, booking.cost_pico)
            unpriced.waiting.append(waiting)
            self.changes.touch(waiting)
            for account in route.accounts_at(booking.booked_ms):
                account.unpriced += 1
        if mode == "block":
            self._block_unpriced(workspace, event)

    def _block_unpriced(self, workspace: Workspace, event: UsageEvent) -> None:
        subject: Subject = {"model": event.model or ""}
        if event.provider:
            subject["provider"] = event.provider
        moment = self.moment
        if self.verdicts.stands(workspace.name, subject, "unpriced", moment.time_ms):
            return
        self.verdicts.decide(
            Decision(
                id=identity(workspace.name, sorted(subject.items()), *moment.version()),
                workspace=workspace.name,
                subject=subject,
                rule="unpriced",
                action="block",
                reason="unpriced_model",
                message=(
                    f"model {event.model!r} of provider {event.provider!r} has no price;"
                    " set one with `tollway price set`"
                ),
                cause=moment.cause(),
                version=moment.version(),
                issued_at=format_ms(moment.time_ms),
            ),
            FOREVER_MS,
            moment.time_ms,
        )

    def _add(self, route: Route, event: UsageEvent, booking: Booking, tokens: int) -> None:
        """Adds an event to its minute and to all accounts."""
        minute = self._minute(route.lane, booking)
        minute.cost += booking.cost_pico
        minute.calls += route.calls
        minute.events += 1
        minute.input += event.input_tokens
        minute.output += event.output_tokens
        minute.cache_read += event.cache_read_tokens
        minute.cache_write += event.cache_write_tokens
        if booking.state == "unpriced" or booking.state == "conservative":
            minute.unpriced += 1
        self._spend(route, booking.cost_pico, tokens, route.calls, booking.booked_ms)

    def correct(self, route: Route, booking: Booking) -> None:
        """Adds a difference in money for an event that was booked without a price."""
        minute = self._minute(route.lane, booking)
        minute.cost += booking.cost_pico
        minute.unpriced -= 1
        run = route.run
        if run.last_ms:
            run.watch.spent_pico += booking.cost_pico
            self.changes.touch(run)
        for account in route.accounts_at(booking.booked_ms):
            account.unpriced -= 1 if account.unpriced else 0
        self._spend(route, booking.cost_pico, 0, 0, booking.booked_ms)

    def _spend(self, route: Route, cost: int, tokens: int, calls: int, at_ms: int) -> None:
        """Adds an amount to the accounts that a route touches, and judges them."""
        for purse in route.purses:
            account = purse.current
            if account is None or not purse.start_ms <= at_ms < purse.end_ms:
                account = purse.find(at_ms)
                if account is None:
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

    def _minute(self, lane: Lane, booking: Booking) -> Minute:
        number = booking.booked_ms // MINUTE_MS
        minute = lane.current
        if minute is None or lane.current_minute != number:
            minute = lane.minutes.get(number)
            if minute is None:
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
        self, workspace: Workspace, route: Route, event: UsageEvent, booking: Booking, tokens: int
    ) -> None:
        run = route.run
        run.tokens += tokens
        run.calls += route.calls
        norm = route.norm
        if not run.dirty:
            self.changes.touch(run)
        if not norm.dirty:
            self.changes.touch(norm)
        norm.last_ms = self.moment.time_ms
        if run.last_ms // MINUTE_MS != self.moment.time_ms // MINUTE_MS:
            self.sweeper.keep_run(run, self.moment.time_ms)
        run.last_ms = self.moment.time_ms
        sightings = observe(
            run.watch,
            workspace.profile,
            norm.norm,
            event,
            booking.booked_ms,
            booking.cost_pico,
            route.context_window,
        )
        if sightings is not None:
            for sighting in sightings:
                self._report(workspace, event, sighting, booking.booked_ms)
        if event.kind == "outcome":
            self.sweeper.finish(workspace, run)

    def _report(
        self, workspace: Workspace, event: UsageEvent, sighting: Sighting, booked_ms: int
    ) -> None:
        if not event.session and sighting.detector == "budget_exceeded":
            # Events without a session are no run, so they have no run's budget.
            return
        moment = self.moment
        subject: Subject = {"agent": event.agent}
        if event.session:
            subject["session"] = event.session
        version = moment.version()
        self.verdicts.made.append(
            Finding(
                id=identity(workspace.name, sighting.detector, sighting.level, event.id, *version),
                detector=sighting.detector,
                level="block" if sighting.level == "block" else "warn",
                workspace=workspace.name,
                agent=event.agent,
                session=event.session,
                step=event.step,
                event_id=event.id,
                message=sighting.message,
                evidence=sighting.evidence,
                # As it is booked, in UTC: the event's own may be in any zone, or of a wrong clock.
                time=format_ms(booked_ms),
                cause=moment.cause(),
                version=version,
            )
        )
        # A run that is over its budget stays so; other patterns may pass.
        over = sighting.detector == "budget_exceeded"
        expires_ms = moment.time_ms + (SESSION_IDLE_MS if over else DETECTOR_BLOCK_MS)
        rule = f"detector:{sighting.detector}"
        self.verdicts.decide(
            Decision(
                id=identity(workspace.name, rule, sighting.level, event.id, *version),
                workspace=workspace.name,
                subject=subject,
                rule=rule,
                action="block" if sighting.level == "block" else "warn",
                reason=sighting.detector,
                message=sighting.message,
                expires_at=format_ms(expires_ms),
                cause=moment.cause(),
                version=version,
                issued_at=format_ms(moment.time_ms),
            ),
            expires_ms,
            moment.time_ms,
        )
