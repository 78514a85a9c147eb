"""`token_acceleration`: tokens that double from step to step, or spend above its own pace."""

from typing import Final

import msgspec

from tollway.contract.money import format_usd
from tollway.domain.detectors.parameters import MAX_PACE_WINDOWS
from tollway.domain.detectors.profile import Profile
from tollway.domain.detectors.sighting import Sighting, dollars

__all__ = ["Pace", "burns", "doubles"]

_NAME: Final = "token_acceleration"
_Packed = tuple[int, int, int, bool, int, int, bool, list[int]]


class Pace:
    """Tokens of this step and of the one before; spend of this window and of those before."""

    __slots__ = (
        "before_tokens",
        "spent_pico",
        "step_fired",
        "step_ms",
        "step_tokens",
        "window_end_ms",
        "window_fired",
        "windows_pico",
    )

    def __init__(self) -> None:
        self.step_ms: int = 0
        self.step_tokens: int = 0
        self.before_tokens: int = 0
        self.step_fired: bool = False
        self.window_end_ms: int = 0
        self.spent_pico: int = 0
        self.window_fired: bool = False
        # Closed windows that spent something, newest last.
        self.windows_pico: list[int] = []

    def turn(self, time_ms: int, window_ms: int) -> None:
        """Closes the window. An idle one says nothing of the pace: a person was thinking."""
        if self.spent_pico > 0:
            self.windows_pico.append(self.spent_pico)
            if len(self.windows_pico) > MAX_PACE_WINDOWS:
                del self.windows_pico[0]
        self.window_end_ms = time_ms - time_ms % window_ms + window_ms
        self.spent_pico = 0
        self.window_fired = False

    def pack(self) -> list[object]:
        return [
            self.step_ms,
            self.step_tokens,
            self.before_tokens,
            self.step_fired,
            self.window_end_ms,
            self.spent_pico,
            self.window_fired,
            list(self.windows_pico),
        ]

    @staticmethod
    def restore(packed: object) -> "Pace":
        pace = Pace()
        (
            pace.step_ms,
            pace.step_tokens,
            pace.before_tokens,
            pace.step_fired,
            pace.window_end_ms,
            pace.spent_pico,
            pace.window_fired,
            pace.windows_pico,
        ) = msgspec.convert(packed, _Packed)
        return pace


def doubles(pace: Pace, profile: Profile, tokens: int, time_ms: int) -> Sighting | None:
    """Compat: input and output of a step against the step before; events of one instant are one."""
    if tokens == 0:
        return None
    if time_ms == pace.step_ms:
        pace.step_tokens += tokens
    else:
        pace.step_ms = time_ms
        pace.before_tokens = pace.step_tokens
        pace.step_tokens = tokens
        pace.step_fired = False
    before, now = pace.before_tokens, pace.step_tokens
    if pace.step_fired or before == 0 or now * 100 < before * profile.acceleration_percent:
        return None
    pace.step_fired = True
    message = f"tokens of one step rose from {before} to {now}"
    return Sighting(_NAME, "warn", message, {"before": str(before), "tokens": str(now)})


def burns(pace: Pace, profile: Profile, cost_pico: int, time_ms: int) -> Sighting | None:
    """Production: this window's spend against the mean of the last ones; once a window."""
    if time_ms >= pace.window_end_ms:
        pace.turn(time_ms, profile.acceleration_window_ms)
    elif time_ms < pace.window_end_ms - profile.acceleration_window_ms:
        # A late event belongs to a window that is closed; it says nothing of the pace now.
        return None
    pace.spent_pico += cost_pico
    if pace.spent_pico < profile.acceleration_floor_pico or pace.window_fired:
        return None
    count = min(len(pace.windows_pico), profile.acceleration_windows)
    if count < profile.acceleration_min_windows:
        return None
    before = sum(pace.windows_pico[-count:])
    if pace.spent_pico * 100 * count < before * profile.acceleration_percent:
        return None
    pace.window_fired = True
    return _faster(pace.spent_pico, before // count, count, profile.acceleration_window_ms)


def _faster(spent_pico: int, mean_pico: int, count: int, window_ms: int) -> Sighting:
    message = (
        f"{dollars(spent_pico)} within {window_ms // 1000} s, against a mean of"
        f" {dollars(mean_pico)} in the {count} windows before"
    )
    evidence = {
        "spent": format_usd(spent_pico),
        "mean": format_usd(mean_pico),
        "window_s": str(window_ms // 1000),
    }
    return Sighting(_NAME, "warn", message, evidence)
