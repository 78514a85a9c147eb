"""What a session keeps of its events, and what there is to say about them."""

from typing import Final, Literal

import msgspec

from tollway.contract.money import format_usd
from tollway.domain.detectors import Sighting
from tollway.domain.usage import Usage
from tollway.producers.local.limits import Limits

__all__ = [
    "HARD_PERCENT",
    "Booked",
    "Entry",
    "Notice",
    "limit_notice",
    "no_price",
    "sighting_notice",
]

HARD_PERCENT: Final = 100


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something to tell: a limit that was reached, or what a detector saw."""

    # `soft_limit`, `hard_limit`, `unpriced` or the name of a detector.
    type: str
    level: Literal["warn", "block"]
    message: str
    evidence: dict[str, str] = {}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event as a report lists it. `cost_pico` None: it has no price."""

    id: str
    time: str
    kind: str
    session: str
    provider: str
    model: str
    tool: str
    cost_pico: int | None
    input_tokens: int
    output_tokens: int
    status: str
    usage_missing: bool


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event: what it cost and what there is to say about it."""

    entry: Entry
    notices: tuple[Notice, ...] = ()
    # Whether the same call was booked before, by another adapter.
    duplicate: bool = False


def limit_notice(session: str, limits: Limits, percent: int) -> Notice:
    spent, limit = format_usd(limits.spent_pico), format_usd(limits.hard_pico())
    over = limits.spent_pico > limits.hard_pico()
    hard = percent >= HARD_PERCENT
    how = "over" if over else "at" if hard else f"at {percent} % of"
    return Notice(
        type="hard_limit" if hard else "soft_limit",
        level="block" if hard else "warn",
        message=f"session {session!r} has spent ${spent}, {how} its limit of ${limit}",
        evidence={"spent": spent, "limit": limit, "state": "exceeded" if over else "exhausted"}
        if hard
        else {"spent": spent, "limit": limit, "percent": str(percent)},
    )


def sighting_notice(sighting: Sighting) -> Notice:
    return Notice(
        type=sighting.detector,
        level=sighting.level,
        message=sighting.message,
        evidence=sighting.evidence,
    )


def no_price(usage: Usage) -> Notice:
    whose = f" of provider {usage.provider!r}" if usage.provider else ""
    return Notice(
        type="unpriced",
        level="warn",
        message=f"model {usage.model!r}{whose} has no price: its calls are not in what was spent",
        evidence={"model": usage.model, "provider": usage.provider},
    )
