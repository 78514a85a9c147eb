"""Reads records of `tollway.usage`: an event, or why it is none."""

import re
from typing import Final

import msgspec

from tollway.contract.deadletter import Reason
from tollway.contract.usage import MAX_EVENT_BYTES, USAGE_VERSION, UsageEvent

__all__ = ["Unreadable", "explain", "read_usage"]

_decode: Final = msgspec.json.Decoder(UsageEvent).decode
_decode_version: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Unreadable(ValueError):
    """A record that is no usage event; it becomes a dead letter with this reason."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


def read_usage(value: bytes | None) -> UsageEvent:
    """The event in a record's value, every field checked. Raises `Unreadable`."""
    if not value:
        raise Unreadable("empty", "the record has no value; a usage event is one JSON object")
    if len(value) > MAX_EVENT_BYTES:
        raise Unreadable(
            "too_large", f"{len(value)} bytes; a usage event has at most {MAX_EVENT_BYTES}"
        )
    try:
        event = _decode(value)
    except msgspec.DecodeError as error:
        raise explain(value, error) from None
    except UnicodeDecodeError as error:
        raise Unreadable("broken_json", f"not UTF-8: {error.reason}") from None
    if event.v != USAGE_VERSION:
        raise Unreadable("unknown_version", _versions(event.v))
    return event


def _versions(v: object) -> str:
    return f"version {v!r} of the usage event is unknown; this worker reads {USAGE_VERSION}"


_FIELD = re.compile(r"at `\$\.(\w+)")


def explain(value: bytes, error: msgspec.DecodeError) -> Unreadable:
    """Why msgspec refused a record, in the stable words of dead letters.

    The detail names the field and the rule, never the value: it may hold what must not be logged.
    """
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return Unreadable("broken_json", text)
    try:
        v = _decode_version(value).get("v")
    except (msgspec.DecodeError, UnicodeDecodeError):
        v = None
    if v is not None and bytes(v) != str(USAGE_VERSION).encode():
        return Unreadable("unknown_version", _versions(bytes(v[:20]).decode(errors="replace")))
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
