"""`tollway spend`: what was spent, by whatever is asked for."""

from typing import Annotated

import typer

from tollway.cli.client import Api, Document
from tollway.cli.commands.options import ApiOption, JsonOption, WorkspaceOption, moment
from tollway.cli.commands.show import NONE, amounts, count, echo_json, short_time, table
from tollway.cli.where import workspace_name

__all__ = ["spend", "spend_table"]


def spend(
    by: Annotated[
        str, typer.Option(help="Dimensions and spans, comma-separated: agent,model,day ...")
    ] = "agent,model,connection",
    from_: Annotated[
        str | None, typer.Option("--from", help="2026-01-31, RFC 3339, or 24h, 7d: that long ago.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Exclusive; like --from.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 1000,
    workspace: WorkspaceOption = None,
    api: ApiOption = None,
    json: JsonOption = False,
) -> None:
    """What was spent, by agent, model and connection or by what --by names."""
    with Api(api) as client:
        document = client.get(
            "/v1/spend",
            by=by,
            limit=limit,
            workspace=workspace_name(workspace),
            **{"from": moment(from_), "to": moment(to)},
        )
    if json:
        echo_json(document)
        return
    names = list(dict.fromkeys(name.strip() for name in by.split(",") if name.strip()))
    print(spend_table(names, document))
    if not document["rows"]:
        _tell_of_nothing(workspace_name(workspace), from_, to)
    if document["truncated"]:
        typer.echo(f"(the dearest {limit}; TOTAL holds all; --limit shows more)", err=True)


def _tell_of_nothing(workspace: str | None, from_: str | None, to: str | None) -> None:
    """A table of nothing looks alike for a name that is misspelt."""
    where = "" if workspace in (None, "*") else f" in workspace {workspace}"
    when = " in that time" if from_ or to else " yet"
    way = "; `tollway spend --by workspace -w '*'` shows where" if where or from_ or to else ""
    typer.echo(f"(nothing was spent{where}{when}{way})", err=True)


def spend_table(names: list[str], document: Document) -> str:
    """The rows of a spend document and their total."""
    # By nothing, the one row is the total.
    rows = [*(document["rows"] if names else ()), document["total"]]
    costs = amounts([row["cost"] for row in rows])
    # What has no price yet is not free, so where there is some, every row says how much.
    unpriced = ["unpriced_events"] if document["total"]["unpriced_events"] else []
    counted = ["events", "input_tokens", "output_tokens", *unpriced]
    lines = [
        [*(_name(row, name) for name in names), cost, *(count(row[sum_]) for sum_ in counted)]
        for row, cost in zip(rows, costs, strict=True)
    ]
    lines[-1][: len(names)] = ["TOTAL" if at == 0 else "" for at in range(len(names))]
    columns = [*(name.upper() for name in names), "$COST", "#EVENTS", "#INPUT", "#OUTPUT"]
    columns += ["#UNPRICED"] if unpriced else []
    return table(columns, lines)


def _name(row: Document, name: str) -> str:
    value = row.get(name)
    if value is None:
        return NONE
    if name == "day":
        return str(value)[:10]
    return short_time(value) if name in ("hour", "minute") else str(value)
