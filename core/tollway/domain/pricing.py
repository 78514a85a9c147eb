"""What an event costs, and what happens to one that has no price."""

from typing import Final

from tollway.contract.control import Decision
from tollway.contract.moments import format_ms
from tollway.contract.subjects import Subject
from tollway.domain.calendar import FOREVER_MS
from tollway.domain.charging import Booking, price_part
from tollway.domain.crowding import PENDING, Crowds
from tollway.domain.free_calls import FreeCalls
from tollway.domain.prices import BEGINNING_MS, END_MS, PriceBook, Rates
from tollway.domain.routes import Priced, Route
from tollway.domain.runs import Run
from tollway.domain.stateful import Changes
from tollway.domain.usage import Usage
from tollway.domain.verdicts import Moment, Verdicts, identity
from tollway.domain.waiting import Pending, Unpriced
from tollway.domain.workspaces import Workspace

__all__ = ["TOOL", "Pricer"]

# Prices of one workspace held at hand; past that they are looked up anew.
MAX_PRICED: Final = 10_000

EXPLICIT: Final = price_part("explicit", "event", "")
TOOL: Final = price_part("priced", "tool", "")
UNPRICED: Final = price_part("unpriced", "", "")


class Pricer:
    """Prices events of all workspaces of a partition, at the time at which they are booked."""

    __slots__ = ("changes", "crowds", "free", "moment", "prices", "verdicts")

    def __init__(
        self,
        changes: Changes,
        verdicts: Verdicts,
        prices: PriceBook,
        moment: Moment,
        crowds: Crowds,
    ) -> None:
        self.changes = changes
        self.crowds = crowds
        self.verdicts = verdicts
        self.prices = prices
        self.moment = moment
        self.free = FreeCalls(changes, moment, crowds)

    def price(
        self,
        workspace: Workspace,
        run: Run,
        route: Route,
        usage: Usage,
        booking: Booking,
        explicit_pico: int,
    ) -> None:
        """Sets what the event costs and why. `explicit_pico` is the price it named; -1 for none."""
        booking.waits = False
        if explicit_pico >= 0:
            booking.cost_pico, booking.state = explicit_pico, "explicit"
            booking.head = route.head + EXPLICIT
            return
        revision: int = self.prices.revision
        if route.book_revision != revision:
            route.forget_prices(revision)
        if route.prices_tool and self._price_tool(workspace, route, usage, booking):
            return
        if usage.kind != "llm" and (usage.kind == "outcome" or not usage.model):
            booking.cost_pico, booking.state, booking.head = 0, "free", route.free_head
            if route.prices_tool:
                self.free.remember(usage.event, booking.booked_ms)
            return
        at_ms = booking.booked_ms
        priced = route.priced
        if priced is None or not priced.from_ms <= at_ms < priced.to_ms:
            priced = self._look_up(workspace, usage, at_ms)
            route.price_by(priced)
        rates = priced.rates
        if rates is None or not rates.covers(usage):
            # Without a rate for a part of what was used, the rest is no price.
            self._park(workspace, run, route, usage, booking)
            return
        booking.cost_pico, booking.state = rates.cost_pico(usage), "priced"
        booking.head = route.priced_head

    def _price_tool(
        self, workspace: Workspace, route: Route, usage: Usage, booking: Booking
    ) -> bool:
        """Whether the tool has a price of its own."""
        if not route.tool_from <= booking.booked_ms < route.tool_to:
            self._look_up_tool(workspace, route, usage, booking.booked_ms)
        if route.tool_cost < 0:
            return False
        booking.cost_pico, booking.state = route.tool_cost, "priced"
        booking.head = route.head + TOOL
        return True

    def _look_up(self, workspace: Workspace, usage: Usage, at_ms: int) -> Priced:
        """Routes are many, models few: prices are held by the workspace too."""
        prices = self.prices
        if workspace.priced_revision != prices.revision:
            workspace.priced_revision = prices.revision
            workspace.priced.clear()
        key = (usage.provider, usage.model, usage.service_tier)
        priced = workspace.priced.get(key)
        if priced is None or not priced.from_ms <= at_ms < priced.to_ms:
            provider = usage.provider or None
            rates = prices.rates_for(
                workspace.name, provider, usage.model, usage.service_tier or None, at_ms
            )
            if len(workspace.priced) >= MAX_PRICED:
                workspace.priced.clear()
            priced = workspace.priced[key] = self._priced(workspace, usage, rates, at_ms)
        return priced

    def _priced(
        self, workspace: Workspace, usage: Usage, rates: Rates | None, at_ms: int
    ) -> Priced:
        if rates is not None:
            return Priced(rates, rates.valid_from_ms, rates.valid_to_ms)
        if self.prices.knows(workspace.name, usage.provider or None, usage.model):
            # That there is no price holds for this moment alone: a dated one may begin.
            return Priced(None, at_ms, at_ms + 1)
        return Priced(None, BEGINNING_MS, END_MS)

    def _look_up_tool(self, workspace: Workspace, route: Route, usage: Usage, at_ms: int) -> None:
        connection = usage.connection or None
        found = self.prices.tool_cost(workspace.name, usage.tool, connection, at_ms)
        if found is not None:
            route.tool_cost, route.tool_from, route.tool_to = found
            return
        route.tool_cost = -1
        route.tool_from, route.tool_to = at_ms, at_ms + 1
        if not self.prices.has_tool_prices(workspace.name):
            route.tool_from, route.tool_to = BEGINNING_MS, END_MS

    def _park(
        self, workspace: Workspace, run: Run, route: Route, usage: Usage, booking: Booking
    ) -> None:
        """No price: never free, but `unpriced` until there is one, as the policy says."""
        booking.cost_pico, booking.state, booking.head = 0, "unpriced", route.head + UNPRICED
        booking.waits = True
        mode = workspace.policy.unpriced
        if mode == "conservative":
            rates = self.prices.catalogue.dearest(usage.provider or None, booking.booked_ms)
            if rates is not None:
                booking.cost_pico, booking.state = rates.cost_pico(usage), "conservative"
                part = price_part("conservative", rates.source, rates.version)
                booking.head = route.head + part
        if self.crowds.is_over(PENDING):
            # Its charge is written all the same, and no later price corrects it.
            self.crowds.note(PENDING, 1)
        else:
            self._keep(workspace, run, route, usage, booking)
        if mode == "block":
            self._block_unpriced(workspace, usage)

    def _keep(
        self, workspace: Workspace, run: Run, route: Route, usage: Usage, booking: Booking
    ) -> None:
        """Keeps an event so that a later price can charge it."""
        key = (usage.provider, usage.model)
        unpriced = workspace.unpriced.get(key)
        if unpriced is None:
            unpriced = Unpriced(workspace.name, *key, since_ms=booking.booked_ms)
            workspace.unpriced[key] = unpriced
        unpriced.events += 1
        self.changes.touch(unpriced)
        self.crowds.add(PENDING)
        waiting = Pending(usage.event, booking.booked_ms, booking.offset, booking.cost_pico)
        unpriced.waiting.append(waiting)
        self.changes.touch(waiting)
        for account in workspace.accounts_at(run, route, booking.booked_ms):
            account.unpriced += 1

    def _block_unpriced(self, workspace: Workspace, usage: Usage) -> None:
        subject: Subject = {"model": usage.model}
        if usage.provider:
            subject["provider"] = usage.provider
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
                    f"model {usage.model!r} of provider {usage.provider or None!r} has no price;"
                    " set one with `tollway price set`"
                ),
                cause=moment.cause(),
                version=moment.version(),
                issued_at=format_ms(moment.time_ms),
            ),
            FOREVER_MS,
            moment.time_ms,
        )
