"""The room's one home of clickhouse_connect: a client for a server or for the embedded chDB."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

__all__ = [
    "ClickHouseStore",
    "Client",
    "StoreAway",
    "StoreRefused",
    "connect",
    "scrubbed",
    "stream_rows",
]

_CONNECT_TIMEOUT_S = 10
# An insert that takes longer counts as failed and is sent again: rows have keys, so that is safe.
_ANSWER_TIMEOUT_S = 60

_INSERT_SETTINGS: Final = {
    # RFC 3339 with a zone.
    "date_time_input_format": "best_effort",
    # A newer worker may say more than this migration's columns.
    "input_format_skip_unknown_fields": 1,
    # The answer must mean that the rows are stored.
    "async_insert": 0,
    # A replay of years is one batch of many months.
    "max_partitions_per_insert_block": 0,
}

# Errors that the rows themselves make; every other error is the store's and passes with time.
_REFUSALS: Final = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        25,  # CANNOT_PARSE_ESCAPE_SEQUENCE
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        32,  # ATTEMPT_TO_READ_AFTER_EOF
        33,  # CANNOT_READ_ALL_DATA
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        130,  # CANNOT_READ_ARRAY_FROM_TEXT
        131,  # TOO_LARGE_STRING_SIZE
        190,  # SIZES_OF_ARRAYS_DONT_MATCH
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        407,  # DECIMAL_OVERFLOW
        467,  # CANNOT_PARSE_BOOL
        469,  # VIOLATED_CONSTRAINT
        636,  # CANNOT_EXTRACT_TABLE_STRUCTURE
    }
)

_JSON_LINES: Final = "JSONEachRow"
# Bytes that need not be text, so not JSON: the columns of a row in their order.
_BINARY_COLUMNS: Final = {
    "raw_records": (
        "topic",
        "partition",
        "position",
        "key",
        "value",
        "deleted",
        "timestamp_ms",
        "offset",
        "version",
    )
}


class StoreAway(Exception):
    """ClickHouse does not answer, or not now: the same rows may be sent again later."""


class StoreRefused(Exception):
    """ClickHouse read these rows and will never take them as they are."""


def connect(dsn: str, *, database: str | None = None) -> Client:
    """A client for ``http(s)://``, ``clickhouse(s)://`` or ``chdb:///abs/path``.

    It may be shared by threads. A path of chDB belongs to one process, and a process to one path.
    """
    scheme = urlsplit(dsn).scheme
    if scheme not in {"http", "https", "clickhouse", "clickhouses", "chdb"}:
        raise ValueError(
            f"{scrubbed(dsn)!r} names no store; write http://host:8123/database,"
            " https://user:password@host:8443/database or chdb:///absolute/path"
        )
    try:
        if scheme == "chdb":
            return clickhouse_connect.get_client(dsn=dsn, database=database)
        return clickhouse_connect.get_client(
            dsn=dsn,
            interface="https" if scheme in {"https", "clickhouses"} else "http",
            database=database,
            autogenerate_session_id=False,
            connect_timeout=_CONNECT_TIMEOUT_S,
            send_receive_timeout=_ANSWER_TIMEOUT_S,
        )
    except ClickHouseError as error:
        raise StoreAway(f"cannot open {scrubbed(dsn)}: {error}") from error


def scrubbed(dsn: str) -> str:
    """The DSN without its password and without its parameters: fit for a log."""
    parts = urlsplit(dsn)
    login, at, host = parts.netloc.rpartition("@")
    user = login.partition(":")[0]
    return f"{parts.scheme}://{user}{at}{host}{parts.path}"


class ClickHouseStore:
    """Takes rows and says in one of three ways what came of them: stored, away, refused."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def insert(self, table: str, body: bytes) -> None:
        """Stores all rows of `body`; a part of them may be stored where it raises."""
        try:
            columns = _BINARY_COLUMNS.get(table)
            self._client.raw_insert(
                table,
                column_names=columns,
                insert_block=body,
                settings=_INSERT_SETTINGS,
                fmt=_JSON_LINES if columns is None else "RowBinary",
            )
        except Error as error:
            if error.code in _REFUSALS:
                raise StoreRefused(str(error)) from error
            raise StoreAway(f"insert into {table}: {error}") from error


def stream_rows(
    client: Client, query: str, parameters: dict[str, str]
) -> Iterator[tuple[object, ...]]:
    """The rows of a query, block by block; strings as bytes. Read it to its end."""
    with client.query_rows_stream(
        query, parameters=parameters, query_formats={"String": "bytes"}
    ) as rows:
        for row in rows:
            yield tuple(row)
