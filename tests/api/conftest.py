"""The API on a real store: embedded ClickHouse, migrated, and emptied for each test."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from fastapi.testclient import TestClient

from api_fakes import CommandList, FixedLag
from tollway.api.app import create_app
from tollway.api.clickhouse import ClickHouseStore, connect_reader
from tollway.api.settings import ApiSettings
from tollway.contract.moments import parse_ms
from tollway.contract.tables import TABLES
from tollway.sinks.clickhouse import Client, connect
from tollway.sinks.migrate import migrate

NOW = "2026-03-10T12:30:00.000Z"


@dataclass
class Clock:
    now_ms: int = field(default_factory=lambda: parse_ms(NOW))

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # A process has one path of chDB open at a time, so a module closes its own.
    where = f"chdb://{tmp_path_factory.mktemp('chdb')}"
    writer = connect(where)
    migrate(writer)
    yield where
    writer.close()


@pytest.fixture
def tables(dsn: str) -> Iterator[Client]:
    """A writer, as the sinks have one; all tables are empty."""
    writer = connect(dsn)
    for table in TABLES:
        writer.command(f"TRUNCATE TABLE {table}")
    yield writer
    writer.close()


@pytest.fixture
def store(dsn: str) -> Iterator[ClickHouseStore]:
    reader = connect_reader(dsn)
    yield ClickHouseStore(reader)
    reader.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def command_log() -> CommandList:
    return CommandList()


@pytest.fixture
def sink_lag() -> FixedLag:
    return FixedLag()


@pytest.fixture
def api(
    tables: Client,
    store: ClickHouseStore,
    command_log: CommandList,
    sink_lag: FixedLag,
    clock: Clock,
) -> Iterator[TestClient]:
    settings = ApiSettings(brokers="127.0.0.1:1")
    with TestClient(create_app(settings, store, command_log, sink_lag, clock)) as client:
        yield client
