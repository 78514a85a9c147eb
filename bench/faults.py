"""Exactness under faults, whole: processes are killed while events flow; writes docs/faults.md.

    make faults
    python -m bench.faults [--events N] [--seed N] [--worker-kills N] [--sink-kills N]
                           [--broker-kills N] [--hangs N] [--minutes N]

The recorded runs are in the directory that TOLLWAY_DATA names, else ../shared/data beside the
repository. With another number of events or kills than the default it prints the report and writes
nothing. Ends with 1 where anything differs.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from brokers import kafka_home  # noqa: E402 -- lies in tests/support, like all that is shared with the tests
from fault_run import Faults, Outcome, fault_seed, run_faults  # noqa: E402 -- as above
from fleet import FleetFailed  # noqa: E402 -- as above
from tollway.cli.kafka.apache import why_no_kafka  # noqa: E402 -- as above
from workload import why_no_traces  # noqa: E402 -- as above

DOCUMENT = ROOT / "docs" / "faults.md"
WHOLE = (300_000, 20, 10, 3, 1)

_INTRODUCTION = """\
# Exactness under faults

    make faults

{events:,} usage events, made from recorded runs, flow through twelve partitions and two workers on
{broker} while processes are killed. When it is quiet again, everything is compared with an oracle
that keeps the books by hand from the log's file alone, and with a replay of the log in one process.
A smaller cut of it is part of `make test` (`tests/faults`); its seed is new each time, and printed.

| the log | |
|---|---|
| duplicates | 5 %: three quarters the same record again, one quarter the same call from a gateway |
| order | shuffled within 10 minutes |
| late | 1 % by 48 hours |
| broken clocks | 0.1 %: beyond the horizon, or in the future |
| no events at all | 0.2 %, of 20 kinds, each with the dead letter that it must become |
| numbers never sent | a few, which must be counted as missing |

What people do meanwhile is {commands} commands: nine budgets a workspace before the first event;
edits of limits, blocks and unblocks, and prices for a model that had none and for tools that were
free while events flow. Each record carries the broker's time that it would have had, so hours pass
in minutes, and the log ends where clocks or calendars change.
"""


def main() -> int:
    asked = _asked()
    for missing in (why_no_traces(), why_no_kafka(kafka_home())):
        if missing:
            sys.stderr.write(f"cannot run: {missing}\n")
            return 2
    faults = Faults(
        seed=fault_seed() if asked.seed is None else asked.seed,
        events=asked.events,
        over_s=asked.minutes * 60.0,
        workers=asked.worker_kills,
        sinks=asked.sink_kills,
        brokers=asked.broker_kills,
        hangs=asked.hangs,
    )
    directory = Path(tempfile.mkdtemp(prefix="tollway-faults-"))
    try:
        outcome = run_faults(faults, directory, _say)
    except FleetFailed as why:
        _say(f"{why}\nits files are in {directory}")
        return 1
    report = _report(faults, outcome)
    _say(report)
    kills = (asked.worker_kills, asked.sink_kills, asked.broker_kills, asked.hangs)
    if (asked.events, *kills) == WHOLE:
        DOCUMENT.write_text(report)
    if outcome.verdict.differences:
        _say(f"its files are in {directory}")
        return 1
    shutil.rmtree(directory)
    return 0


def _asked() -> argparse.Namespace:
    events, workers, sinks, brokers, hangs = WHOLE
    parser = argparse.ArgumentParser(description="Exactness under faults.")
    parser.add_argument("--events", type=int, default=events)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--worker-kills", type=int, default=workers)
    parser.add_argument("--sink-kills", type=int, default=sinks)
    parser.add_argument("--broker-kills", type=int, default=brokers)
    parser.add_argument("--hangs", type=int, default=hangs)
    parser.add_argument("--minutes", type=float, default=5.0, help="over which the log arrives")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _report(faults: Faults, outcome: Outcome) -> str:
    verdict, figures = outcome.verdict, outcome.verdict.figures
    introduction = _INTRODUCTION.format(
        events=faults.events, broker=outcome.broker, commands=figures["commands replayed"]
    )
    picos = figures["pico-dollars in the store"]
    rows = {
        "records in `tollway.usage`": f"{figures['records replayed']:,}",
        "transactions that closed books": f"{figures['closings of books']:,}",
        "charges, row by row": f"{figures['charges in the store']:,}",
        "their sum in dollars": f"{picos // 10**12:,}.{picos % 10**12:012d}",
        "sums of spend, by minute and seven dimensions": (
            f"{figures['minutes of spend compared']:,}"
        ),
        "accounts of budgets, thresholds fired among it": f"{figures['accounts compared']:,}",
        "decisions and findings, byte by byte": f"{figures['verdicts compared']:,}",
        "lines of `tollway.charges`, in order, byte by byte": (
            f"{figures['lines of charges compared']:,}"
        ),
        "pieces of the ledgers' state": f"{figures['pieces of state compared']:,}",
    }
    table = "\n".join(f"| {what} | {number} |" for what, number in rows.items())
    command = (
        f"python -m bench.faults --seed {faults.seed} --events {faults.events}"
        f" --worker-kills {faults.workers} --sink-kills {faults.sinks}"
        f" --broker-kills {faults.brokers} --hangs {faults.hangs}"
    )
    differences = "".join(f"- {each}\n" for each in verdict.differences)
    differences += "\n" if differences else ""
    happened = "\n".join(
        f"- {each}" for each in [*outcome.happened.faults, *outcome.happened.own_ends]
    )
    return (
        f"{introduction}\n"
        f"## Result: {len(verdict.differences)} differences\n\n"
        f"{differences}"
        f"| compared | number |\n|---|---|\n{table}\n\n"
        f"`{command}`, {os.cpu_count()} cores, load {os.getloadavg()[2]:.1f},"
        f" {outcome.seconds['run']:.0f} s for the run, {outcome.seconds['all']:.0f} s with the"
        " comparison.\n\n"
        "The audit's views (`audit_hours`, `audit_accounts`) showed no difference either; dead\n"
        "letters, duplicates, missing numbers, late and skewed events were counted as the oracle\n"
        "counts them.\n\n"
        f"## What was done to it\n\n{happened}\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
