"""A policy compiled into the thresholds that the detectors compare with on each event."""

from typing import Final

from tollway.contract.command import Policy
from tollway.contract.money import PICO_PER_USD, parse_usd
from tollway.domain.detectors.parameters import DETECTORS, PARAMETERS, parameters_of

__all__ = ["NEVER", "Profile", "profile_of"]

# More pico-dollars than one run, and more runs than one agent, ever reaches.
NEVER: Final = 2**100
_PICO_PER_MICRO_USD: Final = PICO_PER_USD // 10**6


class Profile:
    """Thresholds as the hot path wants them; made by `profile_of`, never changed after."""

    __slots__ = (
        "acceleration",
        "acceleration_floor_pico",
        "acceleration_min_windows",
        "acceleration_percent",
        "acceleration_window_ms",
        "acceleration_windows",
        "amplification",
        "amplification_percent",
        "amplification_prompt_percent",
        "amplification_result_tokens",
        "amplification_skip_results",
        "budget",
        "budget_block_pico",
        "budget_warn_pico",
        "context",
        "context_floor_tokens",
        "context_growth_percent",
        "context_growth_tokens",
        "context_level_percent",
        "context_rearm_percent",
        "context_window_tokens",
        "median_block_percent",
        "median_min_runs",
        "median_warn_percent",
        "name",
        "polling_tools",
        "production",
        "retry",
        "retry_call_block_repeats",
        "retry_call_repeats",
        "retry_cycle_length",
        "retry_gap_ms",
        "retry_prompt_repeats",
        "run_budget_pico",
        "spike",
        "spike_floor_pico",
        "spike_min_events",
        "spike_percent",
    )

    def __init__(self, policy: Policy, numbers: dict[str, int]) -> None:
        self.name: str = policy.profile
        self.production: bool = policy.profile == "production"
        off = policy.detectors.off
        self.budget: bool = "budget_exceeded" not in off
        self.retry: bool = "retry_loop" not in off
        self.context: bool = "context_bloat" not in off
        self.acceleration: bool = "token_acceleration" not in off
        self.amplification: bool = "tool_amplification" not in off
        self.spike: bool = self.production and "spend_spike" not in off
        self._set_budget(policy, numbers)
        self._set_retry(policy, numbers)
        self._set_tokens(numbers)
        self._set_pace(numbers)

    def _set_budget(self, policy: Policy, numbers: dict[str, int]) -> None:
        text = policy.run_budget_usd
        self.run_budget_pico: int = 0 if text is None else parse_usd(text)
        budget = self.run_budget_pico
        watched = budget > 0 and self.budget
        block = numbers["run_budget_block_percent"]
        # A block stands above every warning, so what warns first is never above it.
        warn = min(numbers["run_budget_warn_percent"], block)
        # Rounded up: spend is a whole number of pico-dollars, so the edge stays exact.
        self.budget_warn_pico: int = -(-budget * warn // 100) if watched else NEVER
        self.budget_block_pico: int = -(-budget * block // 100) if watched else NEVER
        self.median_block_percent: int = numbers["run_median_block_percent"]
        self.median_warn_percent: int = min(
            numbers["run_median_warn_percent"], self.median_block_percent
        )
        self.median_min_runs: int = numbers["run_median_min_runs"] if self.budget else NEVER

    def _set_retry(self, policy: Policy, numbers: dict[str, int]) -> None:
        self.polling_tools: frozenset[str] = frozenset(policy.detectors.polling_tools)
        self.retry_prompt_repeats: int = numbers["retry_prompt_repeats"]
        self.retry_gap_ms: int = numbers["retry_gap_s"] * 1000
        self.retry_call_repeats: int = numbers["retry_call_repeats"]
        self.retry_call_block_repeats: int = numbers["retry_call_block_repeats"]
        self.retry_cycle_length: int = numbers["retry_cycle_length"]

    def _set_tokens(self, numbers: dict[str, int]) -> None:
        self.context_growth_percent: int = numbers["context_growth_percent"]
        self.context_growth_tokens: int = numbers["context_growth_tokens"]
        self.context_floor_tokens: int = numbers["context_floor_tokens"]
        self.context_level_percent: int = numbers["context_level_percent"]
        self.context_rearm_percent: int = numbers["context_rearm_percent"]
        self.context_window_tokens: int = numbers["context_window_tokens"]
        self.amplification_percent: int = numbers["amplification_percent"]
        self.amplification_result_tokens: int = numbers["amplification_result_tokens"]
        self.amplification_prompt_percent: int = numbers["amplification_prompt_percent"]
        self.amplification_skip_results: int = numbers["amplification_skip_results"]

    def _set_pace(self, numbers: dict[str, int]) -> None:
        self.acceleration_percent: int = numbers["acceleration_percent"]
        self.acceleration_window_ms: int = numbers["acceleration_window_s"] * 1000
        self.acceleration_windows: int = numbers["acceleration_windows"]
        self.acceleration_min_windows: int = min(
            numbers["acceleration_min_windows"], self.acceleration_windows
        )
        self.acceleration_floor_pico: int = (
            numbers["acceleration_floor_microusd"] * _PICO_PER_MICRO_USD
        )
        self.spike_percent: int = numbers["spike_percent"]
        self.spike_min_events: int = numbers["spike_min_events"]
        self.spike_floor_pico: int = numbers["spike_floor_microusd"] * _PICO_PER_MICRO_USD


def profile_of(policy: Policy) -> Profile:
    """The policy's thresholds. Raises `ValueError` that names what is known, or the bounds."""
    compat = policy.profile == "compat"
    numbers = {
        parameter.name: parameter.compat
        if compat and parameter.compat is not None
        else parameter.production
        for parameter in PARAMETERS
    }
    known = parameters_of(policy.profile)
    for name, value in policy.detectors.numbers.items():
        parameter = known.get(name)
        if parameter is None:
            raise ValueError(
                f"{name!r} is no parameter of the profile {policy.profile};"
                f" it knows {', '.join(known)}"
            )
        if not parameter.least <= value <= parameter.most:
            raise ValueError(
                f"{name} = {value} is out of bounds; it is {parameter.least} to {parameter.most}"
            )
        numbers[name] = value
    for name in policy.detectors.off:
        if name not in DETECTORS:
            raise ValueError(f"{name!r} is no detector to turn off; known: {', '.join(DETECTORS)}")
    return Profile(policy, numbers)
