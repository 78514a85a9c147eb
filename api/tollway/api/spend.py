"""GET /v1/spend: what was spent, by whatever is asked for, to the last digit."""

from typing import Annotated

from fastapi import APIRouter, Query

from tollway.api.ports import ALL_WORKSPACES, Parameters, Parts, Row
from tollway.api.problems import Problem
from tollway.api.rows import as_count, as_moment, as_nullable, as_pico
from tollway.contract.moments import format_ms, parse_ms
from tollway.contract.money import format_usd

__all__ = ["spend_routes"]

MAX_SPEND_ROWS = 10_000

_DIMENSIONS = ("agent", "model", "connection", "provider", "tool", "user", "customer", "workspace")
# The table `spend` does not know single runs; the charges do.
_CHARGE_DIMENSIONS = ("session", "task")
_SPANS = {
    "minute": "toStartOfMinute({at})",
    "hour": "toStartOfHour({at}, 'UTC')",
    "day": "toStartOfDay({at}, 'UTC')",
}
_MINUTE_MS = 60_000
_SUMS = (
    "sum(cost) AS sum_cost, sum({events}) AS sum_events,"
    " sum(input_tokens) AS sum_input_tokens, sum(output_tokens) AS sum_output_tokens,"
    " sum({unpriced}) AS sum_unpriced"
)

# An adjustment gives a price to an event that had none; one of a tool's price and no model, to a
# call that was free.
_UNPRICED_CHARGES = (
    "toInt64(kind != 'adjustment' AND price_state IN ('unpriced', 'conservative'))"
    " - toInt64(kind = 'adjustment' AND NOT (price_source = 'tool' AND model = ''))"
)


def spend_routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["spend"])

    @router.get("/spend", operation_id="getSpend")
    def get_spend(
        by: Annotated[
            str, Query(description="Comma-separated: " + ", ".join(_known()))
        ] = "agent,model,connection",
        from_: Annotated[
            str | None, Query(alias="from", description="RFC 3339, inclusive, by whole minutes")
        ] = None,
        to: Annotated[
            str | None, Query(description="RFC 3339, exclusive, by whole minutes")
        ] = None,
        workspace: Annotated[str | None, Query(description="`*` for all")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_SPEND_ROWS)] = 1000,
    ) -> dict[str, object]:
        columns = _columns(by)
        source, parameters = _source(columns, parts.workspaces(workspace), from_, to)
        rows = parts.store.query(_grouped(columns, source), {**parameters, "row_limit": limit + 1})
        truncated = len(rows) > limit
        total = _summed(rows)
        if truncated:
            total = _summed(parts.store.query(f"SELECT {source}", parameters))
        return {
            "rows": [_row(columns, row) for row in rows[:limit]],
            "total": total,
            "truncated": truncated,
            "as_of": format_ms(parts.now_ms()),
        }

    return router


def _known() -> tuple[str, ...]:
    return (*_DIMENSIONS, *_CHARGE_DIMENSIONS, *_SPANS)


def _columns(by: str) -> list[str]:
    columns = list(dict.fromkeys(name.strip() for name in by.split(",") if name.strip()))
    for name in columns:
        if name not in _known():
            raise Problem(
                422,
                "unknown-dimension",
                f"by={name!r} is not known; the known ones are {', '.join(_known())}",
            )
    return columns


def _source(
    columns: list[str], workspace: str, from_: str | None, to: str | None
) -> tuple[str, Parameters]:
    """The sums, FROM and WHERE of the query, and its parameters."""
    from_charges = any(name in _CHARGE_DIMENSIONS for name in columns)
    at = "time" if from_charges else "minute"
    # An adjustment corrects an event that is counted already.
    events = "toUInt64(kind != 'adjustment')" if from_charges else "events"
    unpriced = _UNPRICED_CHARGES if from_charges else "unpriced_events"
    where: list[str] = []
    parameters = _bounds(from_, to)
    for name, operator in (("from_ms", ">="), ("to_ms", "<")):
        if name in parameters:
            where.append(f"{at} {operator} fromUnixTimestamp64Milli({{{name}:Int64}}, 'UTC')")
    if from_charges:
        # What a producer lost is written down among them, and is no event of anybody.
        where.append("kind != 'loss'")
    if workspace != ALL_WORKSPACES:
        where.append("workspace = {workspace:String}")
        parameters["workspace"] = workspace
    table = "charges" if from_charges else "spend"
    conditions = f" WHERE {' AND '.join(where)}" if where else ""
    return (
        f"{_SUMS.format(events=events, unpriced=unpriced)} FROM {table} FINAL{conditions}",
        parameters,
    )


def _bounds(from_: str | None, to: str | None) -> dict[str, str | int]:
    """By whole minutes, as most of the answer is summed: so all ways to sum it have one total."""
    from_ms, to_ms = (
        None if moment is None else parse_ms(moment) // _MINUTE_MS * _MINUTE_MS
        for moment in (from_, to)
    )
    if from_ms is not None and to_ms is not None and from_ms >= to_ms:
        raise Problem(
            422, "invalid-request", f"from={from_!r} is not a minute or more before to={to!r}"
        )
    bounds = {"from_ms": from_ms, "to_ms": to_ms}
    return {name: ms for name, ms in bounds.items() if ms is not None}


def _grouped(columns: list[str], source: str) -> str:
    if not columns:
        return f"SELECT {source} LIMIT {{row_limit:UInt32}}"
    at = "time" if " FROM charges " in source else "minute"
    selected = [
        f"{_SPANS[name].format(at=at)} AS by_{name}" if name in _SPANS else f"{name} AS by_{name}"
        for name in columns
    ]
    groups = ", ".join(f"by_{name}" for name in columns)
    return (
        f"SELECT {', '.join(selected)}, {source} GROUP BY {groups}"
        f" ORDER BY sum_cost DESC, {groups} LIMIT {{row_limit:UInt32}}"
    )


def _row(columns: list[str], row: Row) -> dict[str, object]:
    document: dict[str, object] = {
        name: as_moment(row[f"by_{name}"]) if name in _SPANS else as_nullable(row[f"by_{name}"])
        for name in columns
    }
    return {**document, **_summed([row])}


def _summed(rows: list[Row]) -> dict[str, object]:
    return {
        "cost": format_usd(sum(as_pico(row["sum_cost"]) for row in rows)),
        "events": sum(as_count(row["sum_events"]) for row in rows),
        "input_tokens": sum(as_count(row["sum_input_tokens"]) for row in rows),
        "output_tokens": sum(as_count(row["sum_output_tokens"]) for row in rows),
        # Events that wait for a price: what they cost is not in `cost`, or is a guess above it.
        "unpriced_events": sum(as_count(row["sum_unpriced"]) for row in rows),
    }
