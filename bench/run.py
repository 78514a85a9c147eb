"""Every figure of docs/performance.md, measured on this machine in one run: ``make bench``.

    python -m bench.run [--small] [--only PART]... [--update]

Writes bench/results.json and the table in docs/performance.md. With `--small` (few events, one
round) or `--only` (some parts) it prints the figures and writes nothing; with `--only` and
`--update` it replaces the figures of these parts, and says so in the table. The recorded runs are
in the directory that TOLLWAY_DATA names, else ../shared/data beside the repository.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.compile import compiled_core
from bench.figures import Figure
from bench.latency import SECONDS, measure_latency
from bench.machine import describe, load
from bench.recovery import ACCOUNTS, measure_memory, measure_recovery
from bench.rig import ROOT, Rig, environment
from bench.tables import Results, read_results, updated, write_results
from bench.throughput import ROUNDS, measure_throughput
from bench.traffic import Traffic, data_directory
from tollway.cli.kafka.apache import KAFKA_VERSION, ApacheKafka, default_kafka_home
from tollway.contract.moments import format_ms

EVENTS = 900_000
SMALL_EVENTS = 120_000
BUSY = 0.5
COMPILED = ROOT / ".bench" / "compiled"
FRAMEWORKS = ROOT / ".frameworks" / "bin" / "python"
Part = Callable[[Rig, Path, bool], list[Figure]]


def throughput(rig: Rig, core: Path, small: bool) -> list[Figure]:
    traffic = Traffic(SMALL_EVENTS if small else EVENTS, data_directory())
    return measure_throughput(rig, traffic, core, 1 if small else ROUNDS)


def latency(rig: Rig, core: Path, small: bool) -> list[Figure]:
    return measure_latency(rig, core, SECONDS / 6 if small else SECONDS)


def recovery(rig: Rig, core: Path, small: bool) -> list[Figure]:
    return measure_recovery(rig, core, ACCOUNTS // 10 if small else ACCOUNTS)


def memory(rig: Rig, core: Path, small: bool) -> list[Figure]:
    return measure_memory(core)


def sdk(rig: Rig, core: Path, small: bool) -> list[Figure]:
    """`sdk_cost.py` says what it measures; here are those that have a target."""
    said = _said(Path(sys.executable), "bench/sdk_cost.py", rig)
    return [
        Figure.of("record", "µs", [said["record_to_kafka"]], at_most=5),
        Figure.of("check", "µs", [said["check_allowed_10k_decisions"]], at_most=0.5),
        Figure.of("check_of_a_model", "µs", [said["check_allowed_10k_decisions_with_model"]]),
        Figure.of("check_after_a_decision", "µs", [said["check_after_a_decision"]]),
        Figure.of("import", "s", [said["import"]], at_most=0.3),
    ]


def agents(rig: Rig, core: Path, small: bool) -> list[Figure]:
    """`adapter_cost.py` and `idle_memory.py`, where the frameworks are."""
    said = _said(FRAMEWORKS, "bench/adapter_cost.py", rig)
    added = said["openai_chat_added"]
    memory = _said(FRAMEWORKS, "bench/idle_memory.py", rig)
    return [
        Figure.of("instrumented_call", "µs", [added], at_most=50),
        Figure.of("instrumented_call_share", "percent", [100 * added / said["openai_chat_bare"]]),
        Figure.of("instrumented_call_behind", "µs", [said["openai_chat_behind"]]),
        Figure.of("instrumented_call_async", "µs", [said["openai_chat_async_added"]]),
        Figure.of("instrumented_stream_of_20", "µs", [said["openai_stream_of_20_added"]]),
        Figure.of("idle_memory", "MB", [memory["idle_in_a_fleet"]], at_most=20),
        Figure.of("idle_memory_alone", "MB", [memory["idle_alone"]], at_most=20),
    ]


def _said(python: Path, script: str, rig: Rig) -> dict[str, float]:
    """What a script that prints JSON lines measured, by name."""
    done = subprocess.run(
        [python, script, rig.bootstrap],
        cwd=ROOT,
        env=environment(None),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ChildProcessError(f"{script} failed:\n{done.stderr}")
    return {line["name"]: line["value"] for line in map(json.loads, done.stdout.splitlines())}


PARTS: dict[str, Part] = {
    "throughput": throughput,
    "latency": latency,
    "recovery": recovery,
    "memory": memory,
    "sdk": sdk,
    "agents": agents,
}


def measure(parts: Sequence[str], small: bool) -> list[Figure]:
    core = compiled_core(COMPILED)
    directory = Path(tempfile.mkdtemp(prefix="tollway-bench-"))
    broker = ApacheKafka(directory / "kafka", home=default_kafka_home(), heap_mb=1024)
    found: list[Figure] = []
    try:
        broker.start()
        rig = Rig(broker.bootstrap, directory)
        for name in parts:
            began_s = time.monotonic()
            found += PARTS[name](rig, core, small)
            print(f"-- {name}: {time.monotonic() - began_s:.0f} s", flush=True)
    finally:
        broker.stop()
        shutil.rmtree(directory, ignore_errors=True)
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, prog="python -m bench.run")
    arguments.add_argument("--small", action="store_true", help="few events, nothing written")
    arguments.add_argument("--only", action="append", choices=list(PARTS), metavar="PART")
    arguments.add_argument("--update", action="store_true", help="with --only: write its figures")
    given = arguments.parse_args()
    if not (data_directory() / "traces").is_dir():
        sys.exit(f"no recorded runs in {data_directory()}; set TOLLWAY_DATA")
    # Ended from outside, it still stops its broker and takes its directory away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    machine = describe(KAFKA_VERSION)
    if load() > BUSY:
        print(f"the machine is busy (load {load():.2f}): the figures will be lower", flush=True)
    taken = format_ms(time.time_ns() // 1_000_000)
    figures = measure(given.only or list(PARTS), given.small)
    for figure in figures:
        missed = "  MISSED" if figure.is_missed() else ""
        print(f"{figure.name:48} {figure.value:>12,g} {figure.unit} {figure.target()}{missed}")
    if given.only and given.update and not given.small:
        write_results(updated(read_results(), figures, taken))
    if given.small or given.only:
        return
    results = Results(
        command="make bench", taken=taken, events=EVENTS, machine=machine, figures=figures
    )
    write_results(results)


if __name__ == "__main__":
    main()
