"""`budget_exceeded`: a run's spend against its budget, and against the agent's median run."""

from typing import Final

import msgspec

from tollway.contract.money import format_usd
from tollway.domain.detectors.norm import Norm
from tollway.domain.detectors.profile import Profile
from tollway.domain.detectors.sighting import Sighting, dollars

__all__ = ["Said", "crossed", "outspent"]

_NAME: Final = "budget_exceeded"
_Packed = tuple[int, int, int, bool, bool]


class Said:
    """What has been said of a run's spend already, so that each limit is said once.

    The three limits are the highest budget at which each fired; 0 before the first.
    """

    __slots__ = (
        "blocked_limit_pico",
        "crossed_limit_pico",
        "median_blocked",
        "median_warned",
        "warned_limit_pico",
    )

    def __init__(self) -> None:
        self.crossed_limit_pico: int = 0
        self.warned_limit_pico: int = 0
        self.blocked_limit_pico: int = 0
        self.median_warned: bool = False
        self.median_blocked: bool = False

    def pack(self) -> list[object]:
        return [
            self.crossed_limit_pico,
            self.warned_limit_pico,
            self.blocked_limit_pico,
            self.median_warned,
            self.median_blocked,
        ]

    @staticmethod
    def restore(packed: object) -> "Said":
        said = Said()
        (
            said.crossed_limit_pico,
            said.warned_limit_pico,
            said.blocked_limit_pico,
            said.median_warned,
            said.median_blocked,
        ) = msgspec.convert(packed, _Packed)
        return said


def crossed(said: Said, profile: Profile, spent_pico: int) -> Sighting | None:
    """Compat: the spend is above the budget; once, and once more for each raised budget."""
    limit = profile.run_budget_pico
    if limit <= said.crossed_limit_pico or spent_pico <= limit:
        return None
    said.crossed_limit_pico = limit
    message = f"the run has spent {dollars(spent_pico)}, over its budget of {dollars(limit)}"
    return Sighting(_NAME, "warn", message, _evidence(spent_pico, "limit", limit))


def outspent(said: Said, profile: Profile, norm: Norm, spent_pico: int) -> Sighting | None:
    """Production: shares of the budget once for each budget, multiples of the median once a run.

    At most one sighting: a block over a warning, the budget over the median.
    """
    of_budget = _share_of_budget(said, profile, spent_pico)
    if len(norm.runs) < profile.median_min_runs:
        return of_budget
    if of_budget is not None and of_budget.level == "block":
        return of_budget
    of_median = _multiple_of_median(said, profile, norm, spent_pico)
    if of_budget is None or (of_median is not None and of_median.level == "block"):
        return of_median
    return of_budget


def _share_of_budget(said: Said, profile: Profile, spent_pico: int) -> Sighting | None:
    limit = profile.run_budget_pico
    if spent_pico >= profile.budget_block_pico:
        if said.blocked_limit_pico >= limit:
            return None
        said.blocked_limit_pico = said.warned_limit_pico = limit
        message = f"the run has spent {dollars(spent_pico)} of its budget of {dollars(limit)}"
        return Sighting(_NAME, "block", message, _evidence(spent_pico, "limit", limit))
    if spent_pico < profile.budget_warn_pico or said.warned_limit_pico >= limit:
        return None
    said.warned_limit_pico = limit
    percent = spent_pico * 100 // limit
    message = (
        f"the run has spent {dollars(spent_pico)}, {percent} % of its budget of {dollars(limit)}"
    )
    return Sighting(_NAME, "warn", message, _evidence(spent_pico, "limit", limit))


def _multiple_of_median(
    said: Said, profile: Profile, norm: Norm, spent_pico: int
) -> Sighting | None:
    median = norm.median_run_pico
    if spent_pico * 100 < median * profile.median_warn_percent:
        return None
    block = spent_pico * 100 >= median * profile.median_block_percent
    if said.median_blocked or (said.median_warned and not block):
        return None
    said.median_warned = True
    said.median_blocked = block
    message = (
        f"the run has spent {dollars(spent_pico)}, {spent_pico // median} times the median"
        f" {dollars(median)} of the agent's last {len(norm.runs)} runs"
    )
    evidence = _evidence(spent_pico, "median_run", median)
    evidence["runs"] = str(len(norm.runs))
    return Sighting(_NAME, "block" if block else "warn", message, evidence)


def _evidence(spent_pico: int, against: str, pico: int) -> dict[str, str]:
    return {"spent": format_usd(spent_pico), against: format_usd(pico)}
