"""Charges: what an event cost and who pays, as lines of JSON."""

from typing import Final

import msgspec

from tollway.contract.charge import Charge
from tollway.contract.moments import format_ms
from tollway.contract.money import format_usd
from tollway.contract.usage import UsageEvent
from tollway.domain.charge_tail import RareTail, Tail
from tollway.domain.usage import ABSENT, Usage

__all__ = ["MAX_PACK_BYTES", "Booking", "ChargeLines", "charge_head", "price_part"]

_encoder: Final = msgspec.json.Encoder()
_encode: Final = _encoder.encode
_encode_into: Final = _encoder.encode_into
# A record of `tollway.charges` holds lines up to about this size: under a broker's default limit
# for one, so that no setting of a broker refuses the books.
MAX_PACK_BYTES: Final = 500_000
_COMMA: Final = 44
# A buffer without lines holds ``null``.
_BEGUN: Final = 4


class Booking:
    """How one event was booked: when, at what price, and what was odd about it."""

    __slots__ = (
        "booked_ms",
        "clamped",
        "cost_pico",
        "head",
        "is_timely",
        "late",
        "log_text",
        "offset",
        "skewed",
        "state",
        "waits",
    )

    booked_ms: int
    cost_pico: int
    state: str
    # Whether a later price will correct it.
    waits: bool
    # What its charge begins with: `charge_head` and `price_part`.
    head: bytes
    clamped: bool
    late: bool
    skewed: bool
    # Whether the event's own text for its time is the one that we would write.
    is_timely: bool
    offset: int
    # The log's time as text: the same for all records of a broker's millisecond.
    log_text: str

    def __init__(self) -> None:
        self.booked_ms = 0
        self.cost_pico = 0
        self.state = "free"
        self.head = b""
        self.clamped = False
        self.late = False
        self.skewed = False
        self.is_timely = False
        self.offset = -1
        self.log_text = ""
        self.waits = False


def charge_head(usage: Usage, partition: int) -> bytes:
    """What all charges of a route begin with, of whatever run: a new line, an object left open."""
    head = {
        "workspace": usage.workspace,
        "agent": usage.agent,
        "kind": usage.kind,
        "source": usage.source,
        "connection": usage.connection,
        "user": usage.user,
        "customer": usage.customer,
        "provider": usage.provider,
        "model": usage.model,
        "service_tier": usage.service_tier,
        "tool": usage.tool,
    }
    given: dict[str, object] = {name: value for name, value in head.items() if value}
    return b"\n" + _encode({**given, "partition": partition})[:-1]


def price_part(state: str, source: str, version: str) -> bytes:
    """The part that says how it was priced: the same for all events at one price."""
    said = {"price_state": state, "price_source": source, "price_version": version}
    if state == "priced":
        del said["price_state"]
    given = {name: value for name, value in said.items() if value}
    return b"," + _encode(given)[1:-1] if given else b""


class ChargeLines:
    """Lines of JSON, each of which decodes to a `Charge`, in packs that are one record each.

    Most of a charge is the same from event to event, and is at hand as text: what differs is
    encoded behind it. To encode whole charges costs more than everything else together.
    """

    __slots__ = ("full", "open")

    full: list[bytes]

    def __init__(self) -> None:
        self.full = []
        self.open = bytearray()
        self._begin()

    def _begin(self) -> None:
        """Written over from its beginning, the buffer keeps its memory: growing is what costs."""
        _encode_into(None, self.open, 0)

    def add(self, usage: Usage, booking: Booking) -> None:
        """Writes down what an event cost."""
        lines = self.open
        if len(lines) > MAX_PACK_BYTES:
            self._fill()
        lines += booking.head
        at = len(lines)
        _encode_into(_tail(usage, booking), lines, at)
        # It goes on in the object that the head began.
        lines[at] = _COMMA

    def adjust(self, usage: Usage, booking: Booking, adjustment_id: str) -> None:
        """Corrects an earlier charge: the difference in money, no tokens a second time."""
        single = ChargeLines()
        single.add(usage, booking)
        adjustment = msgspec.structs.replace(
            _decode(single.take()[0]),
            kind="adjustment",
            id=adjustment_id,
            adjusts=usage.id,
            **dict.fromkeys(_COUNTS, 0),
        )
        if len(self.open) > MAX_PACK_BYTES:
            self._fill()
        self.open += b"\n" + _encode(adjustment)

    def _fill(self) -> None:
        """Each line was begun with its end's mark; in a pack it ends with it."""
        self.open += b"\n"
        self.full.append(bytes(memoryview(self.open)[_BEGUN + 1 :]))
        self._begin()

    def take(self) -> list[bytes]:
        """What was written since last asked."""
        if len(self.open) > _BEGUN:
            self._fill()
        full, self.full = self.full, []
        return full


def _tail(usage: Usage, booking: Booking) -> Tail:
    is_rare = (
        usage.is_odd
        or usage.has_media
        or usage.tool_calls > 0
        or usage.cache_write_1h_tokens > 0
        or usage.parent_session != ""
        or booking.clamped
        or booking.late
        or booking.skewed
    )
    kind: type[Tail] = RareTail if is_rare else Tail
    tail = kind(
        # An event's own time is canonical as a rule, and then it is the text that is wanted.
        usage.time if booking.is_timely else format_ms(booking.booked_ms),
        usage.id,
        format_usd(booking.cost_pico),
        booking.offset,
        booking.log_text,
        usage.session,
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        None if usage.step == ABSENT else usage.step,
        None if usage.duration_ms == ABSENT else usage.duration_ms,
        usage.tags or None,
        usage.reasoning_tokens,
    )
    if is_rare:
        assert isinstance(tail, RareTail)
        _add_rare(tail, usage.event, booking)
    return tail


def _add_rare(tail: RareTail, event: UsageEvent, booking: Booking) -> None:
    for name in _RARE:
        if value := getattr(event, name):
            setattr(tail, name, value)
    tail.success = event.success
    if event.lost:
        # What a producer dropped, by reason, stands where people can query it.
        tail.tags = {f"lost_{reason}"[:128]: str(n) for reason, n in event.lost.items()}
    tail.clamped, tail.late, tail.skewed = booking.clamped, booking.late, booking.skewed
    if booking.skewed:
        tail.event_time = event.time


_RARE: Final = (
    "tool_calls",
    "cache_write_1h_tokens",
    "parent_session",
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
    "status",
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
_decode: Final = msgspec.json.Decoder(Charge).decode
