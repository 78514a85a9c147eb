"""`tollway doctor`: is everything there, and if not, what to do."""

from typing import Annotated

import typer

from tollway.cli.commands.options import ApiOption, BrokersOption, JsonOption
from tollway.cli.commands.show import echo_json
from tollway.cli.where import api_address, broker_address

__all__ = ["doctor"]


def doctor(
    brokers: BrokersOption = None,
    api: ApiOption = None,
    json: JsonOption = False,
    clock: Annotated[
        bool,
        typer.Option(help="Compare clocks with the broker, by a topic made and deleted for it."),
    ] = True,
) -> None:
    """Check broker, topics, worker, api, tables, clock and prices; exits with 1 on a failure."""
    from tollway.cli.commands.checks import examine

    checks = examine(broker_address(brokers), api_address(api), clock=clock)
    if json:
        echo_json({"checks": [check.document() for check in checks]})
    else:
        for check in checks:
            print(check.line())
    if any(check.verdict == "fail" for check in checks):
        raise typer.Exit(1)
