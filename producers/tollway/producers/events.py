"""Usage events of what a host said of a call: its fields, checked, and rich values as text."""

import itertools
import re
import time
from decimal import Decimal

import msgspec

from tollway.contract.moments import MalformedMoment, canonical_ms, format_ms, parse_ms
from tollway.contract.money import MalformedMoney, parse_usd
from tollway.contract.usage import UsageEvent
from tollway.producers.ambient import Fields

__all__ = ["Invalid", "event_of", "now"]

_FIELDS = frozenset(UsageEvent.__struct_fields__)
# msgspec's messages quote values in places; the path to the field never holds one.
_PATH = re.compile(r"at `(\$[^`]*)`$")
_MISSING = re.compile(r"missing required field `(\w+)`")


class Invalid(Exception):
    """What was recorded is no usage event; the text names the field, never its value."""


def now() -> str:
    return format_ms(time.time_ns() // 1_000_000)


class _Known(UsageEvent, frozen=True, forbid_unknown_fields=True):
    """An event of no other fields. A misspelt input_tokens would be spend that nobody sees."""


def event_of(full: Fields) -> UsageEvent:
    """Raises `Invalid`. May change `full`: its time becomes the wire's."""
    try:
        moment = full.get("time")
        if moment is None:
            full["time"] = now()
        elif isinstance(moment, str) and canonical_ms(moment) < 0:
            full["time"] = format_ms(parse_ms(moment))
        cost = full.get("cost")
        if isinstance(cost, str):
            parse_usd(cost)
        return msgspec.convert(full, _Known)
    except msgspec.ValidationError:
        _refuse_unknown(full)
        return _event_of_rich_values(full)
    except MalformedMoment:
        _refuse_unknown(full)
        raise Invalid("$.time: not RFC 3339 with a zone, 2026-01-31T12:00:00.000Z") from None
    except MalformedMoney:
        _refuse_unknown(full)
        raise Invalid('$.cost: not dollars as a decimal string, "0.0012"') from None


def _refuse_unknown(full: Fields) -> None:
    unknown = sorted(name for name in full.keys() - _FIELDS if str(name).isidentifier())
    if full.keys() <= _FIELDS:
        return
    named = ", ".join(name[:40] for name in itertools.islice(unknown, 5)) or "unnameable"
    raise Invalid(f"unknown field {named}; see tollway.contract.usage.UsageEvent")


def _event_of_rich_values(full: Fields) -> UsageEvent:
    """The slow way, for a datetime, Decimal, UUID or enum among the fields."""
    cost = full.get("cost")
    if isinstance(cost, Decimal):
        # Not str(): that has an exponent for small amounts.
        full = {**full, "cost": f"{cost:f}"}
    try:
        plain = msgspec.to_builtins(full)
        if isinstance(plain["time"], str):
            plain["time"] = format_ms(parse_ms(plain["time"]))
        if isinstance(plain.get("cost"), str):
            parse_usd(plain["cost"])
        return msgspec.convert(plain, _Known)
    except msgspec.ValidationError as error:
        raise Invalid(_which_field(str(error))) from None
    except MalformedMoment:
        raise Invalid("$.time: a moment without a zone") from None
    except MalformedMoney:
        raise Invalid('$.cost: not dollars as a decimal string, "0.0012"') from None
    except (TypeError, ValueError):
        raise Invalid("a field holds an object that has no JSON form") from None


def _which_field(message: str) -> str:
    path = _PATH.search(message)
    if path is not None:
        return f"{path[1]}: of the wrong type or out of range"
    missing = _MISSING.search(message)
    return f"$.{missing[1]}: missing" if missing else "not a usage event"
