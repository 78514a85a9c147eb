"""Logs that do not continue the books any more: the worker stops, and `rebuild` is the way out."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lost_logs import drop_usage_before, entries, event, forget_group, make_anew, position, tell
from tollway.cli.kafka.broker import Broker
from tollway.cli.main import app
from tollway.contract.ledger_entries import DecisionEntry, DocumentEntry
from tollway.contract.topics import CHARGES, COMMANDS, LEDGER, TOPICS, USAGE
from worker_child import DEADLINE_S, WorkerChild, charges, dead_letters, send, until

OLD = [f"old-{n}" for n in range(5)]
NEW = [f"new-{n}" for n in range(8)]

Start = Callable[[], WorkerChild]


def tollway_rebuild(broker: Broker, *options: str, answer: str = "") -> Result:
    arguments = ["rebuild", "--brokers", broker.bootstrap, *options]
    return CliRunner().invoke(app, arguments, input=answer, env={"NO_COLOR": "1"})


def accepted(broker: Broker) -> str:
    """What `rebuild` says once the group has forgotten the worker that stopped."""
    results: list[Result] = []

    def is_let() -> bool:
        results.append(tollway_rebuild(broker, "--yes"))
        return "a worker runs" not in results[-1].stderr

    until(is_let, "the session of the worker that stopped to end")
    assert results[-1].exit_code == 0, results[-1].output
    return results[-1].stdout


def budget(name: str, usd: str) -> dict[str, object]:
    return {"type": "budget.set", "budget": {"id": name, "window": "total", "limit_usd": usd}}


@pytest.fixture
def one_by_one(fresh_broker: Broker) -> None:
    if fresh_broker.kind.startswith("embedded"):
        pytest.skip("the embedded broker drops no records, and loses its topics together")


@pytest.fixture
def start(fresh_broker: Broker, tmp_path: Path) -> Iterator[Start]:
    workers: list[WorkerChild] = []

    def started() -> WorkerChild:
        directory = tmp_path / str(len(workers))
        directory.mkdir()
        workers.append(WorkerChild(directory, fresh_broker.bootstrap))
        workers[-1].start()
        return workers[-1]

    yield started
    for worker in workers:
        # Killed, it would be in the next test's group until its session ends.
        worker.child.stop(DEADLINE_S)


@pytest.fixture
def books(fresh_broker: Broker, start: Start) -> WorkerChild:
    """A worker whose books hold a budget that blocks, and the events `OLD`."""
    where = fresh_broker.bootstrap
    make_anew(where)
    worker = start()
    until(lambda: worker.partitions() > 0, "a ready worker")
    tell(where, budget("first", "0.01"))
    until(lambda: "position" in entries(where), "the budget to be in the books")
    send(where, [event(name) for name in OLD])
    until(lambda: position(where).usage_offset == len(OLD) - 1, "the events to be in the books")
    return worker


def stop(worker: WorkerChild) -> None:
    worker.child.signal(signal.SIGTERM)
    assert worker.exit_code() == 0


def stopped_for(worker: WorkerChild) -> str:
    """Why a worker that was started again ended at once."""
    assert worker.exit_code() == 78, worker.child.tail()
    said = worker.child.tail(3)
    assert "`tollway rebuild` shows what is lost" in said
    return said


def charged_once(broker: Broker, *names: str) -> bool:
    found = [charge.id for charge in charges(broker.bootstrap, set(names))]
    return sorted(found) == sorted(names)


@pytest.mark.usefixtures("one_by_one")
def test_a_log_that_lost_its_beginning_goes_on_where_it_begins(
    fresh_broker: Broker, books: WorkerChild, start: Start
) -> None:
    where = fresh_broker.bootstrap
    beside = tollway_rebuild(fresh_broker, "--yes")
    stop(books)
    untouched = tollway_rebuild(fresh_broker)
    send(where, [event(name) for name in NEW])
    drop_usage_before(where, 8)

    assert "tollway.usage begins at offset 8, but the books have seen 4: 3 records are gone" in (
        stopped_for(start())
    )
    until(lambda: "y/N" in tollway_rebuild(fresh_broker, answer="n\n").output, "the group's end")
    assert position(where).generation == 1

    said = accepted(fresh_broker)

    assert "it goes on at offset 8 of tollway.usage and 1 of tollway.commands" in said
    worker = start()
    assert charged_once(fresh_broker, *OLD, *NEW[3:])
    (letter,) = dead_letters(where, [5])
    assert (letter.reason, letter.topic) == ("lost", USAGE.name)
    assert "3 records are gone; accepted by `tollway rebuild`" in letter.detail
    assert position(where).generation == 2
    assert worker.child.running

    assert beside.exit_code == 1
    assert "a worker runs" in beside.stderr
    assert (
        untouched.stdout == "nothing is lost: the books of all 4 partitions go on by themselves\n"
    )


def test_a_usage_topic_made_anew_is_read_from_its_beginning_and_counts_nothing_twice(
    fresh_broker: Broker, books: WorkerChild, start: Start
) -> None:
    where = fresh_broker.bootstrap
    stop(books)
    make_anew(where, USAGE.name)
    # More than the books have seen of the old one, some of it sent again.
    send(where, [event(name) for name in [*OLD[3:], *NEW]])

    assert "tollway.usage was made anew" in stopped_for(start())
    assert "it goes on at offset 0 of tollway.usage" in accepted(fresh_broker)

    start()
    assert charged_once(fresh_broker, *OLD, *NEW)
    assert position(where).counts["duplicates"] == 2


def test_a_commands_topic_made_anew_is_obeyed_from_its_beginning(
    fresh_broker: Broker, books: WorkerChild, start: Start
) -> None:
    where = fresh_broker.bootstrap
    stop(books)
    make_anew(where, COMMANDS.name)
    tell(where, budget("second", "50"), budget("third", "0.001"))

    assert "tollway.commands was made anew" in stopped_for(start())
    assert "4 of tollway.usage" not in accepted(fresh_broker)

    start()
    until(lambda: position(where).commands_offset == 1, "both commands to be obeyed")
    held = {
        entry.name: entry.commands_offset
        for entry in entries(where).values()
        if isinstance(entry, DocumentEntry)
    }
    assert held == {"first": -1, "second": 0, "third": 1}
    # What the old budget blocked stands; what the new one does is of a newer version.
    blocks = {
        entry.decision.rule: entry.decision.version[0]
        for entry in entries(where).values()
        if isinstance(entry, DecisionEntry)
    }
    assert blocks == {"budget:first": 1, "budget:third": 2}


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize("group", ["noted what it read", "died before it noted anything"])
def test_books_that_are_gone_begin_anew_behind_what_was_charged(
    fresh_broker: Broker, books: WorkerChild, start: Start, group: str
) -> None:
    where = fresh_broker.bootstrap
    stop(books)
    if group == "died before it noted anything":
        forget_group(where)
    make_anew(where, LEDGER.name)
    send(where, [event(name) for name in NEW])

    assert "tollway.ledger has no books, but tollway.usage was booked up to offset 4" in (
        stopped_for(start())
    )
    said = accepted(fresh_broker)

    assert "its books begin anew: what was spent counts as 0 for budgets" in said
    assert "it goes on at offset 5 of tollway.usage" in said
    start()
    assert charged_once(fresh_broker, *OLD, *NEW)
    found = entries(where)
    assert position(where).generation == 2
    assert [e.name for e in found.values() if isinstance(e, DocumentEntry)] == ["first"]
    # Agents obey what the old books decided last, so the new ones know of it.
    assert [e.decision.action for e in found.values() if isinstance(e, DecisionEntry)] == ["block"]


@pytest.mark.usefixtures("one_by_one")
def test_charges_of_a_log_before_this_one_are_no_books_that_were_lost(
    fresh_broker: Broker, books: WorkerChild, start: Start
) -> None:
    where = fresh_broker.bootstrap
    stop(books)
    make_anew(where, *(topic.name for topic in TOPICS if topic is not CHARGES))
    send(where, [event(name) for name in NEW])

    worker = start()

    assert charged_once(fresh_broker, *OLD, *NEW)
    assert position(where).generation == 1
    assert worker.child.running


@pytest.mark.usefixtures("one_by_one")
def test_a_ledger_made_anew_under_a_worker_ends_it_before_its_books_are_taken_for_whole(
    fresh_broker: Broker, books: WorkerChild, start: Start
) -> None:
    where = fresh_broker.bootstrap
    make_anew(where, LEDGER.name)
    send(where, [event("between")])

    assert books.exit_code() == 70
    assert stopped_for(start()).count("tollway.ledger") == 1
    accepted(fresh_broker)

    start()
    send(where, [event(name) for name in NEW])
    assert charged_once(fresh_broker, *OLD, "between", *NEW)
    assert position(where).generation == 2
