"""Moments: RFC 3339 with a zone on the wire; in the code, integer milliseconds since 1970."""

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["MalformedMoment", "canonical_ms", "format_ms", "parse_ms"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
# Events of one second share their first 20 characters, so the calendar is computed once a second.
_SECONDS_CACHED: Final = 16_384
_second_ms: Final[dict[str, int]] = {}
_second_text: Final[dict[int, str]] = {}
_MILLIS: Final = tuple(f"{milli:03d}Z" for milli in range(1000))
_milli_of: Final[dict[str, int]] = {text: milli for milli, text in enumerate(_MILLIS)}


class MalformedMoment(ValueError):
    """A text is not a moment in RFC 3339 with a zone."""


def canonical_ms(text: str) -> int:
    """Milliseconds since 1970 of a text that `format_ms` would write; -1 where it may not be one.

    Fast, and only for seconds that `parse_ms` has seen of late.
    """
    second = _second_ms.get(text[:20])
    if second is None:
        return -1
    milli = _milli_of.get(text[20:])
    return -1 if milli is None else second + milli


def parse_ms(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 text; finer digits are cut off."""
    ms = canonical_ms(text)
    return _parse_slowly(text) if ms < 0 else ms


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
    if ms >= 0 and text.endswith("Z") and text == format_ms(ms):
        if len(_second_ms) >= _SECONDS_CACHED:
            _second_ms.clear()
        _second_ms[text[:20]] = ms - ms % 1000
    return ms


def format_ms(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds: ``2026-01-31T12:00:00.000Z``."""
    second = ms // 1000
    text = _second_text.get(second)
    if text is None:
        if len(_second_text) >= _SECONDS_CACHED:
            _second_text.clear()
        text = (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.")
        _second_text[second] = text
    return text + _MILLIS[ms - second * 1000]
