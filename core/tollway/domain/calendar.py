"""Windows of budgets: where they begin and end in the budget's zone, daylight saving included."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["DAY_MS", "FOREVER_MS", "HOUR_MS", "MINUTE_MS", "QUARTER_MS", "window_bounds"]

MINUTE_MS: Final = 60_000
QUARTER_MS: Final = 15 * MINUTE_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
# The end of windows that have none: the year 9999.
FOREVER_MS: Final = 253_370_764_800_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def window_bounds(window: str, zone: str, at_ms: int) -> tuple[int, int]:
    """[start, end) in ms of the calendar window that holds `at_ms`.

    An hour is an hour of the clock on the wall: where a zone is shifted by 30 or 45 minutes, its
    hours begin there; in the hour that daylight saving repeats, each is a window of its own.
    Weeks begin on Monday (ISO 8601).
    """
    if window in {"run", "total"}:
        return 0, FOREVER_MS
    local = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(_zone(zone))
    if window == "hour":
        return _hour_bounds(local, at_ms)
    midnight = datetime(local.year, local.month, local.day, tzinfo=local.tzinfo)
    if window == "day":
        first, last = midnight, midnight + timedelta(days=1)
    elif window == "week":
        first = midnight - timedelta(days=midnight.weekday())
        last = first + timedelta(days=7)
    elif window == "month":
        first = midnight.replace(day=1)
        last = (first + timedelta(days=32)).replace(day=1)
    else:
        raise ValueError(f"{window!r} is no calendar window")
    # Arithmetic on aware datetimes is on the wall clock; subtracting from UTC converts.
    return _ms(first), _ms(last)


def _hour_bounds(local: datetime, at_ms: int) -> tuple[int, int]:
    """The hour on the wall; cut where the zone's offset moves by less than an hour inside it."""
    into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    start = at_ms - into // timedelta(milliseconds=1)
    end = start + HOUR_MS
    offset = local.utcoffset()
    first, last = start, end
    for quarter in range(start - start % QUARTER_MS, end, QUARTER_MS):
        there = (_EPOCH + timedelta(milliseconds=quarter)).astimezone(local.tzinfo)
        if there.utcoffset() == offset:
            continue
        # Offsets change at whole quarters, so this one lies on the other side of the change.
        if quarter < at_ms:
            first = max(first, quarter + QUARTER_MS)
        elif quarter >= start:
            last = min(last, quarter)
    return first, last
