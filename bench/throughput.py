"""Events a second and CPU-seconds a million: the worker, stock Faust, quixstreams; in turns.

All read the same topic of one broker, each alone on the machine.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from bench.figures import Figure
from bench.rig import ROOT, Ledgers, Rig, Worker, environment, wait_for
from bench.stages import STAGES, shares
from bench.traffic import Traffic
from tollway.contract.topics import USAGE

__all__ = ["ROUNDS", "Speed", "measure_throughput"]

# Odd, for a median; a round's ratio was seen to differ by a fifth from the next one's.
ROUNDS = 5
RUN_S = 300.0
# The slow ones see a part of the same events; their figures are rates.
FAUST_PART = 20
QUIX_PART = 6
# The books close once a second; this long after the last event all is written.
BOOKS_S = 2.0
VENV = ROOT / ".bench" / "venv"


class Speed(NamedTuple):
    events_per_s: float
    cpu_s_per_million: float


def prepare(rig: Rig, traffic: Traffic) -> Ledgers:
    """Every rule in force before the first event: the books of workers that obeyed all commands."""
    now_ms = time.time_ns() // 1_000_000
    rig.forget(usage=True)
    commands = traffic.commands(now_ms)
    rig.command(commands)
    with rig.worker(None):
        wait_for("commands to be in the books", lambda: rig.obeyed(len(commands)), 60.0)
    ledgers = rig.ledgers()
    rig.send(USAGE.name, traffic.records(time.time_ns() // 1_000_000))
    return ledgers


def worker_speed(
    rig: Rig, ledgers: Ledgers, count: int, core: Path | None, stages: Path | None = None
) -> Speed:
    """From the first event applied to the last; CPU until the books of the last are written."""
    rig.forget()
    rig.seed(ledgers)
    with rig.worker(core, stages=stages) as worker:
        seen = _first(worker)
        began_s, began_cpu_s = time.perf_counter(), worker.cpu_s()
        wait_for("all events", lambda: worker.events() >= count, RUN_S)
        seconds = time.perf_counter() - began_s
        time.sleep(BOOKS_S)
        spent_s = worker.cpu_s() - began_cpu_s
    return Speed((count - seen) / seconds, spent_s / (count - seen) * 1e6)


def _first(worker: Worker) -> int:
    deadline_s = time.monotonic() + 60.0
    while time.monotonic() < deadline_s:
        seen = worker.events()
        if seen:
            return seen
        time.sleep(0.01)
    raise TimeoutError(f"no event was applied within a minute:\n{worker.child.tail()}")


def _metered(command: list[str], core: Path | None, log: Path) -> Speed:
    """What a process says of itself in its one line."""
    with log.open("wb") as errors:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(core),
            stdout=subprocess.PIPE,
            stderr=errors,
            timeout=RUN_S,
            check=False,
        )
    if done.returncode != 0:
        raise ChildProcessError(f"{' '.join(command)} ended with {done.returncode}; see {log}")
    # Faust's spinner writes into the same line.
    said = json.loads(done.stdout[done.stdout.rindex(b"{") :])
    return Speed(said["events"] / said["seconds"], said["cpu_s"] / said["events"] * 1e6)


def faust_speed(rig: Rig, count: int) -> Speed:
    group = rig.new_group()
    command = [sys.executable, "-m", "bench.faust_table", rig.bootstrap, group]
    command += [str(rig.directory / group), str(count)]
    return _metered(command, None, rig.directory / f"{group}.log")


def quix_speed(rig: Rig, count: int, rates: Path) -> Speed:
    group = rig.new_group()
    python = str(VENV / "bin" / "python")
    command = [python, "-m", "bench.quix_work", rig.bootstrap, group]
    command += [str(rig.directory / group), str(count), str(rates)]
    return _metered(command, ROOT / "core", rig.directory / f"{group}.log")


def ready_quix() -> None:
    """quixstreams has drivers of its own versions: an environment of its own, made once."""
    stamp = VENV / "ready"
    project = ROOT / "pyproject.toml"
    if stamp.exists() and stamp.stat().st_mtime >= project.stat().st_mtime:
        return
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)
    subprocess.run([*pip, "--group", f"{project}:bench"], check=True)
    stamp.touch()


def measure_throughput(rig: Rig, traffic: Traffic, core: Path, rounds: int) -> list[Figure]:
    ready_quix()
    rates = rig.directory / "rates.json"
    rates.write_bytes(msgspec.json.encode(traffic.rates(time.time_ns() // 1_000_000)))
    ledgers = prepare(rig, traffic)
    count = traffic.count
    systems: dict[str, Callable[[], Speed]] = {
        "worker": lambda: worker_speed(rig, ledgers, count, core),
        "worker_interpreted": lambda: worker_speed(rig, ledgers, count, None),
        "faust_table": lambda: faust_speed(rig, count // FAUST_PART),
        "quixstreams": lambda: quix_speed(rig, count // QUIX_PART, rates),
    }
    speeds: dict[str, list[Speed]] = {name: [] for name in systems}
    for turn in range(rounds):
        for name, system in systems.items():
            speed = system()
            speeds[name].append(speed)
            print(
                f"{turn + 1}/{rounds} {name}: {speed.events_per_s:,.0f} events/s,"
                f" {speed.cpu_s_per_million:.2f} CPU-s per million",
                flush=True,
            )
    profile = rig.directory / "stages.jsonl"
    worker_speed(rig, ledgers, count, core, profile)
    return [*_figures(speeds), *_stages(profile)]


def _figures(speeds: dict[str, list[Speed]]) -> list[Figure]:
    found = []
    rates = {name: [run.events_per_s for run in runs] for name, runs in speeds.items()}
    costs = {name: [run.cpu_s_per_million for run in runs] for name, runs in speeds.items()}
    for name, values in rates.items():
        at_least = 100_000 if name == "worker" else None
        found.append(Figure.of(f"{name}_events_per_s", "events/s", values, at_least=at_least))
    for name, values in costs.items():
        at_most = 9 if name == "worker" else None
        unit = "CPU-s per million events"
        found.append(Figure.of(f"{name}_cpu_s_per_million", unit, values, at_most=at_most))
    for other, at_least in (("faust_table", 20), ("quixstreams", 4)):
        # Each ratio within one round, so that the machine was the same for both.
        ratios = [ours / theirs for ours, theirs in zip(rates["worker"], rates[other], strict=True)]
        name = f"worker_to_{other}"
        found.append(Figure.of(name, "times", ratios, at_least=at_least))
        cheaper = median(costs[other]) / median(costs["worker"])
        found.append(Figure.of(f"{other}_cpu_to_worker_cpu", "times", [cheaper]))
    return found


def _stages(profile: Path) -> list[Figure]:
    found = shares(profile)
    return [Figure.of(f"worker_share_{stage}", "percent", [found[stage]]) for stage in STAGES]
