"""A later price for what had none: adjustment charges, booked when the events happened."""

from tollway.contract.moments import format_ms
from tollway.domain.backfill import recount
from tollway.domain.calendar import FOREVER_MS
from tollway.domain.charging import Booking, price_part
from tollway.domain.ledger import Ledger
from tollway.domain.usage import Usage
from tollway.domain.verdicts import lift
from tollway.domain.waiting import Pending, Unpriced
from tollway.domain.workspaces import Workspace

__all__ = ["reprice"]


def reprice(ledger: Ledger, workspace: Workspace) -> None:
    """Charges the difference for each waiting event that has a price by now."""
    for key, unpriced in sorted(workspace.unpriced.items()):
        still: list[Pending] = []
        for pending in unpriced.waiting:
            if not _adjust(ledger, workspace, pending):
                still.append(pending)
        priced = len(unpriced.waiting) - len(still)
        ledger.pricer.pending -= priced
        unpriced.waiting = still
        unpriced.events -= priced
        if unpriced.events == 0:
            del workspace.unpriced[key]
            ledger.changes.drop(unpriced)
        elif priced:
            ledger.changes.touch(unpriced)
        _allow(ledger, workspace, unpriced)
    recount(ledger, workspace)


def _adjust(ledger: Ledger, workspace: Workspace, pending: Pending) -> bool:
    event = pending.event
    rates = ledger.prices.rates_for(
        workspace.name, event.provider, event.model or "", event.service_tier, pending.booked_ms
    )
    usage = Usage(event)
    if rates is None or not rates.covers(usage):
        return False
    booking = Booking()
    booking.offset = pending.offset
    booking.booked_ms = pending.booked_ms
    booking.log_text = format_ms(ledger.log_ms)
    booking.cost_pico = rates.cost_pico(usage) - pending.cost
    booking.state = "priced"
    run = workspace.run(usage.session, usage.agent)
    workspace.settle_run(run, usage.parent_session)
    route = workspace.route(run, usage)
    ledger.booker.correct(workspace, run, route, booking)
    if not run.last_ms:
        # Its run has left; a correction does not bring it back.
        workspace.forget_run(run)
    adjustment_id = f"{event.id}#price@{ledger.commands_offset}"
    booking.head = route.head + price_part("priced", rates.source, rates.version)
    ledger.charge_lines.adjust(usage, booking, adjustment_id)
    ledger.changes.drop(pending)
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


def _has_price(ledger: Ledger, workspace: Workspace, unpriced: Unpriced) -> bool:
    rates = ledger.prices.rates_for(
        workspace.name, unpriced.provider or None, unpriced.model, None, ledger.log_ms
    )
    if rates is None:
        return False
    return not unpriced.waiting or rates.covers(Usage(unpriced.waiting[-1].event))
