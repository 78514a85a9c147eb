"""One fault run from a seed: the log, the fleet, the faults, and the comparison."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fleet import Fleet
from striking import Happened, plan_faults
from verify import Verdict, verify
from workload import Plan, end_for, read_log, recorded_traces, write_log

__all__ = ["Faults", "Outcome", "fault_seed", "run_faults"]


@dataclass(frozen=True, kw_only=True)
class Faults:
    """`over_s`: how long the log takes to arrive, and within which the faults happen."""

    seed: int
    events: int
    over_s: float
    workers: int = 0
    sinks: int = 0
    brokers: int = 0
    hangs: int = 0
    kind: Literal["apache", "embedded"] = "apache"
    log_time: Literal["recorded", "broker"] = "recorded"
    session_timeout_s: float = 6.0
    close_every_s: float = 1.0
    misrouted: float = 0.0


@dataclass
class Outcome:
    happened: Happened
    verdict: Verdict
    broker: str
    records: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n".join([*self.happened.faults, *self.happened.own_ends, *self._differences()])

    def _differences(self) -> list[str]:
        return [f"{len(self.verdict.differences)} differences", *self.verdict.differences]


def fault_seed() -> int:
    """`TOLLWAY_FAULT_SEED`, else one that nobody has tried yet."""
    given = os.environ.get("TOLLWAY_FAULT_SEED")
    return int(given) if given else random.SystemRandom().randrange(1_000_000)


def run_faults(faults: Faults, directory: Path, say: Callable[[str], None]) -> Outcome:
    """Raises `FleetFailed` where the fleet did not come through at all."""
    say(f"seed {faults.seed}: {faults.events} events on {faults.kind}")
    began_s = time.monotonic()
    path = directory / "log.jsonl"
    recorded = faults.log_time == "recorded"
    end_ms = end_for(faults.seed) if recorded else time.time_ns() // 1_000_000
    plan = Plan(
        seed=faults.seed,
        events=faults.events,
        end_ms=end_ms,
        log_time=faults.log_time,
        misrouted=faults.misrouted,
    )
    records = write_log(plan, recorded_traces(), path)
    written_s = time.monotonic()
    fleet = Fleet(
        directory,
        kind=faults.kind,
        log_time=faults.log_time,
        session_timeout_s=faults.session_timeout_s,
        close_every_s=faults.close_every_s,
        say=say,
    )
    rng = random.Random(f"faults {faults.seed}")
    counts = {
        "worker": faults.workers,
        "sink": faults.sinks,
        "broker": faults.brokers,
        "hang": faults.hangs,
    }
    struck = plan_faults(rng, faults.over_s, faults.session_timeout_s, counts)
    try:
        fleet.start()
        fleet.feed(list(read_log(path)), struck, faults.over_s)
        fleet.stop_workers()
        fed_s = time.monotonic()
        verdict = verify(fleet, path, recorded=recorded)
    finally:
        fleet.end()
    seconds = {"run": fed_s - written_s, "all": time.monotonic() - began_s}
    return Outcome(fleet.happened, verdict, fleet.broker.kind, records, seconds)
