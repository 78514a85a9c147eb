"""Fits the agents of `tollway demo` to recorded runs: counts and shares only, no recorded line.

    python bench/fit_profiles.py    # TOLLWAY_DATA, else ../shared/data beside the repository

Each profile is a set of runs of one source. Of its figures the demo draws new runs.
"""

import csv
import gzip
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import msgspec

from tollway.contract.moments import parse_ms
from tollway.contract.money import format_usd
from tollway.contract.usage import UsageEvent
from tollway.domain.prices.catalogue import Catalogue
from tollway.domain.usage import Usage

ROOT = Path(__file__).parents[1]
PROFILES = ROOT / "cli/tollway/cli/demo/profiles.json"
QUANTILES = (5, 25, 50, 75, 95)
MAX_TOOLS = 6
LOOP_LENGTH = 5
LONG_RUN = 20
PRICED_AT = "2026-11-01T00:00:00.000Z"
_CATALOGUE = Catalogue.bundled()


@dataclass(frozen=True, kw_only=True)
class Run:
    session: str
    agent: str
    outcome: str
    events: list[UsageEvent]

    @property
    def calls(self) -> list[UsageEvent]:
        return [event for event in self.events if event.kind == "llm"]

    @property
    def tools(self) -> list[UsageEvent]:
        return [event for event in self.events if event.kind == "tool"]

    def longest_loop(self) -> int:
        """The longest streak of one tool with the same arguments and the same masked result."""
        keys = [(tool.tool, tool.args_hash, tool.result_hash) for tool in self.tools]
        return max((len(list(same)) for _, same in groupby(keys)), default=0)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """`chosen` says in words what `is_of` selects."""

    name: str
    behaviour: str
    source: str
    model: str
    chosen: str
    is_of: Callable[[Run], bool]


def _has_model(model: str) -> Callable[[Run], bool]:
    return lambda run: any(call.model == model for call in run.calls)


SELECTED = (
    Profile(
        name="support",
        behaviour="healthy",
        source="tau_bench_airline",
        model="gpt-4o",
        chosen="runs that succeeded",
        is_of=lambda run: run.outcome == "success",
    ),
    Profile(
        name="researcher",
        behaviour="healthy",
        source="livemcpbench",
        model="claude-sonnet-4-20250514",
        chosen="runs that succeeded",
        is_of=lambda run: run.outcome == "success",
    ),
    Profile(
        name="coder",
        behaviour="healthy",
        source="claude_code_traces",
        model="claude-opus-4-5-20251101",
        chosen="sessions of 10 to 60 calls of that model (their outcome is not known)",
        is_of=lambda run: (
            10 <= len(run.calls) <= 60 and _has_model("claude-opus-4-5-20251101")(run)
        ),
    ),
    Profile(
        name="stuck-analyst",
        behaviour="runaway",
        source="intercode",
        model="gpt-4",
        chosen=f"runs that failed with one call and result {LOOP_LENGTH} times in a row or more",
        is_of=lambda run: (
            run.outcome == "fail" and run.longest_loop() >= LOOP_LENGTH and _has_model("gpt-4")(run)
        ),
    ),
    Profile(
        name="endless-coder",
        behaviour="runaway",
        source="swe_agents_study",
        model="claude-3-5-sonnet-20241022",
        chosen=f"runs of OpenHands that failed after {LONG_RUN} calls or more",
        is_of=lambda run: (
            run.outcome == "fail" and run.agent == "openhands" and len(run.calls) >= LONG_RUN
        ),
    ),
)


def main() -> int:
    data = Path(os.environ.get("TOLLWAY_DATA") or ROOT.parent / "shared" / "data")
    if not (data / "traces").is_dir():
        print(f"no recorded runs in {data}; set TOLLWAY_DATA", file=sys.stderr)
        return 2
    outcomes = _outcomes(data)
    fitted = [_fitted(profile, list(_runs(data, profile, outcomes))) for profile in SELECTED]
    document = {
        "fitted_by": "python bench/fit_profiles.py",
        "quantiles_percent": QUANTILES,
        "profiles": fitted,
    }
    PROFILES.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{len(fitted)} profiles in {PROFILES.relative_to(ROOT)}")
    return 0


def _outcomes(data: Path) -> dict[tuple[str, str], str]:
    with gzip.open(data / "runs.csv.gz", "rt") as lines:
        return {(row["source"], row["run_id"]): row["outcome"] for row in csv.DictReader(lines)}


def _runs(data: Path, profile: Profile, outcomes: dict[tuple[str, str], str]) -> Iterator[Run]:
    events: dict[str, list[UsageEvent]] = defaultdict(list)
    decode = msgspec.json.Decoder(UsageEvent).decode
    with gzip.open(data / "traces" / f"{profile.source}.jsonl.gz") as lines:
        for line in lines:
            event = decode(line)
            events[event.session or ""].append(event)
    for session, recorded in events.items():
        outcome = outcomes.get((profile.source, session), "unknown")
        run = Run(session=session, agent=recorded[0].agent, outcome=outcome, events=recorded)
        if profile.is_of(run):
            yield run


def _fitted(profile: Profile, runs: list[Run]) -> dict[str, object]:
    calls = [call for run in runs for call in run.calls]
    tools = [tool for run in runs for tool in run.tools]
    inputs = sum(call.input_tokens for call in calls)
    names = Counter(tool.tool or "" for tool in tools).most_common(MAX_TOOLS)
    return {
        "name": profile.name,
        "behaviour": profile.behaviour,
        "source": profile.source,
        "chosen": profile.chosen,
        "runs": len(runs),
        "provider": Counter(call.provider for call in calls).most_common(1)[0][0],
        "model": profile.model,
        "calls_per_run": _quantiles(len(run.calls) for run in runs),
        "first_input_tokens": _quantiles(run.calls[0].input_tokens for run in runs),
        "input_growth_tokens": _quantiles(
            after.input_tokens - before.input_tokens
            for run in runs
            for before, after in pairwise(run.calls)
        ),
        "output_tokens": _quantiles(call.output_tokens for call in calls),
        "cache_read_percent": 100 * sum(call.cache_read_tokens for call in calls) // inputs,
        "cache_write_percent": 100 * sum(call.cache_write_tokens for call in calls) // inputs,
        "tools_per_100_calls": 100 * len(tools) // len(calls),
        "tools_percent": {name: 100 * used // len(tools) for name, used in names},
        "result_tokens": _quantiles(tool.result_tokens for tool in tools),
        "longest_loop": _quantiles(run.longest_loop() for run in runs),
        "usd_per_run": [format_usd(pico) for pico in _quantiles(_cost(run) for run in runs)],
    }


def _cost(run: Run) -> int:
    at_ms = parse_ms(PRICED_AT)
    pico = 0
    for call in run.calls:
        rates = _CATALOGUE.rates(call.provider, call.model or "", None, at_ms)
        pico += rates.cost_pico(Usage(call)) if rates is not None else 0
    return pico


def _quantiles(values: Iterable[int]) -> list[int]:
    """By nearest rank, so that each is a value that was recorded."""
    ranked = sorted(values) or [0]
    return [ranked[min(len(ranked) - 1, len(ranked) * percent // 100)] for percent in QUANTILES]


if __name__ == "__main__":
    sys.exit(main())
