"""The API's home of clickhouse-connect: questions, answered read-only and within limits."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from tollway.api.ports import Parameters, Row, StoreUnavailable

__all__ = ["ClickHouseStore", "connect_reader"]

_CONNECT_SECONDS = 5
# Longer than a query may run, so that ClickHouse ends it and says so.
_ANSWER_SECONDS = 30
# `readonly` last: after it nothing can be set. It also refuses file() and url(), which SQL may
# otherwise call. On chDB settings belong to the connection, so a reader never shares a writer's.
_LIMITS: Mapping[str, int | str] = {
    "max_execution_time": 20,
    "max_result_rows": 100_000,
    "result_overflow_mode": "throw",
    "readonly": 1,
}


def connect_reader(dsn: str) -> Client:
    """A read-only client; `dsn` is a server's or ``chdb:///path``, also beside an open writer."""
    scheme = urlsplit(dsn).scheme
    if scheme == "chdb":
        return clickhouse_connect.get_client(dsn=dsn, settings=dict(_LIMITS))
    return clickhouse_connect.get_client(
        dsn=dsn,
        interface="https" if scheme in {"https", "clickhouses"} else "http",
        settings=dict(_LIMITS),
        # Requests run at once in several threads, which one session of a server refuses.
        autogenerate_session_id=False,
        connect_timeout=_CONNECT_SECONDS,
        send_receive_timeout=_ANSWER_SECONDS,
    )


class ClickHouseStore:
    """A `Store` over one client; its threads may share it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def query(self, sql: str, parameters: Parameters) -> list[Row]:
        try:
            result = self._client.query(sql, parameters=dict(parameters))
        except (ClickHouseError, OSError) as error:
            raise StoreUnavailable(f"ClickHouse did not answer: {_first_line(error)}") from error
        return list(result.named_results())


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
