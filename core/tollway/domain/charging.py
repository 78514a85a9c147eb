"""Charges: what an event cost and who pays, as lines of JSON."""

from typing import Final

import msgspec

from tollway.contract.charge import Charge
from tollway.contract.moments import format_ms
from tollway.contract.money import format_usd
from tollway.contract.usage import UsageEvent

__all__ = ["Booking", "adjustment_line", "charge_head", "charge_line"]

_encode: Final = msgspec.json.Encoder().encode


class Booking:
    """How one event was booked: when, at what price, and what was odd about it."""

    __slots__ = (
        "booked_ms",
        "clamped",
        "cost_pico",
        "late",
        "log_ms",
        "offset",
        "partition",
        "skewed",
        "source",
        "state",
        "version",
    )

    booked_ms: int
    cost_pico: int
    state: str
    source: str
    version: str
    clamped: bool
    late: bool
    skewed: bool
    partition: int
    offset: int
    log_ms: int

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.booked_ms = 0
        self.cost_pico = 0
        self.state = "free"
        self.source = ""
        self.version = ""
        self.clamped = False
        self.late = False
        self.skewed = False
        self.offset = -1
        self.log_ms = 0


def charge_head(event: UsageEvent) -> bytes:
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
    return _encode({name: value for name, value in head.items() if value})[:-1]


def charge_line(head: bytes, event: UsageEvent, booking: Booking) -> bytes:
    """One line of JSON that decodes to the event's `Charge`; zeros and absent values are left out.

    The ids, the money and the offset are written here and not by encoding the struct `Charge`:
    that costs more than pricing the event, and its dimensions repeat.
    """
    parts = [
        head,
        b',"time":"%b","id":%b,"cost":"%b","partition":%d,"offset":%d,"log_time":"%b"'
        % (
            format_ms(booking.booked_ms).encode(),
            _encode(event.id),
            format_usd(booking.cost_pico).encode(),
            booking.partition,
            booking.offset,
            format_ms(booking.log_ms).encode(),
        ),
    ]
    if event.input_tokens:
        parts.append(b',"input_tokens":%d' % event.input_tokens)
    if event.output_tokens:
        parts.append(b',"output_tokens":%d' % event.output_tokens)
    if event.cache_read_tokens:
        parts.append(b',"cache_read_tokens":%d' % event.cache_read_tokens)
    if event.cache_write_tokens:
        parts.append(b',"cache_write_tokens":%d' % event.cache_write_tokens)
    if event.reasoning_tokens:
        parts.append(b',"reasoning_tokens":%d' % event.reasoning_tokens)
    if event.step is not None:
        parts.append(b',"step":%d' % event.step)
    if event.duration_ms is not None:
        parts.append(b',"duration_ms":%d' % event.duration_ms)
    if booking.state != "priced":
        parts.append(b',"price_state":"%b"' % booking.state.encode())
    if booking.source:
        parts.append(
            b',"price_source":%b,"price_version":%b'
            % (_encode(booking.source), _encode(booking.version))
        )
    rest = _rest(event, booking)
    if rest:
        parts.append(b"," + _encode(rest)[1:-1])
    parts.append(b"}")
    return b"".join(parts)


def _rest(event: UsageEvent, booking: Booking) -> dict[str, object] | None:
    """The fields that few events have."""
    rest: dict[str, object] = {}
    for name in ("task", "requested_model"):
        if (value := getattr(event, name)) is not None:
            rest[name] = value
    if event.tags:
        rest["tags"] = event.tags
    if event.lost:
        rest["tags"] = {f"lost_{reason}"[:128]: str(n) for reason, n in event.lost.items()}
    for name in _RARE_COUNTS:
        if count := getattr(event, name):
            rest[name] = count
    if event.status != "ok":
        rest["status"] = event.status
    if event.success is not None:
        rest["success"] = event.success
    if booking.clamped:
        rest["clamped"] = True
    if booking.late:
        rest["late"] = True
    if booking.skewed:
        rest["skewed"] = True
        rest["event_time"] = event.time
    return rest


_RARE_COUNTS: Final = (
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
)


_decode: Final = msgspec.json.Decoder(Charge).decode


def adjustment_line(head: bytes, event: UsageEvent, booking: Booking, adjustment_id: str) -> bytes:
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
    )


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
