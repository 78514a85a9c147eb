"""How values of the store are written in JSON."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tollway.contract.moments import format_ms, parse_ms
from tollway.contract.money import parse_usd

__all__ = ["as_count", "as_moment", "as_ms", "as_nullable", "as_pico", "as_whole"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_pico(value: object) -> int:
    """Pico-dollars of a `Decimal` column."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{value!r} is not a Decimal column")
    return parse_usd(format(value, "f"))


def as_whole(value: object) -> int:
    """A `Decimal` column that holds a count."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{value!r} is not a Decimal column")
    return int(value)


def as_count(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is not an integer column")
    return value


def as_ms(value: object) -> int:
    """Milliseconds since 1970 of a moment, which the driver gives in UTC without a zone."""
    if isinstance(value, str):
        return parse_ms(value)
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} is not a moment")
    moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def as_moment(value: object) -> str | None:
    """RFC 3339 in UTC; null for what is null or empty."""
    if value is None or value == "":
        return None
    return format_ms(as_ms(value))


def as_nullable(value: object) -> object:
    """An absent value is '' in a table and null in JSON."""
    return None if value == "" else value
