"""Reads records of `tollway.usage`: an event, or why it is none."""

import re
from typing import Final

import msgspec

from tollway.contract.deadletter import Reason
from tollway.contract.moments import MalformedMoment, parse_ms
from tollway.contract.money import MalformedMoney, parse_usd
from tollway.contract.usage import MAX_EVENT_BYTES, USAGE_VERSION, UsageEvent
from tollway.domain.usage import Usage

__all__ = ["Unreadable", "bounded", "explain", "explicit_pico", "read_usage", "time_of"]

_decode: Final = msgspec.json.Decoder(UsageEvent).decode
_decode_any: Final = msgspec.json.Decoder(dict[str, object]).decode


class Unreadable(ValueError):
    """A record that is no usage event; it becomes a dead letter with this reason."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


def read_usage(value: bytes | None) -> UsageEvent:
    """The event in a record's value, every field checked. Raises `Unreadable`."""
    if not value or len(value) > 2 * MAX_DEPTH:
        value = bounded(value)
    try:
        event = _decode(value)
    except msgspec.DecodeError as error:
        raise explain(value, error) from None
    except UnicodeDecodeError as error:
        raise Unreadable("broken_json", f"not UTF-8: {error.reason}") from None
    if event.v != USAGE_VERSION:
        raise Unreadable("unknown_version", _versions(event.v))
    return event


def bounded(value: bytes | None) -> bytes:
    """A value that may be decoded: there is one, not too large, not too deep."""
    if not value:
        raise Unreadable("empty", "the record has no value; a usage event is one JSON object")
    if len(value) > MAX_EVENT_BYTES:
        raise Unreadable(
            "too_large", f"{len(value)} bytes; a usage event has at most {MAX_EVENT_BYTES}"
        )
    if len(value) > 2 * MAX_DEPTH and _is_too_deep(value):
        raise Unreadable("broken_json", f"nested deeper than {MAX_DEPTH}")
    return value


def time_of(usage: Usage) -> int:
    """When an event says it was, in milliseconds. Raises `Unreadable`."""
    try:
        return parse_ms(usage.time)
    except MalformedMoment:
        raise Unreadable("malformed_time", _TIME) from None


def explicit_pico(cost: str) -> int:
    """The price that an event names for itself. Raises `Unreadable`.

    A negative one is no price: a correction is a command.
    """
    try:
        pico = parse_usd(cost)
    except MalformedMoney:
        pico = -1
    if pico < 0:
        raise Unreadable("malformed_cost", _COST)
    return pico


# Without the value, as all details of dead letters: it may hold what must not be logged.
_TIME: Final = "field time: no moment in RFC 3339 with a zone, such as 2026-01-31T12:00:00.000Z"
_COST: Final = (
    'field cost: no amount of dollars from 0 up, with at most 12 decimals, such as "0.0012"'
)


def _is_too_deep(value: bytes) -> bool:
    """Whether decoding could meet the interpreter's own limit, which depends on the caller."""
    if value.count(b"[") + value.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", value)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _versions(v: int) -> str:
    return f"version {v} of the usage event is unknown; this worker reads {USAGE_VERSION}"


MAX_DEPTH: Final = 500
_BRACKETS: Final = re.compile(rb"[\[\]{}]")
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_FIELD: Final = re.compile(r"at `\$\.(\w+)")
_QUOTED: Final = re.compile(r"Invalid enum value '.*'", re.DOTALL)


def explain(value: bytes, error: msgspec.DecodeError) -> Unreadable:
    """Why msgspec refused a record, in the stable words of dead letters.

    The detail names the field and the rule, never the value: it may hold what must not be logged.
    """
    # An unknown choice is named by msgspec in quotes: the only place where it repeats a value.
    text = _QUOTED.sub("Invalid enum value", str(error))
    if not isinstance(error, msgspec.ValidationError):
        return Unreadable("broken_json", text)
    try:
        v = _decode_any(value).get("v", USAGE_VERSION)
    except (msgspec.DecodeError, UnicodeDecodeError):
        v = USAGE_VERSION
    if isinstance(v, int) and v != USAGE_VERSION:
        return Unreadable("unknown_version", _versions(v))
    if "missing required field" in text:
        return Unreadable("missing_field", text)
    if _is_range(text):
        return Unreadable("out_of_range", text)
    field = _FIELD.search(text)
    name = f"field {field[1]}: " if field else ""
    return Unreadable("wrong_type", f"{name}{text}")


def _is_range(text: str) -> bool:
    return (
        "out of range" in text
        or ">=" in text
        or "<=" in text
        or "of length" in text
        or "Invalid enum value" in text
    )
