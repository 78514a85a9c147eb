"""Moments: RFC 3339 with a zone in, UTC with milliseconds out."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.moments import MalformedMoment, canonical_ms, format_ms, parse_ms

NOON = 1_773_144_000_000


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-03-10T12:00:00.000Z", NOON),
        ("2026-03-10T12:00:00Z", NOON),
        ("2026-03-10T12:00:00.001Z", NOON + 1),
        ("2026-03-10T12:00:00.001999Z", NOON + 1),
        ("2026-03-10T12:00:00.999999999Z", NOON + 999),
        ("2026-03-10T13:00:00+01:00", NOON),
        ("2026-03-10T17:30:00.000+05:30", NOON),
        ("2026-03-10T17:45:00.000+05:45", NOON),
        ("2026-03-10T08:30:00-03:30", NOON),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000),
        ("9999-12-31T23:59:59.999-14:00", 253_402_351_199_999),
    ],
)
def test_a_moment_is_read(text: str, ms: int) -> None:
    assert parse_ms(text) == ms


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-03-10", "2026-03-10T12:00:00", "2026-03-10T12:00:00.000", "1773144000",
        "2026-03-10T24:00:00Z", "2026-02-30T00:00:00Z", "2026-03-10T12:00:60.000Z",
        "2026-03-10T12:00:٣٣.000Z", "2026-03-10T12:00:00.00xZ", "2026-13-10T12:00:00.000Z",
        "2026-03-10T12:00:00.000 UTC", "0000-01-01T00:00:00Z",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(MalformedMoment):
        parse_ms(text)


@pytest.mark.parametrize("text", ["2026-03-10T12:34:3٣.000Z", "2026-03-10T12:34:00.00٣Z"])
def test_whether_a_moment_is_read_does_not_depend_on_those_read_before(text: str) -> None:
    """The calendar of a minute is cached: what is refused cold must be refused warm."""
    with pytest.raises(MalformedMoment):
        parse_ms(text)
    assert parse_ms("2026-03-10T12:34:00.000Z") == NOON + 34 * 60_000
    with pytest.raises(MalformedMoment):
        parse_ms(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-10T12:34:00Z", "2026-03-10 12:34:00.000Z", "2026-W11-2T12:34:00.000Z",
        "2026-03-10t12:34:00.000Z", "2026-03-10T12:34:00.000z", "2026-03-10T13:34:00.000+01:00",
        "2026-03-10T12:34:00.0000Z", "2026-03-10T12:34:00.000Z ", "2026-03-10T12:34:00.00٣Z",
    ],
)  # fmt: skip
def test_only_what_we_would_write_is_canonical(text: str) -> None:
    parse_ms("2026-03-10T12:34:00.000Z")
    assert canonical_ms("2026-03-10T12:34:00.000Z") == NOON + 34 * 60_000
    with contextlib.suppress(MalformedMoment):
        parse_ms(text)
    assert canonical_ms(text) == -1


@given(st.integers(0, 253_402_300_799_999))
def test_what_is_written_reads_as_the_same(ms: int) -> None:
    text = format_ms(ms)
    assert parse_ms(text) == ms
    # Now by the cached minute.
    assert parse_ms(text) == ms


@given(st.lists(st.integers(0, 253_402_300_799_999), min_size=2))
def test_texts_sort_like_the_moments(moments: list[int]) -> None:
    assert sorted(map(format_ms, moments)) == [format_ms(ms) for ms in sorted(moments)]
