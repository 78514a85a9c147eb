"""Moments: RFC 3339 with a zone on the wire; in the code, integer milliseconds since 1970."""

from datetime import UTC, datetime, timedelta

__all__ = ["MalformedMoment", "format_ms", "parse_ms"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Events of one minute share their first 17 characters, so the calendar is computed once a minute.
_MINUTES_CACHED = 4096
_minute_ms: dict[str, int] = {}
_second_text: dict[int, str] = {}
_MILLIS = tuple(f"{millis:03d}Z" for millis in range(1000))


class MalformedMoment(ValueError):
    """A text is not a moment in RFC 3339 with a zone."""


def parse_ms(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 text; finer digits are cut off."""
    if len(text) == 24 and text[23] == "Z" and text[19] == ".":
        minute = _minute_ms.get(text[:17])
        seconds, millis = text[17:19], text[20:23]
        # isdecimal alone takes other scripts' digits, and only while the minute is cached.
        if (
            minute is not None
            and seconds.isdecimal()
            and millis.isdecimal()
            and seconds < "60"
            and text.isascii()
        ):
            return minute + int(seconds) * 1000 + int(millis)
    return _parse_slowly(text)


def _parse_slowly(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MalformedMoment(
            f"{text[:40]!r} is not a moment; write it in RFC 3339 with a zone, such as"
            " 2026-01-31T12:00:00.000Z"
        ) from None
    if moment.tzinfo is None:
        raise MalformedMoment(f"{text[:40]!r} has no zone; end it with Z or an offset")
    ms = (moment - _EPOCH) // _MILLISECOND
    if len(text) == 24 and text[23] == "Z" and text[16] == ":":
        if len(_minute_ms) >= _MINUTES_CACHED:
            _minute_ms.clear()
        _minute_ms[text[:17]] = ms - ms % 60_000
    return ms


def format_ms(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds: ``2026-01-31T12:00:00.000Z``."""
    second = ms // 1000
    text = _second_text.get(second)
    if text is None:
        if len(_second_text) >= _MINUTES_CACHED:
            _second_text.clear()
        text = (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.")
        _second_text[second] = text
    return text + _MILLIS[ms - second * 1000]
