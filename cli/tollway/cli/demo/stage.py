"""The demo's own Tollway: started for it, given budgets, and stopped after it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from tollway.cli.children import Child
from tollway.cli.client import Api, Document
from tollway.cli.failing import fail

__all__ = ["BUDGETS", "WORKSPACE", "Stage", "set_up", "stage", "wait_until_stored"]

WORKSPACE = "demo"
START_SECONDS = 120.0
STOP_SECONDS = 60.0
STORED_SECONDS = 120.0
_LOOK_AGAIN_SECONDS = 0.2

# Above the dearest recorded runs of healthy agents (profiles.json, usd_per_run).
BUDGETS: dict[str, Document] = {
    "run": {"match": {"session": "*"}, "window": "run", "limit_usd": "6"},
    "agent-day": {"match": {"agent": "*"}, "window": "day", "limit_usd": "24"},
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    brokers: str
    api: str


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    """`tollway up` below the directory, until the end of the block."""
    home = directory / ".tollway"
    command = [sys.executable, "-m", "tollway.cli.main", "up", "--dir", str(home)]
    up = Child("tollway up", command, log=directory / "up.log")
    up.start()
    try:
        yield _ready(up, home / "run.json")
    finally:
        up.stop(STOP_SECONDS)


def _ready(up: Child, run_file: Path) -> Stage:
    deadline = monotonic() + START_SECONDS
    while not run_file.exists():
        if not up.running or monotonic() > deadline:
            fail(f"`tollway up` did not start; the end of {up.log}:\n{up.tail()}")
        sleep(_LOOK_AGAIN_SECONDS)
    run = json.loads(run_file.read_text())
    return Stage(brokers=run["broker"], api=run["api"])


def set_up(client: Api) -> None:
    """The budgets and the policy of the demo's workspace."""
    for name, budget in BUDGETS.items():
        client.put(f"/v1/budgets/{name}", {**budget, "workspace": WORKSPACE, "reason": "demo"})
    policy: Document = {"profile": "production"}
    client.post("/v1/policies", {"policy": policy, "workspace": WORKSPACE, "reason": "demo"})


def wait_until_stored(client: Api, events: int) -> tuple[Document, Document]:
    """The spend by agent, model and connection, and the audit, once they hold all events.

    While the sinks are behind, a difference is of that moment.
    """
    deadline = monotonic() + STORED_SECONDS
    while True:
        spend = client.get("/v1/spend", by="agent,model,connection", workspace=WORKSPACE)
        audit = client.get("/v1/audit", workspace=WORKSPACE)
        behind = audit["lag"] is None or audit["lag"]["records"]
        if (spend["total"]["events"] >= events and not behind) or monotonic() > deadline:
            return spend, audit
        sleep(_LOOK_AGAIN_SECONDS)
