"""The sinks on a real engine: chDB in this process, or behind ClickHouse's HTTP interface."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from prometheus_client import CollectorRegistry

from clickhouse_http import serving_clickhouse
from tollway.contract.tables import TABLES
from tollway.sinks.clickhouse import ClickHouseStore, Client, connect
from tollway.sinks.health import Health
from tollway.sinks.metrics import SinkMetrics
from tollway.sinks.migrate import migrate


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A process has one path of chDB open at a time, so a module closes its own."""
    path = tmp_path_factory.mktemp("chdb")
    holder = connect(f"chdb://{path}")
    migrate(holder)
    yield path
    holder.close()


@pytest.fixture(params=["chdb", "http"])
def client(request: pytest.FixtureRequest, engine: Path) -> Iterator[Client]:
    """All tables are empty."""
    if request.param == "chdb":
        opened = connect(f"chdb://{engine}")
        _empty(opened)
        yield opened
        opened.close()
    else:
        with serving_clickhouse(engine, password="per:cent@%") as served:
            opened = connect(served.dsn)
            _empty(opened)
            yield opened
            opened.close()


def _empty(client: Client) -> None:
    for table in (*TABLES, "raw_records"):
        client.command(f"TRUNCATE TABLE {table}")


@pytest.fixture
def embedded(engine: Path) -> Iterator[Client]:
    """Only chDB, for tests that are about SQL and not about the way to it."""
    opened = connect(f"chdb://{engine}")
    _empty(opened)
    yield opened
    opened.close()


@pytest.fixture
def store(client: Client) -> ClickHouseStore:
    return ClickHouseStore(client)


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def metrics() -> SinkMetrics:
    return SinkMetrics(CollectorRegistry())


@pytest.fixture
def stop() -> Event:
    return Event()
