"""A worker is ready once its group has said what is its own, and it has recovered that."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tollway.cli.kafka.broker import Broker
from tollway.cli.kafka.topics import create_topics
from worker_child import DEADLINE_S, WorkerChild, until


@pytest.fixture
def workers(fresh_broker: Broker, tmp_path: Path) -> Iterator[list[WorkerChild]]:
    create_topics(fresh_broker.bootstrap, 1)
    started: list[WorkerChild] = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        started.append(WorkerChild(tmp_path / name, fresh_broker.bootstrap))
    yield started
    for worker in started:
        worker.child.stop(DEADLINE_S)


def test_a_worker_is_ready_with_what_it_owns_and_one_that_owns_nothing_too(
    workers: list[WorkerChild],
) -> None:
    first, second = workers
    first.start()
    until(lambda: first.ready() is not None, "a ready worker", worker=first.child)
    # The first that it says.
    owned = [first.ready()]

    second.start()
    until(lambda: second.ready() is not None, "one that waits", worker=second.child)
    until(lambda: first.ready() is not None, "both to share one partition", worker=first.child)

    assert owned == [{"0"}]
    assert sorted(map(len, (first.ready() or set(), second.ready() or set()))) == [0, 1]
