"""The detectors' thresholds: every parameter with its meaning, its bounds and both profiles."""

from typing import Final, NamedTuple

__all__ = [
    "DETECTORS",
    "MAX_CYCLE_LENGTH",
    "MAX_PACE_WINDOWS",
    "PARAMETERS",
    "Parameter",
    "parameters_of",
]

# The order in which one event's sightings are listed.
DETECTORS: Final[tuple[str, ...]] = (
    "budget_exceeded",
    "retry_loop",
    "context_bloat",
    "token_acceleration",
    "tool_amplification",
    "spend_spike",
)

MAX_CYCLE_LENGTH: Final = 4
MAX_PACE_WINDOWS: Final = 12
_MANY: Final = 2**48
_YEAR_S: Final = 366 * 24 * 60 * 60


class Parameter(NamedTuple):
    """A threshold that a policy's `numbers` may set; `compat` None: not used there."""

    name: str
    detector: str
    compat: int | None
    production: int
    least: int
    most: int
    meaning: str


PARAMETERS: Final[tuple[Parameter, ...]] = (
    Parameter(
        "run_budget_warn_percent", "budget_exceeded", None, 80, 1, 1000,
        "warn at this share of the run's budget",
    ),
    Parameter(
        "run_budget_block_percent", "budget_exceeded", None, 100, 1, 1000,
        "block at this share of the run's budget",
    ),
    Parameter(
        "run_median_warn_percent", "budget_exceeded", None, 300, 1, _MANY,
        "warn at this multiple of the agent's rolling median run",
    ),
    Parameter(
        "run_median_block_percent", "budget_exceeded", None, 1000, 1, _MANY,
        "block at this multiple of the agent's rolling median run",
    ),
    Parameter(
        "run_median_min_runs", "budget_exceeded", None, 20, 1, 50,
        "finished runs of the agent before its median says anything",
    ),
    Parameter(
        "retry_prompt_repeats", "retry_loop", 3, 3, 2, _MANY,
        "the same full prompt this often in a row (block in production); again at each doubling",
    ),
    Parameter(
        "retry_gap_s", "retry_loop", 300, 300, 1, _YEAR_S,
        "a silence longer than this ends a repetition",
    ),
    Parameter(
        "retry_call_repeats", "retry_loop", None, 3, 2, _MANY,
        "the same tool and arguments, or a cycle of them, this often: warn, or block where the"
        " results are the same too; again at each doubling",
    ),
    Parameter(
        "retry_call_block_repeats", "retry_loop", None, 5, 2, _MANY,
        "the same tool and arguments this often: block, whatever the results",
    ),
    Parameter(
        "retry_cycle_length", "retry_loop", None, 4, 1, MAX_CYCLE_LENGTH,
        "the longest cycle of tool calls that is looked for",
    ),
    Parameter(
        "context_growth_percent", "context_bloat", 20, 20, 1, _MANY,
        "growth of the input from one step to the next: compat fires above it, production's jump"
        " rule at it",
    ),
    Parameter(
        "context_growth_tokens", "context_bloat", None, 20_000, 0, _MANY,
        "a jump is at least this many tokens",
    ),
    Parameter(
        "context_floor_tokens", "context_bloat", None, 50_000, 0, _MANY,
        "a jump starts from at least this context",
    ),
    Parameter(
        "context_level_percent", "context_bloat", None, 60, 1, 100,
        "warn when the context reaches this share of the model's window, once a crossing",
    ),
    Parameter(
        "context_rearm_percent", "context_bloat", None, 30, 1, 100,
        "a drop this far below the highest context since, and below the level, re-arms it",
    ),
    Parameter(
        "context_window_tokens", "context_bloat", None, 200_000, 1, _MANY,
        "the window of a model whose window is not known",
    ),
    Parameter(
        "acceleration_percent", "token_acceleration", 200, 300, 1, _MANY,
        "compat: a step's tokens against the step before; production: a window's spend against"
        " the mean of those before",
    ),
    Parameter(
        "acceleration_window_s", "token_acceleration", None, 300, 1, _YEAR_S,
        "the length of a spend window",
    ),
    Parameter(
        "acceleration_windows", "token_acceleration", None, 6, 1, MAX_PACE_WINDOWS,
        "so many last windows with spend make the mean",
    ),
    Parameter(
        "acceleration_min_windows", "token_acceleration", None, 3, 1, MAX_PACE_WINDOWS,
        "windows with spend before there is a mean",
    ),
    Parameter(
        "acceleration_floor_microusd", "token_acceleration", None, 1_000_000, 0, _MANY,
        "a window that spent less than this many millionths of a dollar is never fast",
    ),
    Parameter(
        "amplification_percent", "tool_amplification", 500, 500, 1, _MANY,
        "compat: input after the tools against input before; production: a result against the"
        " call that asked for it",
    ),
    Parameter(
        "amplification_result_tokens", "tool_amplification", None, 10_000, 1, _MANY,
        "a result is at least this large",
    ),
    Parameter(
        "amplification_prompt_percent", "tool_amplification", None, 25, 1, _MANY,
        "a result is at least this share of the next prompt",
    ),
    Parameter(
        "amplification_skip_results", "tool_amplification", None, 2, 0, _MANY,
        "so many first results of a run are not looked at",
    ),
    Parameter(
        "spike_percent", "spend_spike", None, 1000, 1, _MANY,
        "one event against the median of the agent's recent events",
    ),
    Parameter(
        "spike_min_events", "spend_spike", None, 32, 1, 64,
        "priced events of the agent before their median says anything",
    ),
    Parameter(
        "spike_floor_microusd", "spend_spike", None, 1_000_000, 0, _MANY,
        "an event that cost less than this many millionths of a dollar is never a spike",
    ),
)  # fmt: skip


def parameters_of(profile: str) -> dict[str, Parameter]:
    """The parameters that a profile uses, by name."""
    if profile == "compat":
        return {each.name: each for each in PARAMETERS if each.compat is not None}
    return {each.name: each for each in PARAMETERS}
