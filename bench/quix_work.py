"""The worker's work as quixstreams would do it, exactly once, as near as its API allows.

``python -m bench.quix_work BROKERS GROUP DIRECTORY EVENTS RATES``. An event is decoded by msgspec,
known by its id if it came before, priced by three rates a model (`RATES`, a JSON file), added to
five accounts and to its minute, and looked at by three detectors in their simplest form; a charge
leaves for each. State is quixstreams' own, in RocksDB with a changelog, committed once a second in
a transaction with the charges. It does less than the worker: no dated prices, no thresholds, no
decisions, no running numbers of producers.

Runs in an environment of its own (`.bench/venv`): nothing of ours but the contract is imported.
"""

import os
import sys
from pathlib import Path
from typing import Any

import msgspec
from quixstreams import Application, State

from bench.meter import Meter
from tollway.contract.topics import USAGE
from tollway.contract.usage import UsageEvent

RUN_LIMIT_PICO = 25 * 10**12
SAME_CALLS = 5
BLOAT_TOKENS = 100_000

Rates = dict[str, tuple[int, int, int]]

_decode = msgspec.json.Decoder(UsageEvent).decode
_encode = msgspec.json.Encoder().encode


class Charge(msgspec.Struct):
    """What leaves for each event: the fields of our charge that most events have."""

    workspace: str
    agent: str
    session: str | None
    model: str | None
    id: str
    time: str
    cost: int
    input_tokens: int
    output_tokens: int
    found: list[str]


def cost_of(event: UsageEvent, rates: Rates) -> int:
    found = rates.get(event.model or "")
    if found is None:
        return 0
    per_input, per_output, per_read = found
    fresh = event.input_tokens - event.cache_read_tokens
    return fresh * per_input + event.cache_read_tokens * per_read + event.output_tokens * per_output


def watch(run: dict[str, Any], event: UsageEvent, cost: int) -> list[str]:
    """Three detectors: the same call again and again, a context that grows, a run too dear."""
    found = []
    mark = event.args_hash or event.prompt_hash
    run["same"] = run["same"] + 1 if mark and mark == run["mark"] else 0
    run["mark"] = mark
    if run["same"] >= SAME_CALLS:
        found.append("retry_loop")
    run["first_input"] = run["first_input"] or event.input_tokens
    if event.input_tokens > run["first_input"] + BLOAT_TOKENS:
        found.append("context_bloat")
    run["spent"] += cost
    if run["spent"] >= RUN_LIMIT_PICO:
        found.append("budget_exceeded")
    return found


def charge(event: UsageEvent, state: State, rates: Rates) -> bytes | None:
    """One event, once; None for one that came before. The key of the state is the workspace."""
    mark = f"id/{event.source}/{event.id}"
    if state.exists(mark):
        return None
    state.set(mark, 1)
    cost = cost_of(event, rates)
    for account in (
        "everything",
        f"agent/{event.agent}",
        f"session/{event.session}",
        f"model/{event.model}",
        f"connection/{event.connection}",
        f"minute/{event.time[:16]}/{event.agent}/{event.model}/{event.connection}",
    ):
        state.set(account, state.get(account, 0) + cost)
    key = f"run/{event.session}/{event.agent}"
    run = state.get(key) or {"same": 0, "mark": None, "first_input": 0, "spent": 0}
    found = watch(run, event, cost)
    state.set(key, run)
    return _encode(
        Charge(
            event.workspace,
            event.agent,
            event.session,
            event.model,
            event.id,
            event.time,
            cost,
            event.input_tokens,
            event.output_tokens,
            found,
        )
    )


def main() -> None:
    brokers, group, directory, count, rates_file = sys.argv[1:]
    rates: Rates = msgspec.json.decode(Path(rates_file).read_bytes(), type=Rates)
    app = Application(
        brokers,
        consumer_group=group,
        auto_offset_reset="earliest",
        state_dir=directory,
        processing_guarantee="exactly-once",
        commit_interval=1.0,
        consumer_extra_config={"fetch.queue.backoff.ms": 5},
        loglevel="WARNING",
    )
    usage = app.topic(USAGE.name, value_deserializer="bytes")
    charges = app.topic(f"{group}-charges", value_serializer="bytes")
    meter = Meter(int(count))

    def work(value: bytes, state: State) -> bytes | None:
        line = charge(_decode(value), state, rates)
        if meter.count():
            print(meter.line(), flush=True)
            os._exit(0)
        return line

    priced = app.dataframe(usage).apply(work, stateful=True)
    priced.filter(lambda line: line is not None).to_topic(charges)
    app.run()


if __name__ == "__main__":
    main()
