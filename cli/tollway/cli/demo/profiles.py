"""What the demo's agents are fitted to: figures of recorded runs, and draws from them."""

from importlib.resources import files
from random import Random
from typing import Literal

import msgspec

__all__ = ["Profile", "draw", "draw_tool", "profiles"]

# Below the least and above the greatest quantile nothing is drawn.
_PERCENTS = (5, 25, 50, 75, 95)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of the `runs` that `chosen` describes; lists are quantiles of `_PERCENTS`."""

    name: str
    behaviour: Literal["healthy", "runaway"]
    source: str
    chosen: str
    runs: int
    provider: str
    model: str
    calls_per_run: list[int]
    first_input_tokens: list[int]
    input_growth_tokens: list[int]
    output_tokens: list[int]
    cache_read_percent: int
    cache_write_percent: int
    tools_per_100_calls: int
    tools_percent: dict[str, int]
    result_tokens: list[int]
    longest_loop: list[int]
    usd_per_run: list[str]


class _Profiles(msgspec.Struct, frozen=True, kw_only=True):
    fitted_by: str
    quantiles_percent: tuple[int, ...]
    profiles: list[Profile]


def profiles() -> dict[str, Profile]:
    """By name; `bench/fit_profiles.py` writes them."""
    text = files("tollway.cli.demo").joinpath("profiles.json").read_bytes()
    found = msgspec.json.decode(text, type=_Profiles)
    if found.quantiles_percent != _PERCENTS:
        raise ValueError(f"profiles.json has quantiles {found.quantiles_percent}, not {_PERCENTS}")
    return {profile.name: profile for profile in found.profiles}


def draw(quantiles: list[int], random: Random) -> int:
    """A value whose quantiles are these, straight lines between them."""
    percent = random.uniform(_PERCENTS[0], _PERCENTS[-1])
    for at in range(len(_PERCENTS) - 1):
        low, high = _PERCENTS[at], _PERCENTS[at + 1]
        if percent <= high:
            rise = quantiles[at + 1] - quantiles[at]
            return quantiles[at] + round(rise * (percent - low) / (high - low))
    return quantiles[-1]


def draw_tool(profile: Profile, random: Random) -> str | None:
    """The tool that a call of the model asks for; None for an answer."""
    if not profile.tools_percent or random.randrange(100) >= profile.tools_per_100_calls:
        return None
    names, weights = zip(*profile.tools_percent.items(), strict=True)
    return str(random.choices(names, weights)[0])
