"""Runs the API under uvicorn, with Kafka and ClickHouse behind it."""

import logging

import uvicorn
from clickhouse_connect.driver.client import Client

from tollway.api.app import create_app
from tollway.api.clickhouse import ClickHouseStore
from tollway.api.kafka import KafkaCommandLog, KafkaSinkLag
from tollway.api.settings import ApiSettings

__all__ = ["run_api"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_log = logging.getLogger(__name__)


def run_api(settings: ApiSettings, client: Client) -> None:
    """Serves until SIGINT or SIGTERM; `client` is a read-only one (`connect_reader`)."""
    if settings.host not in _LOOPBACK:
        _log.warning(
            "the API listens on %s and asks nobody for a key: whoever reaches it can read spend"
            " and set budgets",
            settings.host,
        )
    app = create_app(
        settings,
        ClickHouseStore(client),
        KafkaCommandLog(settings.brokers),
        KafkaSinkLag(settings.brokers, settings.sinks_group),
    )
    # One process: chDB does not survive a fork.
    uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning", workers=1)
