"""The loop: nothing lost, nothing counted twice, nobody waits for the store."""

import threading
from collections.abc import Callable
from itertools import pairwise
from threading import Event

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from sinks_fakes import FakeGroup, FakeLetters, FakeStore, Killed, record
from tollway.sinks.batch import MAX_BATCH_RECORDS, Batch
from tollway.sinks.health import Health
from tollway.sinks.metrics import SinkMetrics
from tollway.sinks.pump import Pump
from tollway.sinks.records import Record
from tollway.sinks.writer import Writer

CHARGES = ("tollway.charges", 0)
DEADLINE_S = 20.0


def charges(count: int, first: int = 0) -> list[Record]:
    """Each with two rows: `1a` and `1b`, and so on."""
    return [
        record("tollway.charges", b"%da\n%db" % (offset, offset), offset=offset)
        for offset in range(first, first + count)
    ]


class Sinks:
    """The pump on a thread of its own, over fakes."""

    def __init__(self, group: FakeGroup, store: FakeStore, letters: FakeLetters) -> None:
        self.group, self.store, self.letters = group, store, letters
        self.stop = Event()
        self.health = Health()
        self.metrics = SinkMetrics(CollectorRegistry())
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        writer = Writer(self.store, self.letters, self.stop, self.health, self.metrics)
        pump = Pump(self.group, writer, self.health, self.metrics, drain_s=DEADLINE_S)
        try:
            pump.run(self.stop)
        except Killed as killed:
            self.failure = killed

    def until(self, condition: Callable[[], bool]) -> None:
        """Runs until the condition holds, and leaves it running."""
        if not self.thread.is_alive():
            self.thread.start()
        waiting = Event()
        for _ in range(int(DEADLINE_S * 500)):
            if condition():
                return
            waiting.wait(0.002)
        raise AssertionError(f"never: {self.health.report()}, committed {self.group.committed}")

    def drain(self) -> None:
        """Runs until all is stored, and stops."""
        self.stop.set()
        if not self.thread.is_alive():
            self.thread.start()
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()


def sinks_over(*records: Record) -> Sinks:
    return Sinks(FakeGroup(records), FakeStore(), FakeLetters())


def test_records_are_stored_and_then_committed_past_the_mark_of_their_transaction() -> None:
    sinks = sinks_over(*charges(3))

    sinks.drain()

    assert sinks.store.lines["charges"] == [b"0a", b"0b", b"1a", b"1b", b"2a", b"2b"]
    assert sinks.group.committed == {CHARGES: 4}


def test_a_kill_between_insert_and_commit_repeats_the_same_rows_and_loses_none() -> None:
    def killed() -> None:
        raise Killed

    sinks = sinks_over(*charges(25))
    sinks.group.before_commit = killed
    sinks.drain()
    assert isinstance(sinks.failure, Killed)
    assert sinks.group.committed == {}

    sinks.group.before_commit = lambda: None
    sinks.group.join()
    again = Sinks(sinks.group, sinks.store, FakeLetters())
    again.drain()

    rows = sinks.store.lines["charges"]
    assert len(rows) > 50
    assert set(rows) == {b"%d%s" % (number, row) for number in range(25) for row in (b"a", b"b")}
    assert sinks.group.committed == {CHARGES: 26}


def test_while_the_store_is_away_nothing_is_committed_and_polling_goes_on() -> None:
    sinks = sinks_over(*charges(3))
    sinks.store.away = 10**9

    sinks.until(lambda: "connection refused" in sinks.health.report().detail)
    polls = sinks.group.polls
    sinks.until(lambda: sinks.group.polls > polls + 20)

    assert sinks.group.committed == {}
    assert not sinks.health.report().ready
    sinks.store.away = 0
    sinks.until(lambda: sinks.group.committed == {CHARGES: 4})
    assert sinks.health.report().ready
    assert sinks.store.lines["charges"] == [b"0a", b"0b", b"1a", b"1b", b"2a", b"2b"]
    sinks.drain()


def test_told_to_stop_while_the_store_is_away_it_stops_and_commits_nothing() -> None:
    sinks = sinks_over(*charges(3))
    sinks.store.away = 10**9
    sinks.until(lambda: bool(sinks.health.report().detail) and sinks.store.inserts > 0)

    sinks.drain()

    assert sinks.group.committed == {}


def test_behind_a_slow_store_partitions_are_paused_and_two_batches_are_in_memory() -> None:
    sinks = sinks_over(*charges(3 * MAX_BATCH_RECORDS))
    sinks.store.gate = Event()

    sinks.until(lambda: sinks.group.paused)
    polls = sinks.group.polls
    sinks.until(lambda: sinks.group.polls > polls + 20)

    # One batch is being written, the other is full; a poll can overshoot by its own size.
    assert sinks.group.positions[CHARGES] <= 2 * MAX_BATCH_RECORDS + 20
    sinks.store.gate.set()
    sinks.drain()
    assert len(sinks.store.lines["charges"]) == 6 * MAX_BATCH_RECORDS


