"""Amounts of dollars as people write them, and as they calculate with them."""

from decimal import Decimal

from tollway.contract.money import MalformedMoney, format_usd, parse_usd

__all__ = ["Amount", "amount_pico", "usd"]

# Dollars as people write them: "$5.00", "5", 5, Decimal("0.01"); never a binary float.
Amount = str | int | Decimal


def amount_pico(amount: Amount, what: str) -> int:
    """Pico-dollars of an amount. Raises `ValueError` that names `what`."""
    if isinstance(amount, bool | float):
        kind = type(amount).__name__
        raise ValueError(f'{what} is a {kind}; write dollars as a string, such as "5.00"')  # noqa: TRY004 -- one kind of error for all that is wrong with an amount
    text = f"{amount:f}" if isinstance(amount, Decimal) else str(amount)
    try:
        pico = parse_usd(text)
    except MalformedMoney as why:
        raise ValueError(f"{what}: {why}") from None
    if pico < 0:
        raise ValueError(f"{what} is negative: {text}")
    return pico


def usd(pico: int) -> Decimal:
    """The exact amount, for people who calculate with it."""
    return Decimal(format_usd(pico))
