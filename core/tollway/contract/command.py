"""Commands on `tollway.commands`: budgets, prices, policies and blocks, as people write them.

Each is also a line of the audit trail: `actor`, `reason` and `time` say who, why and when.
"""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    field_validator,
    model_validator,
)

from tollway.contract.money import MalformedMoney, parse_usd
from tollway.contract.subjects import Dimension

__all__ = [
    "MAX_BUDGETS_PER_WORKSPACE",
    "BlockSubject",
    "Budget",
    "Command",
    "DeleteBudget",
    "DeletePrice",
    "DetectorParameters",
    "Policy",
    "PriceOverride",
    "PricePerMillion",
    "SetBudget",
    "SetPolicy",
    "SetPrice",
    "SetToolPrice",
    "ToolPrice",
    "UnblockSubject",
    "command_adapter",
    "rolling_duration",
]

MAX_BUDGETS_PER_WORKSPACE = 1000

_ROLLING = re.compile(r"rolling:([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
MAX_ROLLING = timedelta(days=31)

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
Name = Annotated[str, Field(min_length=1, max_length=512)]
UsdText = Annotated[str, Field(max_length=40)]


def rolling_duration(window: str) -> timedelta | None:
    """The length of ``rolling:<n><s|m|h|d>``; None for the other windows."""
    match = _ROLLING.fullmatch(window)
    if match is None:
        return None
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _usd(text: str | None) -> str | None:
    if text is not None and parse_usd(text) < 0:
        raise MalformedMoney(f"{text!r} is negative; an amount here is 0 or more")
    return text


class Budget(_Document):
    """A limit over a window for whatever `match` matches.

    A fixed value matches itself, ``"*"`` makes one account for each distinct value, an absent
    dimension matches anything; ``{}`` is the workspace's ceiling. Exactly one of `limit_usd`,
    `limit_tokens` and `limit_calls`.
    """

    id: Identifier
    match: dict[Dimension, Name] = {}
    window: str = "day"
    zone: str = "UTC"
    limit_usd: UsdText | None = None
    limit_tokens: int | None = Field(default=None, ge=0, le=2**60)
    limit_calls: int | None = Field(default=None, ge=0, le=2**60)
    thresholds_percent: list[Annotated[int, Field(ge=1, le=1000)]] = Field(
        default=[70, 90, 100], min_length=1, max_length=10
    )
    action: Literal["warn", "block"] = "block"
    mode: Literal["observe", "soft"] = "soft"
    on_stale: Literal["open", "closed"] = "open"
    fallback_model: Name | None = None

    @field_validator("limit_usd")
    @classmethod
    def _limit_is_exact(cls, value: str | None) -> str | None:
        return _usd(value)

    @field_validator("thresholds_percent")
    @classmethod
    def _thresholds_in_order(cls, value: list[int]) -> list[int]:
        if sorted(set(value)) != value:
            raise ValueError(f"thresholds {value} must rise, each once, such as [70, 90, 100]")
        return value

    @field_validator("window")
    @classmethod
    def _window_is_known(cls, value: str) -> str:
        if value in {"run", "hour", "day", "week", "month", "total"}:
            return value
        length = rolling_duration(value)
        if length is None or not timedelta(0) < length <= MAX_ROLLING:
            raise ValueError(
                f"window {value!r} is not one of run, hour, day, week, month, total,"
                f" rolling:<n><s|m|h|d> up to {MAX_ROLLING.days} days, such as rolling:24h"
            )
        return value

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: "Europe" is a directory
            raise ValueError(
                f"zone {value!r} is no IANA time zone; name one such as Europe/Berlin"
            ) from None
        return value

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        given = [self.limit_usd, self.limit_tokens, self.limit_calls]
        if sum(limit is not None for limit in given) != 1:
            raise ValueError(
                f"budget {self.id!r} needs exactly one of limit_usd, limit_tokens, limit_calls"
            )
        if self.window == "run" and "session" not in self.match:
            raise ValueError(
                f"budget {self.id!r} has window run, so its match needs a session:"
                ' {"session": "*"}'
            )
        return self


class PricePerMillion(_Document):
    """Dollars for a million tokens (or a thousand searches, or an hour of audio) as decimals.

    What is absent is billed like its parent: cache reads and writes like input, reasoning like
    output. Audio, searches and hours that are absent cost what is listed; where audio is not
    listed, calls with audio stay unpriced.
    """

    input: Decimal = Field(ge=0, max_digits=24)
    output: Decimal = Field(ge=0, max_digits=24)
    cache_read: Decimal | None = Field(default=None, ge=0, max_digits=24)
    cache_write: Decimal | None = Field(default=None, ge=0, max_digits=24)
    cache_write_1h: Decimal | None = Field(default=None, ge=0, max_digits=24)
    reasoning: Decimal | None = Field(default=None, ge=0, max_digits=24)
    input_audio: Decimal | None = Field(default=None, ge=0, max_digits=24)
    output_audio: Decimal | None = Field(default=None, ge=0, max_digits=24)
    per_thousand_searches: Decimal | None = Field(default=None, ge=0, max_digits=24)
    per_hour: Decimal | None = Field(default=None, ge=0, max_digits=24)


class PriceOverride(_Document):
    """A workspace's own price of a model, from `effective_from` on; later entries win."""

    provider: Name | None = None
    model: Name
    effective_from: AwareDatetime
    effective_to: AwareDatetime | None = None
    price: PricePerMillion


class ToolPrice(_Document):
    """What one call of a tool costs, from `effective_from` on."""

    tool: Name
    connection: Name | None = None
    effective_from: AwareDatetime
    usd_per_call: UsdText

    @field_validator("usd_per_call")
    @classmethod
    def _price_is_exact(cls, value: str) -> str:
        return _usd(value) or value


class DetectorParameters(_Document):
    """Thresholds that differ from the profile's; the names are listed in docs/detectors.md."""

    off: list[str] = Field(default_factory=list, max_length=20)
    polling_tools: list[Name] = Field(default_factory=list, max_length=100)
    numbers: dict[str, int] = Field(default_factory=dict, max_length=50)


class Policy(_Document):
    """How a workspace is watched: detectors' profile, unpriced models, the budget of one run."""

    profile: Literal["compat", "production"] = "production"
    detectors: DetectorParameters = Field(default_factory=DetectorParameters)
    unpriced: Literal["pending", "conservative", "block"] = "pending"
    run_budget_usd: UsdText | None = None

    @field_validator("run_budget_usd")
    @classmethod
    def _run_budget_is_exact(cls, value: str | None) -> str | None:
        return _usd(value)


class _Command(_Document):
    id: Name
    time: AwareDatetime
    workspace: Name
    actor: Name = "unknown"
    reason: str = Field(default="", max_length=2000)


class SetBudget(_Command):
    type: Literal["budget.set"] = "budget.set"
    budget: Budget


class DeleteBudget(_Command):
    type: Literal["budget.delete"] = "budget.delete"
    budget_id: Identifier


class BlockSubject(_Command):
    """A person's block: the kill switch. An empty subject is the whole workspace."""

    type: Literal["block"] = "block"
    subject: dict[Dimension, Name] = {}
    expires_at: AwareDatetime | None = None


class UnblockSubject(_Command):
    """Lifts whatever blocks exactly this subject, whichever rule made it."""

    type: Literal["unblock"] = "unblock"
    subject: dict[Dimension, Name] = {}


class SetPrice(_Command):
    type: Literal["price.set"] = "price.set"
    price: PriceOverride


class DeletePrice(_Command):
    type: Literal["price.delete"] = "price.delete"
    provider: Name | None = None
    model: Name


class SetToolPrice(_Command):
    type: Literal["tool_price.set"] = "tool_price.set"
    price: ToolPrice


class SetPolicy(_Command):
    type: Literal["policy.set"] = "policy.set"
    policy: Policy


Command = Annotated[
    SetBudget
    | DeleteBudget
    | BlockSubject
    | UnblockSubject
    | SetPrice
    | DeletePrice
    | SetToolPrice
    | SetPolicy,
    Field(discriminator="type"),
]

command_adapter: TypeAdapter[Command] = TypeAdapter(Command)
