"""Windows on the calendar: zones that shift by minutes, days of 23, 25 and 0 hours."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.contract.moments import format_ms, parse_ms
from tollway.domain.calendar import FOREVER_MS, HOUR_MS, window_bounds

BERLIN, KOLKATA, KATHMANDU = "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu"
JOHNS, APIA, LORD_HOWE = "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe"


@pytest.mark.parametrize(
    ("window", "zone", "at", "start", "end"),
    [
        ("day", "UTC", "2026-03-10T12:00Z", "2026-03-10T00:00Z", "2026-03-11T00:00Z"),
        ("day", "UTC", "2026-03-10T00:00Z", "2026-03-10T00:00Z", "2026-03-11T00:00Z"),
        ("day", "UTC", "2026-03-09T23:59:59.999Z", "2026-03-09T00:00Z", "2026-03-10T00:00Z"),
        ("day", KOLKATA, "2026-03-10T12:00Z", "2026-03-09T18:30Z", "2026-03-10T18:30Z"),
        ("day", KATHMANDU, "2026-03-10T12:00Z", "2026-03-09T18:15Z", "2026-03-10T18:15Z"),
        ("day", JOHNS, "2026-03-10T02:00Z", "2026-03-09T02:30Z", "2026-03-10T02:30Z"),
        ("day", APIA, "2026-03-10T12:00Z", "2026-03-10T11:00Z", "2026-03-11T11:00Z"),
        # 23 hours, and 25.
        ("day", BERLIN, "2026-03-29T12:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
        ("day", BERLIN, "2026-10-25T12:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),
        ("day", JOHNS, "2026-03-08T12:00Z", "2026-03-08T03:30Z", "2026-03-09T02:30Z"),
        # The day that Samoa left out: the 29th ends where the 31st begins.
        ("day", APIA, "2011-12-30T09:59Z", "2011-12-29T10:00Z", "2011-12-30T10:00Z"),
        ("day", APIA, "2011-12-30T10:00Z", "2011-12-30T10:00Z", "2011-12-31T10:00Z"),
        # Where midnight itself is skipped, and where it comes twice.
        ("day", "Africa/Cairo", "2026-04-24T12:00Z", "2026-04-23T22:00Z", "2026-04-24T21:00Z"),
        ("day", "America/Havana", "2026-11-01T12:00Z", "2026-11-01T04:00Z", "2026-11-02T05:00Z"),
        ("hour", "UTC", "2026-03-10T12:59:59.999Z", "2026-03-10T12:00Z", "2026-03-10T13:00Z"),
        ("hour", KOLKATA, "2026-03-10T12:29Z", "2026-03-10T11:30Z", "2026-03-10T12:30Z"),
        ("hour", KATHMANDU, "2026-03-10T12:15Z", "2026-03-10T12:15Z", "2026-03-10T13:15Z"),
        ("hour", JOHNS, "2026-03-10T12:29Z", "2026-03-10T11:30Z", "2026-03-10T12:30Z"),
        # 02:30 in Berlin comes twice that night: two windows.
        ("hour", BERLIN, "2026-10-25T00:30Z", "2026-10-25T00:00Z", "2026-10-25T01:00Z"),
        ("hour", BERLIN, "2026-10-25T01:30Z", "2026-10-25T01:00Z", "2026-10-25T02:00Z"),
        # Lord Howe moves by half an hour: its hours around that are cut, never doubled.
        ("hour", LORD_HOWE, "2026-04-04T14:45Z", "2026-04-04T14:00Z", "2026-04-04T15:00Z"),
        ("hour", LORD_HOWE, "2026-04-04T15:10Z", "2026-04-04T15:00Z", "2026-04-04T15:30Z"),
        ("hour", LORD_HOWE, "2026-10-03T15:40Z", "2026-10-03T15:30Z", "2026-10-03T16:00Z"),
        ("week", "UTC", "2026-03-10T12:00Z", "2026-03-09T00:00Z", "2026-03-16T00:00Z"),
        ("week", "UTC", "2026-03-15T23:59Z", "2026-03-09T00:00Z", "2026-03-16T00:00Z"),
        ("week", BERLIN, "2026-03-29T12:00Z", "2026-03-22T23:00Z", "2026-03-29T22:00Z"),
        ("month", "UTC", "2026-02-28T12:00Z", "2026-02-01T00:00Z", "2026-03-01T00:00Z"),
        ("month", "UTC", "2028-02-29T23:59Z", "2028-02-01T00:00Z", "2028-03-01T00:00Z"),
        ("month", BERLIN, "2026-03-31T21:59Z", "2026-02-28T23:00Z", "2026-03-31T22:00Z"),
        ("month", "UTC", "2026-12-31T23:59Z", "2026-12-01T00:00Z", "2027-01-01T00:00Z"),
    ],
)
def test_a_window_begins_and_ends_on_the_wall(
    window: str, zone: str, at: str, start: str, end: str
) -> None:
    first, last = window_bounds(window, zone, parse_ms(at))
    assert (format_ms(first), format_ms(last)) == (
        format_ms(parse_ms(start)),
        format_ms(parse_ms(end)),
    )


@pytest.mark.parametrize("window", ["run", "total"])
def test_a_run_and_a_total_have_no_end(window: str) -> None:
    assert window_bounds(window, "Europe/Berlin", 1_773_144_000_000) == (0, FOREVER_MS)


def test_an_unknown_window_is_an_error() -> None:
    with pytest.raises(ValueError, match="'fortnight' is no calendar window"):
        window_bounds("fortnight", "UTC", 0)


MOMENTS = st.integers(parse_ms("2012-01-01T00:00Z"), parse_ms("2037-01-01T00:00Z"))
ZONES = st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"}))
WINDOWS = st.sampled_from(["hour", "day", "week", "month"])


@settings(max_examples=500, deadline=None)
@given(WINDOWS, ZONES, MOMENTS)
def test_a_moment_lies_in_its_window(window: str, zone: str, at_ms: int) -> None:
    start, end = window_bounds(window, zone, at_ms)
    assert start <= at_ms < end


@settings(max_examples=500, deadline=None)
@given(WINDOWS, ZONES, MOMENTS, st.floats(0, 1, exclude_max=True))
def test_every_moment_of_a_window_has_the_same_one(
    window: str, zone: str, at_ms: int, part: float
) -> None:
    start, end = window_bounds(window, zone, at_ms)
    assert window_bounds(window, zone, start + int((end - start) * part)) == (start, end)
    assert window_bounds(window, zone, end)[0] == end
    assert window_bounds(window, zone, start - 1)[1] == start


@settings(max_examples=300, deadline=None)
@given(ZONES, MOMENTS)
def test_a_day_is_a_date_on_the_wall(zone: str, at_ms: int) -> None:
    start, end = window_bounds("day", zone, at_ms)
    dates = {_date(zone, ms) for ms in (start, at_ms, end - 1)}
    assert len(dates) == 1
    assert _date(zone, start - 1) < dates.pop() < _date(zone, end)


def _date(zone: str, ms: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return moment.astimezone(ZoneInfo(zone)).date().isoformat()


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_of_daylight_saving_has_its_hours(day: str, hours: int) -> None:
    start, end = window_bounds("day", BERLIN, parse_ms(f"{day}T12:00Z"))
    at, seen = start, 0
    while at < end:
        _, at = window_bounds("hour", BERLIN, at)
        seen += 1
    assert (seen, end - start) == (hours, hours * HOUR_MS)
