"""What a fleet left behind, in its topics and in its store, against a replay and the oracle."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from fleet import Fleet
from oracle import Expected, expect
from replayed import Life, LogRecord, entries, plain_state, replay
from stored_rows import check_store, export
from tollway.contract.control import ControlRecord, Heartbeat
from tollway.contract.ledger_entries import LedgerEntry, PositionEntry
from tollway.contract.topics import CHARGES, COMMANDS, CONTROL, DEADLETTER, LEDGER, USAGE
from tollway.domain.prices import Catalogue
from watching import Ends, Topics, committed_ends
from workload import read_log

__all__ = ["Verdict", "verify"]

_PARTITIONS = 12
_SINK_GROUP = "tollway-sinks"
_control: msgspec.json.Decoder[ControlRecord] = msgspec.json.Decoder(ControlRecord)
_entry: msgspec.json.Decoder[LedgerEntry] = msgspec.json.Decoder(LedgerEntry)


@dataclass
class Verdict:
    """`differences` is empty where everything agrees; `figures` says how much was compared."""

    differences: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)

    def compare(self, what: str, is_: object, should: object) -> None:
        if is_ != should:
            self.differences.append(f"{what}: is {is_!r}, should be {should!r}")

    def compare_sets(self, what: str, is_: set[str], should: set[str]) -> None:
        self.differences += [f"{what}: {one!r} should not be" for one in sorted(is_ - should)]
        self.differences += [f"{what}: {one!r} is missing" for one in sorted(should - is_)]

    def count(self, what: str, number: int) -> None:
        self.figures[what] = self.figures.get(what, 0) + number


def verify(fleet: Fleet, log: Path, *, recorded: bool) -> Verdict:
    """Compares all; ends the sink, whose store only one process may open.

    Without recorded time nobody but the broker knows which events came late.
    """
    verdict = Verdict()
    catalogue = Catalogue.bundled()
    bootstrap = fleet.broker.bootstrap
    topics = Topics(bootstrap)
    counts: Counter[str] = Counter()
    verdicts: dict[str, bytes] = {}
    for partition in range(_PARTITIONS):
        life = _replayed(topics, partition, catalogue, counts, verdict)
        verdicts |= life.verdicts
    letters = [read.value for read in topics.read(DEADLETTER.name, 0)]
    topics.close()
    fleet.wait("the sink to store everything", lambda: _is_stored(bootstrap, topics.ends))
    fleet.stop_sink()
    expected = expect(read_log(log), catalogue)
    if not recorded:
        expected.late = None
    _check_counts(counts, expected, verdict)
    verdict.compare("dead letters in the topic", len(letters), expected.dead_letters.total())
    tables = export(fleet.store, fleet.directory / "rows")
    check_store(tables, expected, set(verdicts), verdict)
    return verdict


def _is_stored(bootstrap: str, ends: Ends) -> bool:
    # Dead letters of the sink's own would be another end, and a difference later.
    stored = committed_ends(bootstrap, _SINK_GROUP, ends)
    topics = {CHARGES.name, LEDGER.name, CONTROL.name, COMMANDS.name, DEADLETTER.name}
    return all(stored[place] >= end for place, end in ends.items() if place[0] in topics)


def _check_counts(counts: Counter[str], expected: Expected, verdict: Verdict) -> None:
    # What a worker sends on twice, because it died in between, is in the log twice.
    sent_on = verdict.figures["records replayed"] - expected.records
    again = sent_on - expected.misrouted
    verdict.compare("duplicates counted", counts["duplicates"], expected.duplicates + again)
    verdict.compare("misrouted records counted", counts["misrouted"], expected.misrouted)
    verdict.compare("missing numbers counted", counts["missing"], expected.missing)
    verdict.compare("skewed events counted", counts["skewed"], expected.skewed)
    if expected.late is not None:
        verdict.compare("late events counted", counts["late"], len(expected.late))
    dead = expected.dead_letters.total()
    verdict.compare("dead letters counted", counts["dead_letters"], dead)


def _replayed(
    topics: Topics,
    partition: int,
    catalogue: Catalogue,
    counts: Counter[str],
    verdict: Verdict,
) -> Life:
    """What one partition's topics hold, compared with a life without a fault of the same log."""
    usage = _records(topics, USAGE.name, partition)
    commands = _records(topics, COMMANDS.name, partition)
    held, interleaving = _ledger(topics, partition, counts, verdict)
    life = replay(partition, usage, commands, interleaving, catalogue)
    where = f"partition {partition}"
    lines: list[str] = []
    for read in topics.read(CHARGES.name, partition):
        lines.extend((read.value or b"").decode().split("\n")[:-1])
    if lines != life.charges:
        _say_charges(where, lines, life.charges, verdict)
    published = _published(topics, partition)
    verdict.differences += [
        f"{where}: {len(copies)} different copies of {name}: {sorted(copies)}"
        for name, copies in published.torn.items()
    ]
    verdict.compare_sets(
        f"{where}, verdicts",
        {value.decode() for value in published.verdicts.values()},
        {value.decode() for value in life.verdicts.values()},
    )
    for key in sorted(set(held.state) | set(life.state)):
        verdict.compare(f"{where}, state {key}", held.state.get(key), life.state.get(key))
    verdict.compare(
        f"{where}, last offset booked", interleaving[-1][0], usage[-1].offset if usage else -1
    )
    verdict.count("records replayed", len(usage))
    verdict.count("commands replayed", len(commands))
    verdict.count("lines of charges compared", len(lines))
    verdict.count("verdicts compared", len(life.verdicts))
    verdict.count("pieces of state compared", len(life.state))
    return life


def _say_charges(where: str, is_: list[str], should: list[str], verdict: Verdict) -> None:
    here, there = Counter(is_), Counter(should)
    verdict.differences += [f"{where}: charged too often: {line}" for line in here - there]
    verdict.differences += [f"{where}: not charged: {line}" for line in there - here]
    if here == there:
        verdict.differences.append(f"{where}: charges in another order than the log's")


def _records(topics: Topics, topic: str, partition: int) -> list[LogRecord]:
    # As the worker reads them: agents send without transactions.
    return [LogRecord(*read) for read in topics.read(topic, partition, "read_uncommitted")]


def _ledger(
    topics: Topics, partition: int, counts: Counter[str], verdict: Verdict
) -> tuple[Life, list[tuple[int, int]]]:
    """The state as the next owner would find it, and when commands took effect."""
    written: dict[str, bytes] = {}
    interleaving: list[tuple[int, int]] = []
    position: PositionEntry | None = None
    closings = 0
    for read in topics.read(LEDGER.name, partition):
        key = (read.key or b"").decode()
        if read.value is None:
            written.pop(key, None)
            continue
        written[key] = read.value
        if key == "position":
            entry = _entry.decode(read.value)
            assert isinstance(entry, PositionEntry)
            if position is not None and entry.usage_offset < position.usage_offset:
                verdict.differences.append(f"partition {partition}: the position ran backwards")
            if position is None or entry.commands_offset > position.commands_offset:
                interleaving.append((entry.usage_offset, entry.commands_offset))
            position = entry
            closings += 1
    if position is not None:
        interleaving.append((position.usage_offset, position.commands_offset))
        counts.update(position.counts)
    verdict.count("closings of books", closings)
    return Life(state=plain_state(entries(written))), interleaving


def _published(topics: Topics, partition: int) -> Life:
    heard = Life()
    for read in topics.read(CONTROL.name, partition):
        record = _control.decode(read.value or b"")
        if not isinstance(record, Heartbeat):
            heard.hear(record.id, read.value or b"")
    return heard
