"""How long a worker takes to have 100,000 accounts back, and what an account and a run weigh."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.figures import Figure
from bench.rig import PARTITIONS, ROOT, Rig, environment, wait_for
from bench.traffic import Record
from tollway.contract.command import Command, SetBudget
from tollway.contract.moments import format_ms
from tollway.contract.topics import USAGE

__all__ = ["WORKSPACES", "measure_memory", "measure_recovery", "runs_of_one_call"]

ACCOUNTS = 100_000
WORKSPACES = [f"recovery-{number}" for number in range(48)]
RUNS = 3


def runs_of_one_call(count: int, workspaces: list[str], now_ms: int) -> Iterator[Record]:
    """Each event a run of its own: with a budget for each run, as many accounts."""
    encode = msgspec.json.Encoder().encode
    time_text = format_ms(now_ms)
    for number in range(count):
        workspace = workspaces[number % len(workspaces)]
        event = {
            "id": f"call-{number}",
            "source": "openai",
            "producer": f"{workspace}-p",
            "seq": number // len(workspaces),
            "time": time_text,
            "workspace": workspace,
            "agent": f"agent-{number % 7}",
            "session": f"3f2a9c1e-run-{number}",
            "provider": "openai",
            "model": "gpt-4o-2024-08-06",
            "input_tokens": 1843,
            "output_tokens": 412,
            "prompt_hash": "9f86d081884c7d65",
        }
        yield Record(workspace.encode(), encode(event))


def budgets(workspaces: list[str], now_ms: int) -> list[Command]:
    return [
        SetBudget.model_validate(
            {
                "id": f"{workspace}-runs",
                "time": format_ms(now_ms),
                "workspace": workspace,
                "budget": {
                    "id": "runs",
                    "match": {"session": "*"},
                    "window": "run",
                    "limit_usd": "5",
                },
            }
        )
        for workspace in workspaces
    ]


def measure_recovery(rig: Rig, core: Path, accounts: int = ACCOUNTS) -> list[Figure]:
    """From the assignment of the partitions until the last of them is ready."""
    now_ms = time.time_ns() // 1_000_000
    rig.forget(usage=True)
    rig.command(budgets(WORKSPACES, now_ms))
    with rig.worker(core) as worker:
        wait_for("commands to be in the books", lambda: rig.obeyed(len(WORKSPACES)), 60.0)
        rig.send(USAGE.name, runs_of_one_call(accounts, WORKSPACES, now_ms))
        wait_for("all events", lambda: worker.events() >= accounts, 120.0)
    held = sum(key.startswith(b"account|") for books in rig.ledgers() for key in books)
    if held < accounts:
        raise AssertionError(f"the books hold {held} accounts instead of {accounts}")
    return [
        Figure.of(
            f"recovery_at_{held}_accounts", "s", [_recovery_s(rig, core) for _ in range(RUNS)]
        )
    ]


def _recovery_s(rig: Rig, core: Path) -> float:
    with rig.worker(core) as worker:
        wait_for("an assignment", lambda: len(worker.partitions()) == PARTITIONS, 60.0)
        began_s = time.perf_counter()
        wait_for("all partitions to be ready", worker.is_ready, 120.0)
        return time.perf_counter() - began_s


def measure_memory(core: Path) -> list[Figure]:
    """In a process each: what grows with twice as many runs, without and with their accounts."""
    bytes_each = {}
    for kind in ("runs", "accounts"):
        command = [sys.executable, "-m", "bench.weigh", kind]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(core), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ChildProcessError(f"{' '.join(command)} failed:\n{done.stderr}")
        bytes_each[kind] = json.loads(done.stdout)["bytes"]
    return [
        Figure.of("memory_per_session", "bytes", [bytes_each["runs"]]),
        Figure.of("memory_per_account", "bytes", [bytes_each["accounts"] - bytes_each["runs"]]),
    ]
