"""`tollway tail`: decisions, findings and usage as they happen: a line each, and no prompt text."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from tollway.cli.commands.options import BrokersOption
from tollway.cli.where import broker_address
from tollway.contract.topics import CONTROL, USAGE

__all__ = ["tail"]


class Stream(StrEnum):
    """What may be watched."""

    DECISIONS = "decisions"
    FINDINGS = "findings"
    USAGE = "usage"


def tail(
    only: Annotated[list[Stream] | None, typer.Option(help="Repeatable; default: all.")] = None,
    workspace: Annotated[
        str | None, typer.Option("--workspace", "-w", help="Default: all.")
    ] = None,
    count: Annotated[int, typer.Option(help="End after so many lines; 0: never.")] = 0,
    brokers: BrokersOption = None,
) -> None:
    """Follow decisions, findings and usage from now on, until Ctrl-C."""
    from tollway.cli.commands.following import follow, line_of

    wanted = frozenset(stream.value for stream in only or Stream)
    topics = [USAGE.name] if Stream.USAGE in wanted else []
    if wanted & {Stream.DECISIONS, Stream.FINDINGS}:
        topics.append(CONTROL.name)
    if sys.stderr.isatty():
        typer.echo("from now on; Ctrl-C ends it", err=True)
    shown = 0
    for record in follow(broker_address(brokers), topics):
        line = line_of(record, wanted, workspace)
        if line is None:
            continue
        print(line, flush=True)
        shown += 1
        if shown == count:
            return
