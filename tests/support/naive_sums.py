"""A naive oracle: what was spent by minute and by window, added up one charge at a time."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tollway.contract.charge import Charge
from tollway.contract.money import parse_usd

__all__ = ["oracle_minutes", "oracle_window"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def oracle_minutes(charges: Iterable[Charge]) -> dict[tuple[str, ...], list[int]]:
    """Cost, input and output tokens by workspace, dimensions and minute: added up one by one."""
    sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])
    for c in charges:
        if c.kind == "loss":
            continue
        lane = (c.agent, c.provider, c.model, c.connection, c.tool, c.user, c.customer)
        into = sums[(c.workspace, *lane, c.time[:17] + "00.000Z")]
        into[0] += parse_usd(c.cost)
        into[1] += c.input_tokens
        into[2] += c.output_tokens
    return dict(sums)


def oracle_window(window: str, zone: str, at_ms: int) -> str:
    """The window that a moment lies in, as a name: its date, week or month on the wall."""
    wall = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(ZoneInfo(zone))
    match window:
        case "hour":
            return wall.strftime("%Y-%m-%dT%H") + str(wall.utcoffset())
        case "day":
            return wall.date().isoformat()
        case "week":
            return "-".join(map(str, wall.isocalendar()[:2]))
        case "month":
            return wall.strftime("%Y-%m")
        case _:
            return "all"
