"""Caps, costs and counts in a real PostgreSQL: exact, of the day, and right under concurrency."""

import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postgres_server import running_postgres
from tollway.compat.pramiti import (
    ActionBudgetChecker,
    BudgetExceededError,
    CapChecker,
    CapExceededError,
    CapWarning,
    ICostBackend,
    InMemoryBackend,
    PostgresActionBackend,
    PostgresBackend,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_postgres(tmp_path_factory.mktemp("postgres")) as conninfo:
        yield conninfo


@pytest.fixture
def database(server: str) -> str:
    """Each test's own schema, empty: as good as a database, and made in no time."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create schema {name}".encode())
    return psycopg.conninfo.make_conninfo(server, options=f"-csearch_path={name}")


@pytest.fixture
def backend(database: str) -> Iterator[PostgresBackend]:
    opened = PostgresBackend(database)
    yield opened
    opened.close()


@pytest.fixture
def actions(database: str) -> Iterator[PostgresActionBackend]:
    opened = PostgresActionBackend(database)
    yield opened
    opened.close()


def at_once(workers: int, work: Callable[[], None]) -> None:
    """In threads that begin together; what one raises is raised here."""
    together = threading.Barrier(workers)

    def run() -> None:
        together.wait()
        work()

    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(run) for _ in range(workers)]:
            done.result()


def test_a_cap_that_is_spent_blocks(backend: PostgresBackend) -> None:
    backend.set_cap("ws", "bot", 5.0)
    backend.add_cost("ws", "bot", 4.999999999999)
    CapChecker(backend).check("ws", "bot")
    backend.add_cost("ws", "bot", 0.000000000001)

    with pytest.raises(CapExceededError) as raised:
        CapChecker(backend).check("ws", "bot")
    assert (raised.value.today_cost, raised.value.max_usd) == (5.0, 5.0)


def test_a_cap_that_is_set_again_is_another(backend: PostgresBackend) -> None:
    backend.set_cap("ws", "bot", 5.0)
    backend.set_cap("ws", "bot", 10.0, "warn")
    backend.add_cost("ws", "bot", 12.0)

    with pytest.warns(CapWarning):
        CapChecker(backend).check("ws", "bot")
    CapChecker(backend).check("ws", "another")
    CapChecker(backend).check("another", "bot")


def test_money_is_exact_to_the_twelfth_digit(backend: PostgresBackend) -> None:
    for _ in range(3):
        backend.add_cost("ws", "bot", 0.1)
    backend.add_cost("ws", "bot", Decimal("0.000000000001"))  # type: ignore[arg-type]  # may be one

    assert backend.today_usd("ws", "bot") == Decimal("0.300000000001")


@pytest.mark.parametrize("cost", [-1.0, float("nan"), float("inf")])
def test_a_cost_that_is_none_adds_nothing(backend: PostgresBackend, cost: float) -> None:
    with pytest.raises(ValueError, match="amount of dollars"):
        backend.add_cost("ws", "bot", cost)

    assert backend.get_today_cost("ws", "bot") == 0.0


def test_the_day_is_the_databases_in_utc(backend: PostgresBackend, database: str) -> None:
    backend.set_cap("ws", "bot", 5.0)
    backend.add_cost("ws", "bot", 6.0)

    with psycopg.connect(database) as session:
        # A session of another zone, in which it is tomorrow, or yesterday.
        session.execute("set time zone 'Pacific/Kiritimati'")
        session.execute("update tollway_costs set day = day - 1")

    assert backend.get_today_cost("ws", "bot") == 0.0
    CapChecker(backend).check("ws", "bot")


def test_threads_lose_no_cost(backend: PostgresBackend) -> None:
    def spend() -> None:
        for _ in range(50):
            backend.add_cost("ws", "bot", 0.001)

    at_once(8, spend)

    assert backend.today_usd("ws", "bot") == Decimal("0.4")


def test_connections_of_their_own_lose_no_cost_and_get_no_count_twice(
    backend: PostgresBackend, database: str
) -> None:
    counts: list[int] = []

    def spend() -> None:
        costs, actions = PostgresBackend(database), PostgresActionBackend(database)
        for _ in range(25):
            costs.add_cost("ws", "bot", 0.01)
            counts.append(actions.incr("ws", "bot", "session"))
        costs.close()
        actions.close()

    # All of them find no table yet.
    at_once(6, spend)

    assert backend.today_usd("ws", "bot") == Decimal("1.5")
    assert sorted(counts) == list(range(1, 151))


def test_another_process_sees_what_this_one_spent(backend: PostgresBackend, database: str) -> None:
    backend.set_cap("ws", "bot", 5.0)
    backend.add_cost("ws", "bot", 6.0)
    code = (
        "import sys; from tollway.compat.pramiti import CapChecker, PostgresBackend;"
        "CapChecker(PostgresBackend(sys.argv[1])).check('ws', 'bot')"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, database],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "CapExceededError: Agent 'bot' daily warehouse cost cap exceeded" in done.stderr


def test_a_forked_child_has_a_connection_of_its_own(database: str) -> None:
    code = (
        "import os, sys; from tollway.compat.pramiti import PostgresBackend\n"
        "backend = PostgresBackend(sys.argv[1]); backend.add_cost('ws', 'bot', 1.0)\n"
        "children = []\n"
        "for _ in range(3):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        for _ in range(20): backend.add_cost('ws', 'bot', 0.01)\n"
        "        os._exit(0)\n"
        "    children.append(child)\n"
        "for _ in range(20): backend.add_cost('ws', 'bot', 0.01)\n"
        "print([os.waitpid(child, 0)[1] for child in children])\n"
        "print(backend.today_usd('ws', 'bot'))\n"
        "backend.close()\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, database],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout.splitlines() == ["[0, 0, 0]", "1.800000000000"], done.stderr


def test_a_connection_that_broke_is_opened_again(backend: PostgresBackend, database: str) -> None:
    backend.add_cost("ws", "bot", 1.0)
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )

    # Nobody knows whether it was carried out, so it is not sent again.
    with pytest.raises(psycopg.OperationalError):
        backend.add_cost("ws", "bot", 1.0)

    assert backend.get_today_cost("ws", "bot") == 1.0


def test_the_fiftieth_action_is_the_last_of_fifty(actions: PostgresActionBackend) -> None:
    actions.set_budget("ws", "bot", "session", 50)
    actions.incr("ws", "bot", "session", 49)
    ActionBudgetChecker(actions).check("ws", "bot")
    actions.incr("ws", "bot", "session")

    with pytest.raises(BudgetExceededError):
        ActionBudgetChecker(actions).check("ws", "bot")
    actions.reset("ws", "bot", "session")
    ActionBudgetChecker(actions).check("ws", "bot")


Agent = st.sampled_from(["a", "b"])
Step = st.one_of(
    st.tuples(st.just("add"), Agent, st.integers(0, 500).map(lambda cents: cents / 100)),
    st.tuples(st.just("cap"), Agent, st.integers(0, 500).map(lambda cents: cents / 100)),
    st.tuples(st.just("reset"), Agent, st.just(0.0)),
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(Step, max_size=12))
def test_it_answers_as_memory_does(
    backend: PostgresBackend, steps: list[tuple[str, str, float]]
) -> None:
    # Each example's own: the database is the test's.
    workspace = uuid.uuid4().hex
    memory = InMemoryBackend(today=lambda: date(2026, 1, 31))
    for name, agent, usd in steps:
        for one in (backend, memory):
            if name == "add":
                one.add_cost(workspace, agent, usd)
            elif name == "cap":
                one.set_cap(workspace, agent, usd)
            else:
                one.reset_cost(workspace, agent)
        assert blocked(backend, workspace, agent) == blocked(memory, workspace, agent)


def blocked(backend: ICostBackend, workspace: str, agent: str) -> tuple[float, float] | None:
    try:
        CapChecker(backend).check(workspace, agent)
    except CapExceededError as error:
        return error.today_cost, error.max_usd
    return None


def test_what_is_reset_was_never_spent(backend: PostgresBackend) -> None:
    backend.add_cost("ws", "bot", 1.0)
    backend.reset_cost("ws", "bot")

    assert backend.get_today_cost("ws", "bot") == 0.0
