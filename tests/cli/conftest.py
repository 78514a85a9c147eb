"""A running api over a real store, for the commands that speak to one."""

from collections.abc import Iterator

import pytest

from api_fakes import CommandList, FixedLag
from served_api import served
from tollway.api.app import create_app
from tollway.api.clickhouse import ClickHouseStore, connect_reader
from tollway.api.settings import ApiSettings
from tollway.contract.moments import parse_ms
from tollway.contract.tables import TABLES
from tollway.sinks.clickhouse import Client, connect
from tollway.sinks.migrate import migrate

NOW_MS = parse_ms("2026-03-10T12:30:00.000Z")


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    where = f"chdb://{tmp_path_factory.mktemp('chdb')}"
    writer = connect(where)
    migrate(writer)
    yield where
    writer.close()


@pytest.fixture
def tables(dsn: str) -> Iterator[Client]:
    writer = connect(dsn)
    for table in TABLES:
        writer.command(f"TRUNCATE TABLE {table}")
    yield writer
    writer.close()


@pytest.fixture
def log() -> CommandList:
    return CommandList()


@pytest.fixture
def lag() -> FixedLag:
    return FixedLag()


@pytest.fixture
def api(
    tables: Client, dsn: str, log: CommandList, lag: FixedLag, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Running, and known by the environment; every command finds it."""
    reader = connect_reader(dsn)
    settings = ApiSettings(brokers="127.0.0.1:1")
    api = create_app(settings, ClickHouseStore(reader), log, lag, lambda: NOW_MS)
    with served(api) as address:
        monkeypatch.setenv("TOLLWAY_API", address)
        monkeypatch.delenv("TOLLWAY_WORKSPACE", raising=False)
        yield address
    reader.close()
