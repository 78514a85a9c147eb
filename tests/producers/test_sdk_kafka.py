"""The SDK against a real broker: events arrive, decisions take effect, processes end well."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdk_worker import DEADLINE_S, Worker, eventually, is_blocked
from tollway import meter
from tollway.cli.kafka.broker import Broker
from tollway.producers.process import install


@pytest.fixture
def workspace() -> str:
    return f"sdk-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def worker(topics: Broker, workspace: str) -> Iterator[Worker]:
    """The shared broker, and this process metering on it."""
    before = install(None)
    try:
        meter.init(
            brokers=topics.bootstrap, workspace=workspace, agent="bot", sigterm=False, kafka={}
        )
        yield Worker(topics.bootstrap, workspace)
    finally:
        running = install(before)
        if running is not None:
            running.close(2.0)


def test_events_arrive_in_order_in_the_workspaces_partition(worker: Worker) -> None:
    for number in range(500):
        meter.record(model="gpt-4o", input_tokens=number)
    assert meter.flush(DEADLINE_S) == 0

    events = worker.events(at_least=500)
    assert [event.seq for event in events] == list(range(500))
    assert [event.input_tokens for event in events] == list(range(500))
    assert {event.producer for event in events} == {meter.stats().producer}


def test_an_invalid_event_becomes_a_loss_event(worker: Worker) -> None:
    meter.record(model="gpt-4o")
    meter.record(model="gpt-4o", input_tokens=-1)
    assert meter.flush(DEADLINE_S) == 0

    first, loss = sorted(worker.events(at_least=2), key=lambda event: event.kind, reverse=True)[:2]
    if first.kind == "loss":
        first, loss = loss, first
    assert (first.seq, loss.seq) == (0, None)
    assert (loss.kind, loss.lost, loss.agent) == ("loss", {"invalid": 1}, "bot")


def test_a_block_reaches_the_agent_and_is_lifted(worker: Worker) -> None:
    assert meter.ready(DEADLINE_S)
    assert not is_blocked()
    heard: list[str] = []
    end = meter.on_decision(lambda decision: heard.append(decision.action), agent="bot")

    worker.say(worker.decision("block", agent="bot"))
    assert eventually(is_blocked)
    worker.say(worker.decision("allow", agent="bot"))
    assert eventually(lambda: not is_blocked())
    end()

    assert heard == ["block", "allow"]


def test_heartbeats_keep_the_guard_fresh(worker: Worker) -> None:
    assert meter.ready(DEADLINE_S)
    # Another module's worker may have beaten on this broker a moment ago.
    assert eventually(lambda: meter.stats().guard == "stale")

    worker.beat()

    assert eventually(lambda: meter.stats().guard == "fresh")


def test_an_agent_that_starts_later_knows_ten_thousand_standing_blocks(
    worker: Worker, topics: Broker
) -> None:
    worker.say(*(worker.decision("block", session=f"s-{n}") for n in range(10_000)))

    began_s = time.monotonic()
    meter.init(brokers=topics.bootstrap, workspace=worker.workspace, agent="bot", wait_s=10)

    assert is_blocked(session="s-9999")
    assert is_blocked(session="s-0")
    assert not is_blocked(session="s-10000")
    assert meter.stats().decisions == 10_000
    assert time.monotonic() - began_s < 10


AGENT = """
    import os, signal, sys, threading
    from tollway import meter
    {body}
"""


def run_agent(body: str, worker: Worker, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    program = textwrap.dedent(AGENT).format(body=textwrap.dedent(body))
    environment = {name: text for name, text in os.environ.items() if "TOLLWAY" not in name}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={
            **environment,
            "TOLLWAY_BROKERS": worker.bootstrap,
            "TOLLWAY_WORKSPACE": worker.workspace,
            "TOLLWAY_AGENT": "bot",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_end_of_the_interpreter_loses_nothing(worker: Worker, tmp_path: Path) -> None:
    body = "for n in range(1000): meter.record(model='gpt-4o')"

    done = run_agent(body, worker, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(worker.events(at_least=1000)) == 1000


def test_sigterm_loses_nothing(worker: Worker, tmp_path: Path) -> None:
    body = """
for n in range(1000): meter.record(model='gpt-4o')
os.kill(os.getpid(), signal.SIGTERM)
"""

    done = run_agent(body, worker, tmp_path)

    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
    assert len(worker.events(at_least=1000)) == 1000


def test_forked_children_emit_as_producers_of_their_own(worker: Worker, tmp_path: Path) -> None:
    body = """
import multiprocessing
def work():
    for n in range(10): meter.record(model='gpt-4o', user='pool')
meter.record(model='gpt-4o', user='parent')
child = os.fork()
if child == 0:
    for n in range(10): meter.record(model='gpt-4o', user='fork')
    sys.exit(0)
os.waitpid(child, 0)
process = multiprocessing.get_context("fork").Process(target=work)
process.start()
process.join()
meter.record(model='gpt-4o', user='parent')
print(process.exitcode)
"""

    done = run_agent(body, worker, tmp_path)

    assert (done.stdout, done.returncode, done.stderr) == ("0\n", 0, "")
    events = worker.events(at_least=22)
    numbers: dict[tuple[str, str], list[int]] = {}
    for event in events:
        numbers.setdefault((event.user or "", event.producer or ""), []).append(event.seq or 0)
    assert sorted((user, seqs) for (user, _), seqs in numbers.items()) == [
        ("fork", list(range(10))),
        ("parent", [0, 1]),
        ("pool", list(range(10))),
    ]
    assert len({producer for _, producer in numbers}) == 3
