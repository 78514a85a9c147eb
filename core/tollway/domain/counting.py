"""What a ledger counts, for its owner's figures and for the audit."""

from typing import Final

from tollway.contract.usage import UsageEvent
from tollway.domain.charging import Booking

__all__ = ["COUNTS", "count_odd"]

COUNTS: Final = (
    "events",
    "duplicates",
    "dead_letters",
    "late",
    "skewed",
    "clamped",
    "unpriced",
    "lost",
    "missing",
    "misrouted",
)


def count_odd(counts: dict[str, int], event: UsageEvent, booking: Booking) -> None:
    """Counts what few events are: late, skewed, without a price, or telling of lost ones."""
    if booking.late:
        counts["late"] += 1
    if booking.skewed:
        counts["skewed"] += 1
    if booking.clamped:
        counts["clamped"] += 1
    if booking.waits:
        counts["unpriced"] += 1
    if event.lost:
        counts["lost"] += sum(event.lost.values())
