"""Ledgers that die anywhere, again and again: what they leave is what one long life leaves."""

import json
import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from fault_run import fault_seed
from oracle import expect
from replayed import Crashing, LogRecord, replay
from tollway.domain.prices import Catalogue
from workload import Plan, end_for, read_log, recorded_traces, why_no_traces, write_log

PARTITIONS = 12
DEATHS = 20


def test_a_ledger_that_dies_anywhere_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    if missing := why_no_traces():
        pytest.skip(missing)
    seed = fault_seed()
    path = tmp_path / "log.jsonl"
    write_log(Plan(seed=seed, events=8_000, end_ms=end_for(seed)), recorded_traces(), path)
    catalogue = Catalogue.bundled()
    usage: dict[int, list[LogRecord]] = defaultdict(list)
    commands: dict[int, list[tuple[int, LogRecord]]] = defaultdict(list)
    for line in read_log(path):
        key, seen = line.key.encode(), len(usage[line.partition])
        if line.topic == "usage":
            record = LogRecord(seen, key, line.value, line.stamp_ms, dict(line.headers or {}))
            usage[line.partition].append(record)
        else:
            record = LogRecord(len(commands[line.partition]), key, line.value, line.stamp_ms)
            commands[line.partition].append((seen, record))
    charged: Counter[tuple[str, str, str]] = Counter()
    for partition in range(PARTITIONS):
        heard, told = usage[partition], commands[partition]
        dying = Crashing(partition, heard, told, catalogue, random.Random(seed))

        lives = dying.live(DEATHS)

        only = [record for _, record in told]
        one = replay(partition, heard, only, dying.interleaving, catalogue)
        where = f"seed {seed}, partition {partition}"
        assert lives.charges == one.charges, where
        assert lives.torn == {}, where
        assert lives.verdicts == one.verdicts, where
        assert lives.state == one.state, where
        for text in lives.charges:
            charge = json.loads(text)
            dollars, _, rest = charge["cost"].partition(".")
            told_id = charge.get("adjusts") or charge["id"]
            charged[(charge["workspace"], charge.get("source", ""), told_id)] += int(dollars + rest)
    by_hand = expect(read_log(path), catalogue)
    assert charged == {key: charge.cost_pico for key, charge in by_hand.charges.items()}
