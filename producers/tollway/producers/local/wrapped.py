"""What `wrap` returns: a response, what it cost, and how the session stands after it."""

from decimal import Decimal
from typing import Generic, TypeVar

from tollway.producers.amounts import usd
from tollway.producers.local.books import Books
from tollway.producers.local.notices import Booked
from tollway.producers.local.reports import Warned, warned

__all__ = ["Wrapped"]

Answer = TypeVar("Answer")


class Wrapped(Generic[Answer]):
    """A response and what it cost. `cost` None: it has no price."""

    __slots__ = ("cost", "duplicate", "remaining", "response", "spent", "warnings")

    def __init__(self, response: Answer, booked: Booked | None, books: Books) -> None:
        self.response = response
        pico = None if booked is None else booked.entry.cost_pico
        self.cost: Decimal | None = None if pico is None else usd(pico)
        self.spent: Decimal = usd(books.limits.spent_pico)
        left = books.left_pico()
        self.remaining: Decimal | None = None if left is None else usd(max(0, left))
        notices = () if booked is None else booked.notices
        self.warnings: list[Warned] = [warned(notice) for notice in notices]
        # It was counted when an instrumented client made the call.
        self.duplicate: bool = booked is not None and booked.duplicate
