"""What both detector profiles say on recorded runs; writes the tables into docs/detectors.md.

    python bench/detectors.py [--json]

The recorded runs are in the directory that TOLLWAY_DATA names, else ../shared/data beside the
repository. `--json` prints the figures and leaves the document alone.
"""

import argparse
import csv
import gzip
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import msgspec

from tollway.contract.command import Policy
from tollway.contract.moments import parse_ms
from tollway.contract.money import PICO_PER_USD
from tollway.contract.usage import UsageEvent
from tollway.domain.detectors import (
    DETECTORS,
    PARAMETERS,
    Norm,
    Profile,
    RunWatch,
    finish,
    observe,
    profile_of,
)
from tollway.domain.prices import Catalogue
from tollway.domain.usage import Usage

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("TOLLWAY_DATA", ROOT.parent / "shared" / "data"))
DOCUMENT = ROOT / "docs" / "detectors.md"
PROFILES = ("compat", "production")
ANY = ("warn", "block")
BLOCK = ("block",)


class Seen(NamedTuple):
    """One run under one profile."""

    source: str
    outcome: str
    requests: int
    # Levels by detector; "block" where both were seen.
    levels: dict[str, str]
    alarms: Counter[str]
    tokens: int
    tokens_after_block: int


class Step(NamedTuple):
    event: UsageEvent
    time_ms: int
    cost_pico: int
    window: int


class Run(NamedTuple):
    source: str
    outcome: str
    model: str
    steps: list[Step]


def priced(catalogue: Catalogue, event: UsageEvent) -> Step:
    """At list prices; where a model has none, at its provider's dearest (`conservative`)."""
    time_ms = parse_ms(event.time)
    if event.kind != "llm":
        return Step(event, time_ms, 0, 0)
    model = event.model or ""
    rates = catalogue.rates(event.provider, model, None, time_ms)
    rates = rates or catalogue.dearest(event.provider, time_ms)
    cost_pico = 0 if rates is None else rates.cost_pico(Usage(event))
    return Step(event, time_ms, cost_pico, catalogue.context_window(event.provider, model))


