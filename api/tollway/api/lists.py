"""GET /v1/decisions and /v1/findings: what was said, newest first."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query

from tollway.api.pages import DEFAULT_PAGE, MAX_PAGE, Listing, Where, page
from tollway.api.ports import ALL_WORKSPACES, Parts, Row
from tollway.api.rows import as_moment, as_nullable, as_pico, as_whole
from tollway.contract.money import format_usd

__all__ = ["list_routes"]

Text = Annotated[str | None, Query(max_length=512)]
Cursor = Annotated[str | None, Query(max_length=4096)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]

# In force: the newest of its subject and rule, no lifting, and not lapsed. One event can cross
# several thresholds at once; the highest of them counts.
_ACTIVE = (
    "(action != 'allow'"
    " AND (expires_at IS NULL OR expires_at > fromUnixTimestamp64Milli({now_ms:Int64}, 'UTC'))"
    " AND (workspace, id) IN (SELECT workspace,"
    " argMax(id, (version, ifNull(threshold_percent, 0), action = 'block'))"
    " FROM decisions FINAL GROUP BY workspace, subject_text, rule))"
)


def list_routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["decisions and findings"])
    decisions = Listing(table="decisions", at="issued_at", document=_decision)
    findings = Listing(table="findings", at="time", document=_finding)

    @router.get("/decisions", operation_id="listDecisions")
    def list_decisions(
        workspace: Text = None,
        agent: Text = None,
        session: Text = None,
        active: Annotated[bool | None, Query(description="in force now, or not")] = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_PAGE,
    ) -> dict[str, object]:
        """Warnings, blocks and their liftings; `agent` and `session` are those of the subject."""
        names = {"subject['agent']": agent, "subject['session']": session}
        where = _named(_of_workspace(parts.workspaces(workspace)), names)
        if active is not None:
            where.add(_ACTIVE if active else f"NOT {_ACTIVE}", now_ms=parts.now_ms())
        return page(parts.store, decisions, where, limit=limit, cursor=cursor)

    @router.get("/findings", operation_id="listFindings")
    def list_findings(
        workspace: Text = None,
        agent: Text = None,
        session: Text = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_PAGE,
    ) -> dict[str, object]:
        """What the detectors saw."""
        names = {"agent": agent, "session": session}
        where = _named(_of_workspace(parts.workspaces(workspace)), names)
        return page(parts.store, findings, where, limit=limit, cursor=cursor)

    return router


def _of_workspace(workspace: str) -> Where:
    where = Where()
    if workspace != ALL_WORKSPACES:
        where.add("workspace = {workspace:String}", workspace=workspace)
    return where


def _named(where: Where, names: Mapping[str, str | None]) -> Where:
    """Adds the columns that must have a value."""
    for number, (column, value) in enumerate(names.items()):
        if value is not None:
            where.add(f"{column} = {{name{number}:String}}", **{f"name{number}": value})
    return where


def _decision(row: Row) -> dict[str, object]:
    return {
        **_as_is(row, "id", "workspace", "subject", "rule", "action", "mode", "on_stale"),
        **_as_is(row, "reason", "message", "unit"),
        "spent": _amount(row["spent"], row["unit"]),
        "limit": _amount(row["limit"], row["unit"]),
        **_as_is(row, "threshold_percent", "window"),
        "window_start": as_moment(row["window_start"]),
        "fallback_model": row["fallback_model"],
        "expires_at": as_moment(row["expires_at"]),
        **_origin(row),
        "issued_at": as_moment(row["issued_at"]),
    }


def _finding(row: Row) -> dict[str, object]:
    return {
        **_as_is(row, "id", "detector", "level", "workspace", "agent"),
        "session": as_nullable(row["session"]),
        **_as_is(row, "step", "event_id", "message", "evidence"),
        "time": as_moment(row["time"]),
        **_origin(row),
    }


def _as_is(row: Row, *names: str) -> dict[str, object]:
    return {name: row[name] for name in names}


def _origin(row: Row) -> dict[str, object]:
    return {
        "cause": {
            "partition": row["cause_partition"],
            "offset": row["cause_offset"],
            "event_id": row["cause_event_id"],
        },
        "version": [row["generation"], row["usage_offset"], row["commands_offset"]],
    }


def _amount(value: object, unit: object) -> str | None:
    """Dollars with their twelve digits; counts as the whole numbers that they are."""
    if value is None:
        return None
    return format_usd(as_pico(value)) if unit == "usd" else str(as_whole(value))
