"""`tollway doctor`: is everything there, and if not, what to do."""

from collections.abc import Callable
from typing import Annotated

import typer

from tollway.cli.commands.options import ApiOption, BrokersOption, JsonOption
from tollway.cli.commands.show import echo_json
from tollway.cli.failing import Failed
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

    known_api = _known(api_address, api)
    # One of them is enough to begin with; without both the first says what to do.
    known_brokers = (
        broker_address(brokers) if known_api is None else _known(broker_address, brokers)
    )
    checks = examine(known_brokers, known_api, clock=clock)
    if json:
        echo_json({"checks": [check.document() for check in checks]})
    else:
        for check in checks:
            print(check.line())
    if any(check.verdict == "fail" for check in checks):
        raise typer.Exit(1)


def _known(find: Callable[[str | None], str], option: str | None) -> str | None:
    try:
        return find(option)
    except Failed:
        return None
