"""From `record()` of the call that reaches a limit to its block in the same process."""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import quantiles

from bench.figures import Figure
from bench.rig import ROOT, Rig, environment, wait_for
from tollway.contract.command import Command, SetBudget
from tollway.contract.moments import format_ms

__all__ = ["measure_latency"]

WORKSPACE = "latency"
SECONDS = 30.0
# Events a second, and calls after which a session is blocked: enough blocks for a p99 at each rate.
RATES = ((1_000, 5), (20_000, 50))


def measure_latency(rig: Rig, core: Path, seconds: float = SECONDS) -> list[Figure]:
    found: list[Figure] = []
    for rate, calls in RATES:
        rig.forget(usage=True)
        rig.command([_budget(calls)])
        with rig.worker(core) as worker:
            wait_for("the worker to be ready", worker.is_ready, 60.0)
            wait_for("the budget to be in the books", lambda: rig.obeyed(1), 60.0)
            said = _emit(rig, rate, seconds, calls)
        latencies = said["latencies_ms"]
        assert isinstance(latencies, list)
        print(
            f"latency at {said['rate']:,.0f} events/s: {len(latencies)} of {said['crossed']} blocks"
            f" seen, {said['dropped']} events dropped",
            flush=True,
        )
        if said["missed"]:
            print(f"not seen: {said['missed']}", flush=True)
        found.extend(_figures(rate, latencies))
        name = f"blocks_missed_at_{rate}_per_s"
        missed = float(str(said["crossed"])) - len(latencies)
        found.append(Figure.of(name, "blocks", [missed], at_most=0))
    return found


def _budget(calls: int) -> Command:
    return SetBudget.model_validate(
        {
            "id": "calls",
            "time": format_ms(time.time_ns() // 1_000_000),
            "workspace": WORKSPACE,
            "budget": {
                "id": "calls",
                "match": {"session": "*"},
                "window": "run",
                "limit_calls": calls,
                "thresholds_percent": [100],
            },
        }
    )


def _emit(rig: Rig, rate: int, seconds: float, calls: int) -> dict[str, object]:
    command = [sys.executable, "-m", "bench.emitter", rig.bootstrap, WORKSPACE]
    command += [str(rate), str(seconds), str(calls)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(None),
        capture_output=True,
        text=True,
        timeout=seconds * 4 + 60,
        check=False,
    )
    if done.returncode != 0:
        raise ChildProcessError(f"the emitter ended with {done.returncode}:\n{done.stderr}")
    said: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return said


def _figures(rate: int, latencies: list[float]) -> list[Figure]:
    cuts = quantiles(latencies, n=100)
    return [
        Figure.of(
            f"emit_to_block_p{percent}_at_{rate}_per_s",
            "ms",
            [cuts[percent - 1]],
            at_most=50 if percent == 99 and rate == 1_000 else None,
        )
        for percent in (50, 95, 99)
    ]
