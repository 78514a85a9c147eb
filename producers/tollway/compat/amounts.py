"""Dollars as peers' callers write them, floats included, as exact pico-dollars and back.

Inside, everything is added up in pico-dollars. A float that comes in means its shortest decimal
form, what its author wrote; one that goes out is the nearest to the exact amount.
"""

import math
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Final

from tollway.contract.money import MAX_PICO, PICO_PER_USD

__all__ = ["NotDollars", "as_float", "exact_pico"]

_PICO: Final = Decimal(PICO_PER_USD)


class NotDollars(ValueError):
    """No amount of dollars: not a number, not finite, negative, or beyond all budgets."""


def exact_pico(amount: object) -> int:
    """Pico-dollars of ``0.1``, ``"$5.00"``, ``5`` or a `Decimal`. Raises `NotDollars`.

    What is finer than a pico-dollar is rounded: 0.30000000000000004 is thirty cents.
    """
    if isinstance(amount, bool) or not isinstance(amount, int | float | str | Decimal):
        raise NotDollars(f"an amount of dollars is a number, not a {type(amount).__name__}")
    if isinstance(amount, float) and not math.isfinite(amount):
        raise NotDollars(f"{amount} is no amount of dollars; it must be finite")
    try:
        dollars = Decimal(_written(amount))
    except InvalidOperation:
        raise NotDollars(f'{str(amount)[:40]!r} is no amount of dollars, such as "5.00"') from None
    # Above all, a text may say "NaN" or "1e400".
    if not dollars.is_finite() or not 0 <= dollars * _PICO <= MAX_PICO:
        raise NotDollars(f"{str(amount)[:40]} is no amount of dollars; it must be 0 or more")
    return int((dollars * _PICO).to_integral_value(rounding=ROUND_HALF_EVEN))


def _written(amount: float | str | Decimal) -> str:
    return amount.strip().removeprefix("$") if isinstance(amount, str) else str(amount)


def as_float(pico: int) -> float:
    """The float nearest to the exact amount, as peers' callers expect one."""
    # Division of integers rounds once; a sum of floats rounds at each step.
    return pico / PICO_PER_USD
