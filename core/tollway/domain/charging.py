"""Charges: what an event cost and who pays, as lines of JSON."""

from json.encoder import encode_basestring
from typing import Final

import msgspec

from tollway.contract.charge import Charge
from tollway.contract.moments import format_ms
from tollway.contract.money import format_usd
from tollway.contract.usage import UsageEvent

__all__ = ["Booking", "adjustment_line", "charge_head", "charge_line", "price_part"]

_encode: Final = msgspec.json.Encoder().encode
# The C function behind json.dumps: a string with its quotes and escapes.
_quote: Final = encode_basestring


class Booking:
    """How one event was booked: when, at what price, and what was odd about it."""

    __slots__ = (
        "booked_ms",
        "clamped",
        "cost_pico",
        "late",
        "log_text",
        "offset",
        "price_text",
        "skewed",
        "state",
    )

    booked_ms: int
    cost_pico: int
    state: str
    # How it was priced, as `price_part` writes it.
    price_text: str
    clamped: bool
    late: bool
    skewed: bool
    offset: int
    # The log's time as text: the same for all records of a broker's millisecond.
    log_text: str

    def __init__(self) -> None:
        self.booked_ms = 0
        self.cost_pico = 0
        self.state = "free"
        self.price_text = ""
        self.clamped = False
        self.late = False
        self.skewed = False
        self.offset = -1
        self.log_text = ""

    def is_plain(self) -> bool:
        return not (self.clamped or self.late or self.skewed)


def charge_head(event: UsageEvent, partition: int) -> str:
    """The part of a charge's JSON that is the same for all events of a route, left open."""
    head = {
        "workspace": event.workspace,
        "agent": event.agent,
        "kind": event.kind,
        "source": event.source,
        "session": event.session,
        "parent_session": event.parent_session,
        "connection": event.connection,
        "user": event.user,
        "customer": event.customer,
        "provider": event.provider,
        "model": event.model,
        "service_tier": event.service_tier,
        "tool": event.tool,
    }
    given = {name: value for name, value in head.items() if value}
    return f'{_encode(given)[:-1].decode()},"partition":{partition}'


def price_part(state: str, source: str, version: str) -> str:
    """The part that says how it was priced: the same for all events at one price."""
    said = {"price_state": state, "price_source": source, "price_version": version}
    if state == "priced":
        del said["price_state"]
    given = {name: value for name, value in said.items() if value}
    return f",{_encode(given)[1:-1].decode()}" if given else ""


def charge_line(head: str, event: UsageEvent, booking: Booking) -> str:
    """One line of JSON that decodes to the event's `Charge`; zeros and absent values are left out.

    Written here and not by encoding the struct: that costs more than everything else together,
    and most of a charge is the same from event to event.
    """
    line = (
        f'{head},"time":"{format_ms(booking.booked_ms)}","id":{_quote(event.id)}'
        f',"cost":"{format_usd(booking.cost_pico)}","offset":{booking.offset}'
        f',"log_time":"{booking.log_text}"{booking.price_text}'
    )
    if event.input_tokens:
        line += f',"input_tokens":{event.input_tokens}'
    if event.output_tokens:
        line += f',"output_tokens":{event.output_tokens}'
    if event.cache_read_tokens:
        line += f',"cache_read_tokens":{event.cache_read_tokens}'
    if event.cache_write_tokens:
        line += f',"cache_write_tokens":{event.cache_write_tokens}'
    if event.step is not None:
        line += f',"step":{event.step}'
    if event.duration_ms is not None:
        line += f',"duration_ms":{event.duration_ms}'
    if event.tags and not event.lost:
        line += f',"tags":{_encode(event.tags).decode()}'
    if booking.is_plain() and _is_plain(event):
        return line + "}"
    return f"{line},{_encode(_rare(event, booking))[1:-1].decode()}}}"


def _is_plain(event: UsageEvent) -> bool:
    """Whether an event has none of the fields that few events have."""
    return not (
        event.reasoning_tokens
        or event.tool_calls
        or event.cache_write_1h_tokens
        or event.input_audio_tokens
        or event.output_audio_tokens
        or event.input_image_tokens
        or event.output_image_tokens
        or event.searches
        or event.seconds
        or event.usage_missing
        or event.attempt
        or event.lost
        or event.requested_model
        or event.task
        or event.success is not None
        or event.status != "ok"
    )


_RARE: Final = (
    "reasoning_tokens",
    "tool_calls",
    "cache_write_1h_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "searches",
    "seconds",
    "usage_missing",
    "attempt",
    "requested_model",
    "task",
)


def _rare(event: UsageEvent, booking: Booking) -> dict[str, object]:
    rare: dict[str, object] = {}
    for name in _RARE:
        if value := getattr(event, name):
            rare[name] = value
    if event.status != "ok":
        rare["status"] = event.status
    if event.success is not None:
        rare["success"] = event.success
    if event.lost:
        # What a producer dropped, by reason, stands where people can query it.
        rare["tags"] = {f"lost_{reason}"[:128]: str(n) for reason, n in event.lost.items()}
    for name in ("clamped", "late", "skewed"):
        if getattr(booking, name):
            rare[name] = True
    if booking.skewed:
        rare["event_time"] = event.time
    return rare


_decode: Final = msgspec.json.Decoder(Charge).decode


def adjustment_line(head: str, event: UsageEvent, booking: Booking, adjustment_id: str) -> str:
    """A correction of an earlier charge: the difference in money, no tokens a second time."""
    charge = _decode(charge_line(head, event, booking))
    return _encode(
        msgspec.structs.replace(
            charge,
            kind="adjustment",
            id=adjustment_id,
            adjusts=event.id,
            **dict.fromkeys(_COUNTS, 0),
        )
    ).decode()


_COUNTS: Final = (
    "tool_calls",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
    "searches",
    "seconds",
)