def recorded_runs() -> Iterator[Run]:
    """Each recorded run, its steps in order of time."""
    labels: dict[tuple[str, str], dict[str, str]] = {}
    with gzip.open(DATA / "runs.csv.gz", "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            labels[row["source"], row["run_id"]] = row
    decoder = msgspec.json.Decoder(UsageEvent)
    catalogue = Catalogue.bundled()
    for path in sorted((DATA / "traces").glob("*.jsonl.gz")):
        source = path.name.removesuffix(".jsonl.gz")
        runs: dict[str, list[Step]] = defaultdict(list)
        with gzip.open(path, "rb") as lines:
            for line in lines:
                event = decoder.decode(line)
                runs[event.session or ""].append(priced(catalogue, event))
        for session, steps in runs.items():
            steps.sort(key=lambda step: (step.time_ms, step.event.step or 0))
            label = labels[source, session]
            yield Run(source, label["outcome"], label["model"], steps)


def replayed(run: Run, profile: Profile, norms: dict[tuple[str, str, str], Norm]) -> Seen:
    """The run as the ledger would watch it: a watch for each agent in it, norms over runs."""
    watches: dict[str, RunWatch] = {}
    levels: dict[str, str] = {}
    alarms: Counter[str] = Counter()
    tokens = after = requests = 0
    for event, time_ms, cost, window in run.steps:
        watch = watches.setdefault(event.agent, RunWatch())
        norm = norms[run.source, run.model, event.agent]
        tokens += (spent := event.input_tokens + event.output_tokens)
        after += spent if "block" in levels.values() else 0
        requests += event.kind == "llm"
        for sighting in observe(watch, profile, norm, Usage(event), time_ms, cost, window) or ():
            alarms[sighting.detector] += 1
            if levels.get(sighting.detector) != "block":
                levels[sighting.detector] = sighting.level
    for agent, watch in watches.items():
        finish(watch, norms[run.source, run.model, agent])
    return Seen(run.source, run.outcome, requests, levels, alarms, tokens, after)


def repeats(run: Run) -> tuple[int, int]:
    """How often one call (tool, arguments) comes in a row, and in the run; counted plainly."""
    calls = [
        (step.event.agent, step.event.tool, step.event.args_hash)
        for step in run.steps
        if step.event.kind == "tool" and step.event.args_hash
    ]
    longest = streak = 0
    for at, call in enumerate(calls):
        streak = streak + 1 if at and call == calls[at - 1] else 1
        longest = max(longest, streak)
    return longest, max(Counter(calls).values(), default=0)


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"


def fired(runs: list[Seen], levels: tuple[str, ...], detector: str | None = None) -> int:
    """Runs with one of the levels, of one detector or of any."""
    return sum(
        any(run.levels[name] in levels for name in run.levels if detector in (None, name))
        for run in runs
    )


def four_shares(runs: list[Seen], detector: str | None = None) -> list[str]:
    cells = []
    for outcome in ("success", "fail"):
        of = [run for run in runs if run.outcome == outcome]
        any_level = fired(of, ANY, detector)
        cells += [share(any_level, len(of)), share(fired(of, BLOCK, detector), len(of))]
    return cells


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


HEAD = ["success: any", "success: block", "failed: any", "failed: block"]


def by_source(seen: dict[str, list[Seen]]) -> str:
    labelled = sorted({run.source for run in seen["compat"] if run.outcome == "success"})
    rows = []
    for source in [*labelled, "all"]:
        for profile in PROFILES:
            runs = [run for run in seen[profile] if source in (run.source, "all")]
            good = sum(run.outcome == "success" for run in runs)
            bad = sum(run.outcome == "fail" for run in runs)
            rows.append([source, f"{good} / {bad}", profile, *four_shares(runs)])
    return table(["source", "runs: success / failed", "profile", *HEAD], rows)


def by_detector(seen: dict[str, list[Seen]]) -> str:
    rows = []
    for detector, profile in product(DETECTORS, PROFILES):
        runs = [run for run in seen[profile] if run.source == "claude_code_traces"]
        sightings = sum(run.alarms[detector] for run in runs)
        rate = 100 * sightings / sum(run.requests for run in runs)
        cells = [share(fired(runs, levels, detector), len(runs)) for levels in (ANY, BLOCK)]
        shares = four_shares(seen[profile], detector)
        rows.append([f"`{detector}`", profile, *shares, *cells, f"{rate:.2f}"])
    coding = ["Claude Code: any", "block", "sightings / 100 requests"]
    return table(["detector", "profile", *HEAD, *coding], rows)


def runaways(runs: list[Run], seen: list[Seen]) -> dict[str, list[Seen]]:
    """Labelled runs that ran away: they failed, and repeated one call; three grades of it."""
    grades: dict[str, list[Seen]] = defaultdict(list)
    for run, one in zip(runs, seen, strict=True):
        in_a_row, anywhere = repeats(run)
        if one.outcome == "fail" and in_a_row >= 5:
            grades["one call 5 times in a row"].append(one)
        if one.outcome == "fail" and in_a_row >= 3:
            grades["one call 3 times in a row"].append(one)
        if one.outcome == "fail" and anywhere >= 5:
            grades["one call 5 times anywhere in the run"].append(one)
    return grades


def caught(grades: dict[str, list[Seen]]) -> str:
    rows = []
    for name, runs in grades.items():
        shares = [share(fired(runs, levels), len(runs)) for levels in (ANY, BLOCK)]
        after = sum(run.tokens_after_block for run in runs)
        rows.append([name, str(len(runs)), *shares, share(after, sum(run.tokens for run in runs))])
    return table(["failed runs with", "runs", "any", "block", "tokens after the block"], rows)


def median_rule() -> str:
    """The rule of the median run alone, on runs of which only the cost and outcome are known."""
    profile = profile_of(Policy())
    norms: dict[tuple[str, str, str], Norm] = defaultdict(Norm)
    seen: dict[str, list[Seen]] = defaultdict(list)
    with gzip.open(DATA / "agent_run_costs.csv.gz", "rt", encoding="utf-8") as lines:
        for number, row in enumerate(csv.DictReader(lines)):
            outcome, usd = row["outcome"], row["cost_usd"]
            if row["source"] != "openhands_index" or not usd:
                continue
            norm = norms[row["setup"], row["model"], row["benchmark"]]
            watch = RunWatch()
            event = UsageEvent(id=str(number), time="", workspace="index", agent="openhands")
            cost_pico = round(float(usd) * PICO_PER_USD)
            said = observe(watch, profile, norm, Usage(event), 0, cost_pico, 0) or []
            levels: dict[str, str] = {one.detector: one.level for one in said}
            seen[outcome].append(Seen(row["source"], outcome, 1, levels, Counter(), 0, 0))
            finish(watch, norm)
    rows = []
    for outcome in ("success", "fail"):
        runs = seen[outcome]
        hits = [fired(runs, wanted, "budget_exceeded") for wanted in (ANY, BLOCK)]
        rows.append([outcome, str(len(runs)), *[share(hit, len(runs)) for hit in hits]])
    return table(["outcome", "runs", "any", "block"], rows)


def parameters() -> str:
    rows = []
    for name, detector, compat, production, least, most, meaning in PARAMETERS:
        plain = "-" if compat is None else str(compat)
        bounds = f"{least} to {most}" if most < 2**48 else f"from {least}"
        rows.append([f"`{name}`", f"`{detector}`", plain, str(production), bounds, meaning])
    return table(["parameter", "detector", "compat", "production", "bounds", "meaning"], rows)


def figures(seen: dict[str, list[Seen]], grades: dict[str, list[Seen]]) -> dict[str, object]:
    """What a check needs: runs and blocked runs under `production`, by source."""
    good = [run for run in seen["production"] if run.outcome == "success"]
    return {
        "successful": Counter(run.source for run in good),
        "successful_blocked": Counter(run.source for run in good if fired([run], BLOCK)),
        "runaways": {name: len(runs) for name, runs in grades.items()},
        "runaways_blocked": {name: fired(runs, BLOCK) for name, runs in grades.items()},
    }


def write(tables: dict[str, str]) -> None:
    """Replaces what stands between `<!-- name -->` and `<!-- /name -->`."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, content in tables.items():
        head, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, tail = rest.partition(f"<!-- /{name} -->")
        if not opening or not closing:
            sys.exit(f"{DOCUMENT} has no markers <!-- {name} --> and <!-- /{name} -->")
        text = f"{head}{opening}{content}\n{closing}{tail}"
    DOCUMENT.write_text(text, encoding="utf-8")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true", help="print the figures, write nothing")
    as_json = arguments.parse_args().json
    if not (DATA / "traces").is_dir():
        sys.exit(f"no recorded runs in {DATA}; set TOLLWAY_DATA")
    runs = list(recorded_runs())
    seen: dict[str, list[Seen]] = {}
    for name in PROFILES:
        profile = profile_of(Policy.model_validate({"profile": name}))
        norms: dict[tuple[str, str, str], Norm] = defaultdict(Norm)
        seen[name] = [replayed(run, profile, norms) for run in runs]
    grades = runaways(runs, seen["production"])
    if as_json:
        print(json.dumps(figures(seen, grades)))
        return
    tables = {"parameters": parameters(), "by-source": by_source(seen)}
    tables |= {"by-detector": by_detector(seen), "runaways": caught(grades)}
    write(tables | {"median-rule": median_rule()})


if __name__ == "__main__":
    main()
