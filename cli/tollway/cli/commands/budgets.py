"""`tollway budget set|ls|rm`: limits, and what is spent of them."""

from typing import Annotated

import typer

from tollway.cli.client import Api, Document
from tollway.cli.commands.options import (
    ApiOption,
    JsonOption,
    ReasonOption,
    WorkspaceOption,
    actor,
    subject,
)
from tollway.cli.commands.show import amounts, count, echo_json, subject_text, table
from tollway.cli.failing import misuse
from tollway.cli.where import workspace_name

__all__ = ["app", "confirmed"]

app = typer.Typer(help="Limits on what may be spent.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The budget's name.")]


@app.command("set")
def set_budget(  # noqa: PLR0913, PLR0917  # an option is a parameter
    budget_id: IdArgument,
    limit: Annotated[str | None, typer.Option(help="Dollars, such as 5.00.")] = None,
    tokens: Annotated[int | None, typer.Option(help="A limit in tokens instead.")] = None,
    calls: Annotated[int | None, typer.Option(help="A limit in calls instead.")] = None,
    match: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE, or NAME=* for one account a value; repeatable."),
    ] = None,
    window: Annotated[
        str, typer.Option(help="run, hour, day, week, month, total or rolling:24h.")
    ] = "day",
    zone: Annotated[str, typer.Option(help="IANA zone of calendar windows.")] = "UTC",
    thresholds: Annotated[str, typer.Option(help="Percents that are told.")] = "70,90,100",
    action: Annotated[str, typer.Option(help="At the limit: block or warn.")] = "block",
    mode: Annotated[str, typer.Option(help="soft, or observe: told and not enforced.")] = "soft",
    on_stale: Annotated[str, typer.Option(help="Without news: open or closed.")] = "open",
    fallback_model: Annotated[str | None, typer.Option(help="Suggested by warnings.")] = None,
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    api: ApiOption = None,
    json: JsonOption = False,
) -> None:
    """Set or change a budget; what was spent since its window began counts."""
    body: Document = {
        "match": subject(match or []),
        "window": window,
        "zone": zone,
        "limit_usd": limit,
        "limit_tokens": tokens,
        "limit_calls": calls,
        "thresholds_percent": _percents(thresholds),
        "action": action,
        "mode": mode,
        "on_stale": on_stale,
        "fallback_model": fallback_model,
        "workspace": workspace_name(workspace),
        "actor": actor(),
        "reason": reason,
    }
    with Api(api) as client:
        confirmed(client.put(_address(budget_id), body), f"budget {budget_id} is set", json)


@app.command("rm")
def remove_budget(
    budget_id: IdArgument,
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    api: ApiOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a budget and lift what it blocks."""
    with Api(api) as client:
        answer = client.delete(
            _address(budget_id),
            workspace=workspace_name(workspace),
            actor=actor(),
            reason=reason,
        )
    confirmed(answer, f"budget {budget_id} is deleted", json)


@app.command("ls")
def list_budgets(
    workspace: WorkspaceOption = None, api: ApiOption = None, json: JsonOption = False
) -> None:
    """All budgets, each with the dearest accounts of its present window."""
    with Api(api) as client:
        document = client.get("/v1/budgets", workspace=workspace_name(workspace))
    if json:
        echo_json(document)
    elif document["rows"]:
        print(_table(document["rows"]))
    else:
        where = workspace_name(workspace)
        of = "" if where is None else f" of workspace {where}"
        print(f"no budgets{of}; `tollway budget set daily --limit 5 --match 'agent=*'` sets one")


def _address(budget_id: str) -> str:
    from urllib.parse import quote

    if not budget_id or "/" in budget_id:
        misuse(f"{budget_id!r} names no budget: letters, digits and . _ : - do")
    return f"/v1/budgets/{quote(budget_id, safe='')}"


def _percents(text: str) -> list[int]:
    if not all(percent.strip().isdecimal() for percent in text.split(",")):
        misuse(f"--thresholds {text!r} are not percents such as 70,90,100")
    return [int(percent) for percent in text.split(",")]


def confirmed(answer: Document, line: str, json: bool) -> None:
    """Says that a command is in the log, and where."""
    if json:
        echo_json(answer)
        return
    place = f"{answer['topic']}/{answer['partition']} @ {answer['offset']}"
    print(f"{line} in workspace {answer['workspace']} (command {answer['id']}, {place})")


def _table(budgets: list[Document]) -> str:
    lines = []
    for budget in budgets:
        limit, unit = _limit(budget)
        accounts = budget["accounts"] or [None]
        for account in accounts:
            spent = "0" if account is None else _spent(account, unit)
            shown = account["subject"] if account is not None else budget["match"]
            lines.append(
                [
                    budget["id"],
                    subject_text(shown),
                    budget["window"],
                    *_amounts(spent, limit, unit),
                    f"{_percent(spent, limit)} %",
                    f"{budget['action']}, {budget['mode']}",
                ]
            )
    columns = ["BUDGET", "SUBJECT", "WINDOW", "$SPENT", "$LIMIT", "#USED", "AT THE LIMIT"]
    return table(columns, lines)


def _limit(budget: Document) -> tuple[str, str]:
    if budget["limit_usd"] is not None:
        return str(budget["limit_usd"]), "usd"
    if budget["limit_tokens"] is not None:
        return str(budget["limit_tokens"]), "tokens"
    return str(budget["limit_calls"]), "calls"


def _spent(account: Document, unit: str) -> str:
    return str(account["spent"] if unit == "usd" else account[unit])


def _amounts(spent: str, limit: str, unit: str) -> list[str]:
    if unit == "usd":
        return amounts([spent, limit])
    return [f"{count(int(amount))} {unit}" for amount in (spent, limit)]


def _percent(spent: str, limit: str) -> int:
    from decimal import Decimal

    if not Decimal(limit):
        return 100
    return int(100 * Decimal(spent) / Decimal(limit))
