"""Caps over Tollway itself: decisions that stand in this process, the api's budgets and spend."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from api_fakes import CommandList, FixedLag
from served_api import served
from stored import stored
from tollway.api.app import create_app
from tollway.api.clickhouse import ClickHouseStore, connect_reader
from tollway.api.settings import ApiSettings
from tollway.compat.pramiti import ApiBackend, CapChecker, CapExceededError, TollwayBackend
from tollway.compat.pramiti.api import PAGE, ApiUnavailable
from tollway.contract.command import SetBudget
from tollway.contract.moments import format_ms
from tollway.producers.testing import Meter, metered
from tollway.sinks.clickhouse import Client, connect
from tollway.sinks.migrate import migrate


@pytest.fixture
def metering() -> Iterator[Meter]:
    with metered(workspace="acme", agent="bot") as running:
        yield running


def test_what_the_fleet_blocks_is_a_cap_that_is_spent(metering: Meter) -> None:
    checker = CapChecker(TollwayBackend())
    checker.check("acme", "bot")
    metering.block(agent="bot")

    with pytest.raises(CapExceededError) as raised:
        checker.check("acme", "bot")
    checker.check("acme", "another")

    assert (raised.value.today_cost, raised.value.max_usd) == (1.0, 1.0)
    metering.lift(agent="bot")
    checker.check("acme", "bot")


def test_a_block_that_says_no_dollars_is_a_cap_all_the_same(metering: Meter) -> None:
    blocked = metering.block(agent="bot")
    tokens = msgspec.structs.replace(
        blocked, unit="tokens", spent="1000", limit="1000", version=(0, 9, 0)
    )
    metering.decide(tokens)

    with pytest.raises(CapExceededError) as raised:
        CapChecker(TollwayBackend()).check("acme", "bot")

    assert (raised.value.today_cost, raised.value.max_usd) == (0.0, 0.0)


def test_a_cost_that_is_added_is_metered_once(metering: Meter) -> None:
    backend = TollwayBackend()
    backend.set_cap("acme", "bot", 5.0)
    backend.add_cost("acme", "bot", 6.0)

    with pytest.raises(CapExceededError):
        CapChecker(backend).check("acme", "bot")
    (event,) = metering.events()
    assert (event.workspace, event.agent, event.cost) == ("acme", "bot", "6.000000000000")


@dataclass
class Fleet:
    """A running api: its address, what it appended, and a writer for what the sinks store."""

    address: str
    log: CommandList
    tables: Client


@pytest.fixture
def fleet(tmp_path: Path, now_ms: int) -> Iterator[Fleet]:
    where = f"chdb://{tmp_path}/store"
    tables = connect(where)
    migrate(tables)
    reader = connect_reader(where)
    log = CommandList()
    settings = ApiSettings(brokers="127.0.0.1:1")
    api = create_app(settings, ClickHouseStore(reader), log, FixedLag(), lambda: now_ms)
    with served(api) as address:
        yield Fleet(address, log, tables)
    reader.close()
    tables.close()


@pytest.fixture
def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_a_cap_is_a_budget_of_the_workspace_and_its_spend_what_was_charged(
    fleet: Fleet, now_ms: int
) -> None:
    backend = ApiBackend(fleet.address, kept_s=0)
    backend.set_cap("acme", "bot", 5.0)
    minute = format_ms(now_ms - now_ms % 60_000)
    spent = {"workspace": "acme", "minute": minute, "agent": "bot"}
    stored(fleet.tables, "spend", {**spent, "cost": "4.999999999999"})
    CapChecker(backend).check("acme", "bot")
    stored(fleet.tables, "spend", {**spent, "cost": "0.000000000001", "model": "m"})

    with pytest.raises(CapExceededError) as raised:
        CapChecker(backend).check("acme", "bot")

    assert (raised.value.today_cost, raised.value.max_usd) == (5.0, 5.0)
    (command,) = fleet.log.commands
    assert isinstance(command, SetBudget)
    assert (command.budget.match, command.budget.window) == ({"agent": "bot"}, "day")


@pytest.mark.parametrize("subject", [{"agent": "bot"}, {}])
def test_a_block_in_force_is_a_cap_that_is_spent(fleet: Fleet, subject: dict[str, str]) -> None:
    in_force = {
        "workspace": "acme",
        "subject": subject,
        "subject_text": "of this test",
        "mode": "",
        "expires_at": None,
    }
    # Newest first: the block is on a page of its own.
    blocked = [{**in_force, "id": "d0", "issued_at": "2026-03-10T12:00:00.000Z"}]
    warned = [
        {
            **in_force,
            "id": f"d{number}",
            "rule": f"budget:{number}",
            "action": "warn",
            "issued_at": "2026-03-10T13:00:00.000Z",
        }
        for number in range(1, PAGE + 2)
    ]
    stored(fleet.tables, "decisions", *blocked, *warned)

    with pytest.raises(CapExceededError) as raised:
        CapChecker(ApiBackend(fleet.address)).check("acme", "bot")

    assert (raised.value.today_cost, raised.value.max_usd) == (0.0, 0.0)
    CapChecker(ApiBackend(fleet.address)).check("another", "bot")


def test_an_agent_without_a_cap_may_go_on(fleet: Fleet) -> None:
    backend = ApiBackend(fleet.address, kept_s=0)
    backend.set_cap("acme", "another", 0.0)

    CapChecker(backend).check("acme", "bot")
    with pytest.raises(CapExceededError):
        CapChecker(backend).check("acme", "another")


def test_an_api_that_does_not_answer_fails_closed() -> None:
    with pytest.raises(ApiUnavailable, match="is TOLLWAY_API right"):
        CapChecker(ApiBackend("127.0.0.1:9")).check("acme", "bot")
