"""A later price for what had none: adjustment charges, booked when the events happened."""

from tollway.contract.control import Decision
from tollway.contract.ledger_entries import FreeCall
from tollway.contract.moments import format_ms
from tollway.domain.backfill import recount, standing_in
from tollway.domain.calendar import FOREVER_MS
from tollway.domain.charging import Booking, price_part
from tollway.domain.crowding import PENDING
from tollway.domain.ledger import HORIZON_MS, Ledger
from tollway.domain.pricing import TOOL
from tollway.domain.usage import Usage
from tollway.domain.verdicts import lift
from tollway.domain.waiting import Pending, Unpriced
from tollway.domain.workspaces import Workspace

__all__ = ["reprice", "reprice_tool"]


def reprice(ledger: Ledger, workspace: Workspace) -> None:
    """Charges the difference for each waiting event that has a price by now."""
    for key in sorted(workspace.unpriced):
        unpriced = workspace.unpriced[key]
        _settle(ledger, workspace, unpriced, unpriced.waiting)
        _allow(ledger, workspace, unpriced)
    for held in standing_in(ledger, workspace):
        if held.rule == "unpriced":
            _allow_unkept(ledger, workspace, held)
    recount(ledger, workspace)


def reprice_tool(ledger: Ledger, workspace: Workspace, tool: str) -> None:
    """Charges the calls of a tool that were free until now, or wait for the price of a model.

    What was charged by a price keeps it. Left alone is what no event may be booked with any more:
    accounts that it counted for may have left.
    """
    for key in sorted(workspace.unpriced):
        unpriced = workspace.unpriced[key]
        calls = [p for p in unpriced.waiting if p.event.kind == "tool" and p.event.tool == tool]
        if _settle(ledger, workspace, unpriced, calls):
            _allow(ledger, workspace, unpriced)
    oldest_ms = ledger.log_ms - HORIZON_MS

    def is_due(call: FreeCall) -> bool:
        connection, at_ms = call.event.connection or None, call.booked_ms
        price = ledger.prices.tool_cost(workspace.name, tool, connection, at_ms)
        return price is not None and at_ms >= oldest_ms

    for call in ledger.pricer.free.take(workspace.name, tool, is_due):
        _adjust(ledger, workspace, Pending(call.event, call.booked_ms, call.offset, 0), False)
    recount(ledger, workspace)


def _settle(
    ledger: Ledger, workspace: Workspace, unpriced: Unpriced, waiting: list[Pending]
) -> int:
    """Charges those of `waiting` that have a price by now; how many those are."""
    priced = [pending for pending in waiting if _adjust(ledger, workspace, pending, True)]
    if not priced:
        return 0
    settled = set(priced)
    unpriced.waiting = [pending for pending in unpriced.waiting if pending not in settled]
    unpriced.events -= len(priced)
    ledger.crowds.leave(PENDING, len(priced))
    for pending in priced:
        ledger.changes.drop(pending)
    if unpriced.waiting:
        ledger.changes.touch(unpriced)
    else:
        del workspace.unpriced[(unpriced.provider, unpriced.model)]
        ledger.changes.drop(unpriced)
    return len(priced)


def _price(ledger: Ledger, workspace: Workspace, pending: Pending) -> tuple[int, bytes] | None:
    """What an event costs by now, and how its charge says so; as when it was booked."""
    event, at_ms = pending.event, pending.booked_ms
    if event.kind == "tool" and event.tool:
        connection = event.connection or None
        found = ledger.prices.tool_cost(workspace.name, event.tool, connection, at_ms)
        if found is not None:
            return found[0], TOOL
    rates = ledger.prices.rates_for(
        workspace.name, event.provider or None, event.model or "", event.service_tier, at_ms
    )
    usage = Usage(event)
    if rates is None or not rates.covers(usage):
        return None
    return rates.cost_pico(usage), price_part("priced", rates.source, rates.version)


def _adjust(ledger: Ledger, workspace: Workspace, pending: Pending, waited: bool) -> bool:
    """Charges the difference to what an event costs by now; False where it has no price yet."""
    price = _price(ledger, workspace, pending)
    if price is None:
        return False
    cost, part = price
    if not waited and not cost:
        return True
    usage = Usage(pending.event)
    booking = Booking()
    booking.offset = pending.offset
    booking.booked_ms = pending.booked_ms
    booking.log_text = format_ms(ledger.log_ms)
    booking.cost_pico = cost - pending.cost
    booking.state = "priced"
    booking.waits = waited
    run = workspace.run(usage.session, usage.agent)
    workspace.settle_run(run, usage.parent_session)
    route = workspace.route(run, usage)
    ledger.booker.correct(workspace, run, route, booking)
    if not run.last_ms:
        # Its run has left; a correction does not bring it back.
        workspace.forget_run(run)
    adjustment_id = f"{pending.event.id}#price@{ledger.commands_offset}"
    booking.head = route.head + part
    ledger.charge_lines.adjust(usage, booking, adjustment_id)
    return True


def _allow(ledger: Ledger, workspace: Workspace, unpriced: Unpriced) -> None:
    """A model that has a price by now is allowed, also where events before that price wait."""
    subject = {"model": unpriced.model}
    if unpriced.provider:
        subject["provider"] = unpriced.provider
    held = ledger.verdicts.stands(workspace.name, subject, "unpriced", ledger.log_ms)
    if held is None or (unpriced.events and not _has_price(ledger, workspace, unpriced)):
        return
    message = f"model {unpriced.model!r} has a price now"
    ledger.verdicts.decide(lift(held, message, ledger.moment), FOREVER_MS, ledger.log_ms)


def _allow_unkept(ledger: Ledger, workspace: Workspace, held: Decision) -> None:
    """As `_allow`, of a model of which there were too many events to keep one."""
    provider, model = held.subject.get("provider", ""), held.subject["model"]
    unkept = Unpriced(workspace.name, provider, model, 0)
    if (provider, model) not in workspace.unpriced and _has_price(ledger, workspace, unkept):
        message = f"model {model!r} has a price now"
        ledger.verdicts.decide(lift(held, message, ledger.moment), FOREVER_MS, ledger.log_ms)


def _has_price(ledger: Ledger, workspace: Workspace, unpriced: Unpriced) -> bool:
    rates = ledger.prices.rates_for(
        workspace.name, unpriced.provider or None, unpriced.model, None, ledger.log_ms
    )
    if rates is None:
        return False
    return not unpriced.waiting or rates.covers(Usage(unpriced.waiting[-1].event))
