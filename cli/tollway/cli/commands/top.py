"""`tollway top`: spend as it grows, dearest first, and what is blocked."""

import sys
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from tollway.cli.client import Api, Document
from tollway.cli.commands.decisions import decisions_table
from tollway.cli.commands.options import ApiOption, WorkspaceOption, moment
from tollway.cli.commands.show import NONE, amounts, count, short_time
from tollway.cli.commands.spend import spend_table
from tollway.cli.where import workspace_name
from tollway.contract.money import format_usd, parse_usd

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Rates", "spend_screen", "top"]

MAX_ROWS = 30
# Columns of a terminal; on a narrower one the tokens leave their room to the names.
WIDE = 80


def top(
    by: Annotated[str, typer.Option(help="As of `tollway spend`.")] = "agent,model",
    since: Annotated[str, typer.Option(help="RFC 3339, or 1h, 24h: that long ago.")] = "1h",
    every: Annotated[float, typer.Option(min=0.5, max=3600, help="Seconds.")] = 2.0,
    workspace: WorkspaceOption = None,
    api: ApiOption = None,
) -> None:
    """Watch spend grow, until Ctrl-C; without a terminal, print it once."""
    from time import sleep

    names = [name.strip() for name in by.split(",") if name.strip()]
    where = workspace_name(workspace)
    with Api(api) as client:
        if not sys.stdout.isatty():
            spend, blocks = _ask(client, by, since, where)
            print(spend_table(names, spend))
            print(decisions_table(blocks["rows"]) if blocks["rows"] else "nothing is blocked")
            return
        from rich.live import Live

        rates = Rates()
        with Live(screen=True, auto_refresh=False) as live:
            while True:
                spend, blocks = _ask(client, by, since, where)
                wide = live.console.width >= WIDE
                live.update(spend_screen(names, spend, blocks, rates, wide=wide), refresh=True)
                sleep(every)


def _ask(client: Api, by: str, since: str, workspace: str | None) -> tuple[Document, Document]:
    spend = client.get(
        "/v1/spend", by=by, limit=MAX_ROWS, workspace=workspace, **{"from": moment(since)}
    )
    return spend, client.get("/v1/decisions", active=True, limit=10, workspace=workspace)


class Rates:
    """Dollars a minute of each row, from one look to the next."""

    def __init__(self) -> None:
        self._costs: dict[tuple[str, ...], int] = {}
        self._at = monotonic()

    def per_minute(self, costs: dict[tuple[str, ...], int]) -> dict[tuple[str, ...], int]:
        now = monotonic()
        milliseconds = max(1, round((now - self._at) * 1000))
        grown = {
            name: max(0, cost - self._costs[name]) * 60_000 // milliseconds
            for name, cost in costs.items()
            if name in self._costs
        }
        self._costs, self._at = costs, now
        return grown


def spend_screen(
    names: list[str], spend: Document, blocks: Document, rates: Rates, *, wide: bool
) -> "RenderableType":
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rows = {tuple(str(row[name] or NONE) for name in names): row for row in spend["rows"]}
    per_minute = rates.per_minute({name: parse_usd(row["cost"]) for name, row in rows.items()})
    costs = amounts([row["cost"] for row in rows.values()])
    grown = amounts([format_usd(per_minute.get(name, 0)) for name in rows])
    (total,) = amounts([spend["total"]["cost"]])
    title = f"{total} as of {short_time(spend['as_of'])}"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in names:
        table.add_column(column)
    tokens = ("input", "output") if wide else ()
    for column in ("cost", "a minute", "events", *tokens):
        # It is the names that are cut: half a number is a wrong one.
        table.add_column(column, justify="right", no_wrap=True)
    for (name, row), cost, rate in zip(rows.items(), costs, grown, strict=True):
        counts = [count(row[each]) for each in ("events", *(f"{each}_tokens" for each in tokens))]
        cut = [Text(part, no_wrap=True, overflow="ellipsis") for part in name]
        table.add_row(*cut, cost, rate, *counts)
    standing = decisions_table(blocks["rows"]) if blocks["rows"] else "nothing is blocked"
    return Group(table, Text(standing))
