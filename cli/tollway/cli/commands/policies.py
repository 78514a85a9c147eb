"""`tollway policy set` and `tollway price ...`: what a workspace sets for itself."""

from typing import Annotated

import typer

from tollway.cli.client import Api, Document
from tollway.cli.commands.budgets import confirmed
from tollway.cli.commands.options import ApiOption, JsonOption, ReasonOption, WorkspaceOption, actor
from tollway.cli.failing import misuse
from tollway.cli.where import workspace_name

__all__ = ["policy_app", "price_app"]

policy_app = typer.Typer(help="How a workspace is watched.", no_args_is_help=True)
price_app = typer.Typer(help="A workspace's own prices.", no_args_is_help=True)

SinceOption = Annotated[
    str | None, typer.Option("--since", help="RFC 3339; default: now on.", show_default=False)
]


@policy_app.command("set")
def set_policy(  # noqa: PLR0913, PLR0917  # an option is a parameter
    profile: Annotated[str, typer.Option(help="production or compat.")] = "production",
    off: Annotated[list[str] | None, typer.Option(help="A detector to switch off.")] = None,
    polling_tool: Annotated[
        list[str] | None, typer.Option(help="A tool that may repeat itself.")
    ] = None,
    number: Annotated[
        list[str] | None, typer.Option(help="A threshold, NAME=VALUE (docs/detectors.md).")
    ] = None,
    unpriced: Annotated[
        str, typer.Option(help="Models without a price: pending, conservative or block.")
    ] = "pending",
    run_budget: Annotated[str | None, typer.Option(help="Dollars that one run may spend.")] = None,
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    api: ApiOption = None,
    json: JsonOption = False,
) -> None:
    """Set the whole policy; what is not named is as by default."""
    policy: Document = {
        "profile": profile,
        "detectors": {
            "off": off or [],
            "polling_tools": polling_tool or [],
            "numbers": dict(_number(pair) for pair in number or []),
        },
        "unpriced": unpriced,
        "run_budget_usd": run_budget,
    }
    _post("/v1/policies", {"policy": policy}, reason, workspace, api, "the policy is set", json)


@price_app.command("set")
def set_price(  # noqa: PLR0913, PLR0917  # an option is a parameter
    model: Annotated[str, typer.Argument(help="As events name it.")],
    input_: Annotated[str, typer.Option("--input", help="Dollars for a million tokens.")],
    output: Annotated[str, typer.Option(help="Dollars for a million tokens.")],
    cache_read: Annotated[str | None, typer.Option()] = None,
    cache_write: Annotated[str | None, typer.Option()] = None,
    cache_write_1h: Annotated[str | None, typer.Option("--cache-write-1h")] = None,
    input_audio: Annotated[str | None, typer.Option(help="Default: as listed.")] = None,
    output_audio: Annotated[str | None, typer.Option(help="Default: as listed.")] = None,
    provider: Annotated[str | None, typer.Option(help="Default: any.")] = None,
    since: SinceOption = None,
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    api: ApiOption = None,
    json: JsonOption = False,
) -> None:
    """Set a model's price, such as a negotiated one, or that of a model that has none."""
    price: Document = {
        "provider": provider,
        "model": model,
        "effective_from": since or _now(),
        "price": {
            "input": input_,
            "output": output,
            "cache_read": cache_read,
            "cache_write": cache_write,
            "cache_write_1h": cache_write_1h,
            "input_audio": input_audio,
            "output_audio": output_audio,
        },
    }
    line = f"the price of {model} is set"
    _post("/v1/prices", {"price": price}, reason, workspace, api, line, json)


@price_app.command("rm")
def remove_price(
    model: Annotated[str, typer.Argument()],
    provider: Annotated[str | None, typer.Option()] = None,
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    api: ApiOption = None,
    json: JsonOption = False,
) -> None:
    """Go back to the list price of a model."""
    body: Document = {"model": model, "provider": provider}
    line = f"the list price of {model} counts again"
    _post("/v1/prices/delete", body, reason, workspace, api, line, json)


@price_app.command("tool")
def set_tool_price(
    tool: Annotated[str, typer.Argument()],
    usd: Annotated[str, typer.Option(help="Dollars for one call.")],
    connection: Annotated[str | None, typer.Option(help="Default: any.")] = None,
    since: SinceOption = None,
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    api: ApiOption = None,
    json: JsonOption = False,
) -> None:
    """Set what one call of a tool costs; dated back, it charges calls of the last 72 hours too."""
    price: Document = {
        "tool": tool,
        "connection": connection,
        "effective_from": since or _now(),
        "usd_per_call": usd,
    }
    line = f"the price of {tool} is set"
    _post("/v1/tool-prices", {"price": price}, reason, workspace, api, line, json)


def _post(
    path: str,
    body: Document,
    reason: str,
    workspace: str | None,
    api: str | None,
    line: str,
    json: bool,
) -> None:
    signed = {
        **body,
        "reason": reason,
        "actor": actor(),
        "workspace": workspace_name(workspace),
    }
    with Api(api) as client:
        confirmed(client.post(path, signed), line, json)


def _number(pair: str) -> tuple[str, int]:
    name, _, value = pair.partition("=")
    if not name or not value.lstrip("-").isdecimal():
        misuse(f"--number {pair!r} is not NAME=WHOLE_NUMBER")
    return name, int(value)


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat(timespec="milliseconds")
