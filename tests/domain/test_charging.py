"""Charges are written as text by hand: what that text decodes to is the charge, field by field."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.contract.charge import Charge
from tollway.contract.moments import format_ms
from tollway.contract.money import format_usd
from tollway.contract.usage import UsageEvent
from tollway.domain.charging import (
    MAX_PACK_BYTES,
    Booking,
    ChargeLines,
    charge_head,
    price_part,
)
from tollway.domain.usage import Usage

_charge = msgspec.json.Decoder(Charge, strict=True).decode
_FIELDS = {field.name for field in msgspec.structs.fields(Charge)}

NAMES = st.text(st.characters(codec="utf-8"), max_size=40)
WHOLE = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
COUNTS = st.sampled_from([0, 0, 1, 2**48]) | st.integers(0, 10_000)

_SAME_NAME = (
    "source", "session", "parent_session", "connection", "user", "customer", "task", "provider",
    "model", "requested_model", "service_tier", "tool",
)  # fmt: skip
_SAME_COUNT = (
    "tool_calls", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "cache_write_1h_tokens", "reasoning_tokens", "input_audio_tokens", "output_audio_tokens",
    "input_image_tokens", "output_image_tokens", "searches", "attempt",
)  # fmt: skip


@st.composite
def usage_events(draw: st.DrawFn) -> UsageEvent:
    fields: dict[str, Any] = {
        "id": draw(WHOLE),
        "time": "2026-03-10T13:00:00+01:00",
        "workspace": draw(WHOLE),
        "agent": draw(WHOLE),
        "kind": draw(st.sampled_from(["llm", "tool", "outcome", "loss"])),
        "status": draw(st.sampled_from(["ok", "ok", "error", "aborted"])),
        "usage_missing": draw(st.booleans()),
        "seconds": draw(st.sampled_from([0.0, 0.25, 3600.0]) | st.floats(0, 2**31)),
        "step": draw(st.none() | COUNTS),
        "duration_ms": draw(st.none() | COUNTS),
        "success": draw(st.none() | st.booleans()),
        "tags": draw(st.none() | st.dictionaries(NAMES, NAMES, max_size=3)),
        "lost": draw(st.none() | st.dictionaries(NAMES, COUNTS, max_size=2)),
    }
    fields |= {name: draw(st.none() | NAMES) for name in _SAME_NAME}
    fields |= {name: draw(COUNTS) for name in _SAME_COUNT}
    return UsageEvent(**fields)


@st.composite
def bookings(draw: st.DrawFn) -> tuple[Booking, str, str]:
    booking = Booking()
    booking.booked_ms = draw(st.integers(0, 4 * 10**12))
    booking.cost_pico = draw(st.integers(0, 10**30))
    booking.state = draw(
        st.sampled_from(["priced", "explicit", "free", "unpriced", "conservative"])
    )
    source, version = draw(NAMES), draw(NAMES)
    booking.clamped, booking.late = draw(st.booleans()), draw(st.booleans())
    booking.skewed, booking.offset = draw(st.booleans()), draw(st.integers(0, 2**62))
    booking.log_text = format_ms(draw(st.integers(0, 4 * 10**12)))
    return booking, source, version


def _line(event: UsageEvent, booking: Booking, source: str, version: str) -> str:
    usage = Usage(event)
    booking.head = charge_head(usage, 7) + price_part(booking.state, source, version)
    lines = ChargeLines()
    lines.add(usage, booking)
    return _only(lines)


def _only(lines: ChargeLines) -> str:
    (pack,) = lines.take()
    (line,) = pack.splitlines()
    return line.decode()


def _expected(event: UsageEvent, booking: Booking, source: str, version: str) -> Charge:
    tags = event.tags or None
    if event.lost:
        tags = {f"lost_{reason}"[:128]: str(count) for reason, count in event.lost.items()}
    fields: dict[str, Any] = {name: getattr(event, name) or "" for name in _SAME_NAME}
    fields |= {name: getattr(event, name) for name in _SAME_COUNT}
    return Charge(
        **fields,
        workspace=event.workspace,
        id=event.id,
        agent=event.agent,
        kind=event.kind,
        step=event.step,
        tags=tags,
        seconds=event.seconds,
        usage_missing=event.usage_missing,
        status=event.status,
        duration_ms=event.duration_ms,
        success=event.success,
        time=format_ms(booking.booked_ms),
        cost=format_usd(booking.cost_pico),
        price_state=booking.state,  # type: ignore[arg-type]  # one of the Literal's words
        price_source=source,
        price_version=version,
        clamped=booking.clamped,
        late=booking.late,
        skewed=booking.skewed,
        event_time=event.time if booking.skewed else "",
        partition=7,
        offset=booking.offset,
        log_time=booking.log_text,
    )


@settings(max_examples=500, deadline=None)
@given(usage_events(), bookings())
def test_a_line_decodes_to_the_charge_built_field_by_field(
    event: UsageEvent, booked: tuple[Booking, str, str]
) -> None:
    booking, source, version = booked
    line = _line(event, booking, source, version)
    assert _charge(line) == _expected(event, booking, source, version)
    pairs = json.loads(line, object_pairs_hook=list)
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names))
    assert set(names) <= _FIELDS
    # Lines of a chunk are parted by line feeds, so none may hold one.
    assert "\n" not in line
    line.encode()


@settings(max_examples=200, deadline=None)
@given(usage_events(), bookings())
def test_an_adjustment_is_money_and_nothing_counted_twice(
    event: UsageEvent, booked: tuple[Booking, str, str]
) -> None:
    booking, _, _ = booked
    booking.cost_pico = -booking.cost_pico
    booking.head = charge_head(Usage(event), 7)
    lines = ChargeLines()
    lines.adjust(Usage(event), booking, "a#1")
    charge = _charge(_only(lines))
    assert (charge.kind, charge.id, charge.adjusts) == ("adjustment", "a#1", event.id)
    assert charge.cost == format_usd(booking.cost_pico)
    counts = [getattr(charge, name) for name in (*_SAME_COUNT[:-1], "seconds")]
    assert not any(counts)


@pytest.mark.parametrize("name", ["task", "requested_model", "source", "session", "user"])
def test_an_empty_name_is_no_field(name: str) -> None:
    fields: dict[str, Any] = {name: ""}
    event = UsageEvent(id="e", time="", workspace="w", agent="a", **fields)
    booking = Booking()
    assert name not in json.loads(_line(event, booking, "list", "1"))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("priced", b',"price_source":"list","price_version":"1"'),
        ("free", b',"price_state":"free","price_source":"list","price_version":"1"'),
    ],
)
def test_what_is_usual_about_a_price_is_left_out(state: str, said: bytes) -> None:
    assert price_part(state, "list", "1") == said


def test_a_pack_is_closed_when_it_is_full_and_no_line_is_cut() -> None:
    usage = Usage(UsageEvent(id="e" * 400, time="", workspace="w", agent="a"))
    booking = Booking()
    booking.head = charge_head(usage, 0)
    lines = ChargeLines()
    count = 2 * MAX_PACK_BYTES // 400
    for booking.offset in range(count):
        lines.add(usage, booking)
    packs = lines.take()
    assert len(packs) > 2
    assert all(len(pack) < MAX_PACK_BYTES + 1000 for pack in packs)
    charged = [_charge(line).offset for pack in packs for line in pack.splitlines()]
    assert charged == list(range(count))
    assert all(pack.endswith(b"\n") for pack in packs)
    assert lines.take() == []


def test_an_events_own_text_for_its_time_is_used_where_it_is_ours() -> None:
    usage = Usage(
        UsageEvent(id="e", time="2026-03-10T12:00:00.000Z", workspace="w", agent="a", tags={})
    )
    booking = Booking()
    booking.is_timely = True
    booking.head = charge_head(usage, 0)
    lines = ChargeLines()
    lines.add(usage, booking)
    charge = _charge(_only(lines))
    assert (charge.time, charge.tags) == ("2026-03-10T12:00:00.000Z", None)
