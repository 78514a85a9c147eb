"""GET /v1/audit: do the books balance, to the last digit, and if not, where?"""

from typing import Annotated

from fastapi import APIRouter, Query

from tollway.api.pages import Where
from tollway.api.ports import ALL_WORKSPACES, LogUnavailable, Parts, Row
from tollway.api.rows import as_count, as_moment, as_pico
from tollway.contract.moments import format_ms
from tollway.contract.money import format_usd

__all__ = ["audit_routes"]

MAX_DIFFERENCES = 1000
MAX_LOST = 100

_HOURS = "SELECT * FROM audit_hours{where} ORDER BY workspace, hour LIMIT {{row_limit:UInt32}}"
_ACCOUNTS = (
    "SELECT * FROM audit_accounts{where}"
    " ORDER BY workspace, budget_id, subject, window_start LIMIT {{row_limit:UInt32}}"
)
_CHECKED = (
    "SELECT (SELECT count() FROM audit_hours{where}) AS hours,"
    " (SELECT count() FROM audit_accounts{where}) AS accounts,"
    " (SELECT sum(charges) FROM audit_hours{where}) AS charges"
)
_LOST = (
    "SELECT topic, partition, offset, detail, time FROM deadletters FINAL WHERE reason = 'lost'"
    " ORDER BY time DESC, topic, partition LIMIT {row_limit:UInt32}"
)


def audit_routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["audit"])

    @router.get("/audit", operation_id="getAudit")
    def get_audit(
        workspace: Annotated[str | None, Query(description="absent or `*`: all")] = None,
    ) -> dict[str, object]:
        """Σ charges against Σ spend for each workspace and hour, and against each account.

        While `lag` is above 0 the sinks are storing records, and differences may be of that moment.
        What was `lost` before it was booked is in no sum: no difference shows it.
        """
        differences = _differences(parts, workspace)
        lag = _lag(parts)
        if differences:
            # One sink may have been a batch ahead of the other just then.
            differences = _differences(parts, workspace)
        checked = parts.store.query(*_with(_CHECKED, workspace, []))[0]
        return {
            "balanced": not differences,
            "differences": differences,
            "lag": lag,
            "checked": {
                "hours": as_count(checked["hours"]),
                "accounts": as_count(checked["accounts"]),
                "charges": format_usd(as_pico(checked["charges"])),
            },
            "lost": _lost(parts),
            "as_of": format_ms(parts.now_ms()),
        }

    return router


def _differences(parts: Parts, workspace: str | None) -> list[dict[str, object]]:
    unequal = ["difference != 0"]
    hours = parts.store.query(*_with(_HOURS, workspace, unequal))
    accounts = parts.store.query(*_with(_ACCOUNTS, workspace, unequal))
    return [*(_hour(row) for row in hours), *(_account(row) for row in accounts)]


def _with(
    sql: str, workspace: str | None, conditions: list[str]
) -> tuple[str, dict[str, str | int]]:
    where = Where(conditions=list(conditions))
    parameters: dict[str, str | int] = {"row_limit": MAX_DIFFERENCES}
    if workspace not in (None, ALL_WORKSPACES):
        where.add("workspace = {workspace:String}")
        parameters["workspace"] = str(workspace)
    return sql.format(where=where), parameters


def _hour(row: Row) -> dict[str, object]:
    return {
        "kind": "hour",
        "workspace": row["workspace"],
        "hour": as_moment(row["hour"]),
        "charges": format_usd(as_pico(row["charges"])),
        "spend": format_usd(as_pico(row["spend"])),
        "difference": format_usd(as_pico(row["difference"])),
    }


def _account(row: Row) -> dict[str, object]:
    return {
        "kind": "account",
        "workspace": row["workspace"],
        "budget_id": row["budget_id"],
        "subject": row["subject"],
        "window": row["window"],
        "window_start": as_moment(row["window_start"]),
        "charges": format_usd(as_pico(row["charges"])),
        "accounts": format_usd(as_pico(row["accounts"])),
        "difference": format_usd(as_pico(row["difference"])),
    }


def _lost(parts: Parts) -> list[dict[str, object]]:
    """What `tollway rebuild` let the books go on without, newest first; of all workspaces."""
    return [
        {**row, "time": as_moment(row["time"])}
        for row in parts.store.query(_LOST, {"row_limit": MAX_LOST})
    ]


def _lag(parts: Parts) -> dict[str, object] | None:
    """Records that the sinks have not stored yet; null where Kafka does not say."""
    try:
        topics = parts.sink_lag.topics()
    except LogUnavailable:
        return None
    return {
        "records": sum(topic.records for topic in topics),
        "topics": {topic.topic: topic.records for topic in topics},
    }
