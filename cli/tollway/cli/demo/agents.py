"""The demo's agents: whom they work for, and the calls that a run of each makes."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from tollway.cli.demo.profiles import Profile, draw, draw_tool

__all__ = ["CAST", "MAX_CALLS", "Role", "run_of"]

# A run away that nobody stops: the demo ends some time.
MAX_CALLS = 200
# A context never shrinks to nothing: drawn growth can be negative, as where a run compacts.
_LEAST_INPUT = 200

Fields = dict[str, str | int]


@dataclass(frozen=True, kw_only=True)
class Role:
    """`ends`: by itself after as many calls as recorded, after a loop began, or never."""

    agent: str
    connection: str
    user: str
    ends: Literal["by itself", "never: it loops", "never: it goes on"]


CAST = (
    Role(agent="support", connection="airline-crm", user="u-17", ends="by itself"),
    Role(agent="researcher", connection="web-search", user="u-23", ends="by itself"),
    Role(agent="coder", connection="github", user="u-42", ends="by itself"),
    Role(agent="stuck-analyst", connection="warehouse", user="u-23", ends="never: it loops"),
    Role(agent="endless-coder", connection="github", user="u-42", ends="never: it goes on"),
)


def run_of(role: Role, profile: Profile, random: Random) -> Iterator[Fields]:
    """The fields of each call of one run, in order; what is ambient is not in them."""
    calls = draw(profile.calls_per_run, random)
    last = calls if role.ends == "by itself" else MAX_CALLS
    loops_from = max(1, calls - draw(profile.longest_loop, random))
    tokens = draw(profile.first_input_tokens, random)
    stuck: Fields | None = None
    for call in range(last):
        yield _model_call(profile, tokens, random, first=call == 0)
        tokens = max(_LEAST_INPUT, tokens + draw(profile.input_growth_tokens, random))
        tool = draw_tool(profile, random)
        if stuck is not None:
            yield stuck
        elif tool is not None:
            used = _tool_call(profile, tool, random)
            yield used
            if role.ends == "never: it loops" and call >= loops_from:
                stuck = used


def _model_call(profile: Profile, tokens: int, random: Random, *, first: bool) -> Fields:
    # The first call finds nothing in the cache; it writes what the later ones read.
    read = 0 if first else tokens * profile.cache_read_percent // 100
    written = tokens if first else tokens * profile.cache_write_percent // 100
    return {
        "kind": "llm",
        "provider": profile.provider,
        "model": profile.model,
        "input_tokens": tokens,
        "output_tokens": draw(profile.output_tokens, random),
        "cache_read_tokens": read,
        "cache_write_tokens": written if profile.cache_write_percent else 0,
    }


def _tool_call(profile: Profile, tool: str, random: Random) -> Fields:
    return {
        "kind": "tool",
        "tool": tool,
        "args_hash": f"{random.getrandbits(40):010x}",
        "result_hash": f"{random.getrandbits(40):010x}",
        "result_tokens": draw(profile.result_tokens, random),
    }