def test_a_refused_row_becomes_a_dead_letter_and_its_neighbours_are_rows() -> None:
    records = charges(9)
    records[4] = record("tollway.charges", b"4a\nrefuse me\n4b", offset=4, key=b"acme")
    sinks = sinks_over(*records)

    sinks.drain()

    assert sorted(sinks.store.lines["charges"]) == sorted(
        b"%d%s" % (number, row) for number in range(9) for row in (b"a", b"b")
    )
    [(key, letter)] = sinks.letters.confirmed
    assert key == b"acme"
    assert (letter.reason, letter.topic, letter.offset) == ("refused_by_store", *CHARGES[:1], 4)
    assert letter.value == "cmVmdXNlIG1l"
    assert sinks.group.committed == {CHARGES: 10}


def test_offsets_wait_until_dead_letters_are_confirmed() -> None:
    sinks = sinks_over(record("tollway.control", b"{"), *charges(1))
    sinks.letters.unconfirmed = 1
    committed_before: list[int] = []
    sinks.group.before_commit = lambda: committed_before.append(len(sinks.letters.confirmed))

    sinks.until(lambda: bool(sinks.group.committed))
    sinks.drain()

    assert committed_before[0] == 1
    assert sinks.letters.confirmed[0][1].reason == "broken_json"


def test_the_store_refusing_a_dead_letter_makes_no_further_one() -> None:
    value = {
        "reason": "empty",
        "detail": "refuse",
        "topic": "tollway.usage",
        "partition": 0,
        "offset": 0,
        "time": "2026-03-10T12:00:00.000Z",
        "size_bytes": 0,
    }
    sinks = sinks_over(record("tollway.deadletter", value))

    sinks.drain()

    assert sinks.letters.confirmed == []
    assert sinks.group.committed == {("tollway.deadletter", 0): 2}


def test_a_commit_that_fails_is_tried_again() -> None:
    sinks = sinks_over(*charges(2))
    sinks.group.commits_fail = 2

    sinks.until(lambda: sinks.group.committed == {CHARGES: 3})

    assert sinks.metrics.registry.get_sample_value("tollway_sink_failed_commits_total") == 2
    sinks.drain()


def test_a_lost_partition_is_not_committed_from_what_was_read_before() -> None:
    sinks = sinks_over(*charges(2))
    sinks.store.gate = Event()
    sinks.until(lambda: sinks.store.inserts == 1)
    sinks.group.log[CHARGES].extend(charges(1, first=5))

    sinks.group.lose(CHARGES)
    sinks.until(lambda: sinks.group.positions[CHARGES] == 7)
    commits: list[dict[tuple[str, int], int]] = []
    sinks.group.before_commit = lambda: commits.append(dict(sinks.group.committed))
    sinks.store.gate.set()
    sinks.drain()

    # Read anew from the beginning and stored twice: the first reading alone committed nothing.
    assert sinks.store.lines["charges"].count(b"0a") == 2
    assert commits == [{}]
    assert sinks.group.committed == {CHARGES: 7}


def test_records_of_a_lost_partition_leave_the_batch() -> None:
    batch = Batch(None)
    batch.add(record("tollway.charges", b"0a", offset=0), 0.0)
    batch.add(record("tollway.charges", b"0b", offset=0, partition=1), 0.0)
    batch.add(record("tollway.charges", None, offset=1), 0.0)

    batch.forget([CHARGES])

    assert [line.body for line in batch.lines] == [b"0b"]
    assert batch.malformed == []
    assert batch.offsets == {("tollway.charges", 1): 1}


def test_an_unexpected_error_ends_the_loop_also_while_the_store_is_away() -> None:
    sinks = sinks_over(*charges(2))
    sinks.store.away = 10**9
    sinks.until(lambda: "refused" in sinks.health.report().detail)

    def killed() -> dict[str, int]:
        raise Killed

    sinks.group.lag = killed  # type: ignore[method-assign]  # the fake's way to fail unexpectedly
    sinks.thread.join(DEADLINE_S)

    assert isinstance(sinks.failure, Killed)


def test_what_is_done_is_counted() -> None:
    sinks = sinks_over(*charges(3), record("tollway.control", b"{"))

    sinks.drain()

    value = sinks.metrics.registry.get_sample_value
    assert value("tollway_sink_rows_total", {"table": "charges"}) == 6
    assert value("tollway_sink_dead_letters_total", {"reason": "broken_json"}) == 1
    assert value("tollway_sink_lag_records", {"topic": "tollway.charges"}) == 0
    report = sinks.health.report()
    assert report.lag == {"tollway.charges": 0, "tollway.control": 0}
    assert report.last_insert_ms is not None


@given(bad=st.sets(st.integers(0, 39)), away=st.integers(0, 2))
def test_whatever_is_refused_every_other_row_is_stored_and_each_bad_one_said(
    bad: set[int], away: int
) -> None:
    rows = [b"refuse %d" % number if number in bad else b"%d" % number for number in range(40)]
    chunks = [b"\n".join(rows[first:last]) for first, last in pairwise([0, 1, 7, 20, 40])]
    store, letters, stop = FakeStore(), FakeLetters(), Event()
    store.away = away
    batch = Batch(None)
    for offset, chunk in enumerate(chunks):
        batch.add(record("tollway.charges", chunk, offset=offset), 0.0)

    writer = Writer(store, letters, stop, Health(), SinkMetrics(CollectorRegistry()))
    stop.wait = lambda timeout=None: False  # type: ignore[method-assign]  # pauses take no time

    assert writer.write(batch)
    assert sorted(store.lines.get("charges", [])) == sorted(
        row for number, row in enumerate(rows) if number not in bad
    )
    assert len(letters.confirmed) == len(bad)
