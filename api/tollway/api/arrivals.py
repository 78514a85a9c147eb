"""GET /v1/deadletters and /v1/arrivals: what became of records that were sent."""

from typing import Annotated

from fastapi import APIRouter, Query

from tollway.api.pages import Where
from tollway.api.ports import Parts, Row
from tollway.api.rows import as_count, as_moment
from tollway.contract.moments import parse_ms
from tollway.contract.topics import USAGE

__all__ = ["arrival_routes"]

MAX_DEADLETTERS = 1000

Offset = Annotated[int, Query(ge=0)]


def arrival_routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["arrivals"])

    @router.get("/deadletters", operation_id="listDeadLetters")
    def list_dead_letters(
        topic: Annotated[str | None, Query(max_length=249)] = None,
        partition: Annotated[int | None, Query(ge=0)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_DEADLETTERS)] = 100,
    ) -> dict[str, object]:
        """The newest records that could not be read, and why."""
        where = Where()
        if topic is not None:
            where.add("topic = {topic:String}", topic=topic)
        if partition is not None:
            where.add("partition = {partition:Int32}", partition=partition)
        rows = parts.store.query(
            f"SELECT * FROM deadletters FINAL{where}"
            " ORDER BY time DESC, topic, partition, offset DESC LIMIT {row_limit:UInt32}",
            {**where.parameters, "row_limit": limit},
        )
        return {"rows": [_dead_letter(row) for row in rows], "next_cursor": None}

    @router.get("/arrivals", operation_id="getArrivals")
    def get_arrivals(
        partition: Annotated[int, Query(ge=0)], first: Offset, last: Offset, since: str
    ) -> dict[str, object]:
        """What became of the usage records `first` to `last` of a partition.

        `since` is a moment before they were sent: a broker that forgets its log gives the same
        offsets again.
        """
        return _arrivals(parts, partition, first, last, since)

    return router


_RANGE = "partition = {partition:Int32} AND offset BETWEEN {first:Int64} AND {last:Int64}"
_SINCE = "fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')"


def _arrivals(parts: Parts, partition: int, first: int, last: int, since: str) -> dict[str, object]:
    parameters: dict[str, str | int] = {
        "topic": USAGE.name,
        "partition": partition,
        "first": first,
        "last": last,
        "since_ms": parse_ms(since),
    }
    charged = parts.store.query(
        "SELECT count() AS events, countIf(price_state = 'unpriced') AS unpriced"
        f" FROM charges FINAL WHERE {_RANGE} AND kind != 'adjustment'"
        f" AND log_time >= {_SINCE}",
        parameters,
    )[0]
    refused = parts.store.query(
        "SELECT reason, any(detail) AS example, uniqExact(offset) AS records"
        f" FROM deadletters FINAL WHERE topic = {{topic:String}} AND {_RANGE}"
        f" AND time >= {_SINCE} GROUP BY reason ORDER BY records DESC, reason",
        parameters,
    )
    return {
        "charged": as_count(charged["events"]),
        "unpriced": as_count(charged["unpriced"]),
        "refused": [dict(row) for row in refused],
    }


def _dead_letter(row: Row) -> dict[str, object]:
    names = ("reason", "detail", "topic", "partition", "offset")
    return {
        **{name: row[name] for name in names},
        "time": as_moment(row["time"]),
        **{name: row[name] for name in ("key", "value", "size_bytes")},
    }
