"""What an event costs the ledgers alone, in this process, and whether a change of them shows.

    python -m bench.ledger_cost [EVENTS] [--digest]

Prints microseconds an event for each stage, and what decoding alone takes on the same machine at
the same time, to compare with. `--digest` also prints a hash of everything that was written:
equal before and after a change that should change nothing. With the compiled modules:
``PYTHONPATH=$(python -m bench.compile --into DIRECTORY)``.
"""

import argparse
import hashlib
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from bench.traffic import Record, Traffic, data_directory
from tollway.contract.topics import DEFAULT_PARTITIONS, partition_of
from tollway.contract.usage import UsageEvent
from tollway.domain.commanding import obey
from tollway.domain.ledger import Ledger
from tollway.domain.prices import Catalogue, PriceBook

# Far from now, so that runs of the bench on different days write the same.
NOW_MS = 1_790_000_000_000
COMMANDED_MS = NOW_MS - 700_000
SLICE = 1000
CHUNK = 4
# About what one second of a busy worker is.
EVENTS_PER_CLOSING = 40_000
EVENTS_PER_MS = 50

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(UsageEvent).decode


class Part(NamedTuple):
    """One partition: its ledger and its records."""

    ledger: Ledger
    records: list[Record]


def parts_of(traffic: Traffic) -> list[Part]:
    catalogue = Catalogue.bundled()
    count = DEFAULT_PARTITIONS
    parts = [Part(Ledger(p, count, PriceBook(catalogue)), []) for p in range(count)]
    for offset, command in enumerate(traffic.commands(COMMANDED_MS)):
        ledger = parts[partition_of(command.workspace, count)].ledger
        value = command.model_dump_json().encode()
        obey(ledger, command.workspace.encode(), value, offset, COMMANDED_MS)
    for record in traffic.records(NOW_MS):
        parts[partition_of(record.key.decode(), count)].records.append(record)
    return parts


class Cost:
    """Seconds by stage, and a hash of what was written."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.written = hashlib.sha256()

    def apply(self, part: Part, first: int) -> None:
        records = part.records[first : first + SLICE]
        offsets = range(first, first + len(records))
        stamps = [NOW_MS + offset // EVENTS_PER_MS for offset in offsets]
        values, keys = [r.value for r in records], [r.key for r in records]
        began_s = time.perf_counter()
        part.ledger.apply(values, keys, offsets, stamps)
        self.seconds["apply"] += time.perf_counter() - began_s
        began_s = time.perf_counter()
        said = [_encode(verdict) for verdict in part.ledger.take_verdicts()]
        self.seconds["verdicts"] += time.perf_counter() - began_s
        self.written.update(b"".join(said))

    def close(self, part: Part) -> None:
        began_s = time.perf_counter()
        entries = part.ledger.close()
        self.seconds["close"] += time.perf_counter() - began_s
        began_s = time.perf_counter()
        state = [(key, _encode(entry)) for key, entry in entries]
        self.seconds["encode"] += time.perf_counter() - began_s
        self.written.update(b"".join(part.ledger.take_charges()))
        for key, value in state:
            self.written.update(key.encode() + value)


def slices(parts: list[Part]) -> Iterator[tuple[Part, int]]:
    """Chunks of one partition after the other, as they are fetched."""
    longest = max(len(part.records) for part in parts)
    for chunk in range(0, longest, CHUNK * SLICE):
        for part in parts:
            for first in range(chunk, chunk + CHUNK * SLICE, SLICE):
                if first < len(part.records):
                    yield part, first


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, prog="python -m bench.ledger_cost")
    arguments.add_argument("events", type=int, nargs="?", default=300_000)
    arguments.add_argument("--digest", action="store_true")
    given = arguments.parse_args()
    parts = parts_of(Traffic(given.events, data_directory()))
    cost, open_events = Cost(), 0
    for part, first in slices(parts):
        cost.apply(part, first)
        open_events += SLICE
        if open_events >= EVENTS_PER_CLOSING:
            open_events = 0
            for each in parts:
                cost.close(each)
    values = [record.value for part in parts for record in part.records[:2000]]
    began_s = time.perf_counter()
    for value in values:
        _decode(value)
    cost.seconds["decoding alone"] = (time.perf_counter() - began_s) * given.events / len(values)
    for stage, seconds in cost.seconds.items():
        print(f"{stage:16} {seconds / given.events * 1e6:8.2f} µs an event")
    if given.digest:
        print(f"written          {cost.written.hexdigest()}")


if __name__ == "__main__":
    main()
