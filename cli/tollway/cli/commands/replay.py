"""`tollway replay`: recorded usage events, sent as if their runs had just ended."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tollway.cli.client import Api, Document
from tollway.cli.commands.options import ApiOption, BrokersOption, JsonOption
from tollway.cli.commands.show import count, echo_json
from tollway.cli.failing import fail, misuse
from tollway.cli.where import api_address, broker_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from tollway.cli.replay.runs import Moved
    from tollway.cli.replay.sending import Sent

__all__ = ["replay"]


NAMED_WORKSPACES = 5


class Speed(StrEnum):
    REAL = "1x"
    MAX = "max"


def replay(
    files: Annotated[list[Path], typer.Argument(help=".jsonl or .jsonl.gz of usage events.")],
    speed: Annotated[
        Speed, typer.Option(help="1x: in real time, the longest run first; max: at once.")
    ] = Speed.MAX,
    rate: Annotated[int | None, typer.Option(min=1, help="Events a second at most.")] = None,
    wait: Annotated[bool, typer.Option(help="Return once all is in ClickHouse.")] = False,
    wait_seconds: Annotated[float, typer.Option(min=1, help="Give up after.")] = 300.0,
    brokers: BrokersOption = None,
    api: ApiOption = None,
    json: JsonOption = False,
) -> None:
    """Send recorded events, each run moved so that it ends now with its own spacing kept."""
    from uuid import uuid4

    from tollway.cli.replay.arriving import Books, wait_until_stored
    from tollway.cli.replay.runs import Stamp
    from tollway.cli.replay.sending import send

    lines = _lines(files, in_real_time=speed is Speed.REAL)
    where = broker_address(brokers)
    # Asked at the end, known before anything is sent.
    answers = api_address(api) if wait else None
    books = Books(where) if wait else None
    with _progress(len(lines)) as progress:
        sent = send(
            where,
            lines,
            Stamp(f"replay-{uuid4().hex[:12]}"),
            in_real_time=speed is Speed.REAL,
            rate=rate,
            progress=progress,
        )
    report: Document = {
        "sent": sent.records,
        "failed": sent.failed,
        "seconds": sent.seconds,
        "workspaces": sorted({line.workspace for line in lines}),
    }
    if books is not None:
        wait_until_stored(where, books, sent.spans, wait_seconds, _say)
        books.close()
        report |= _arrived(answers, sent)
    if json:
        echo_json(report)
    else:
        print(_text(report))
    if sent.failed:
        fail(f"{sent.failed} were not sent: {sent.first_failure}")


def _lines(files: list[Path], *, in_real_time: bool) -> "list[Moved]":
    from time import time_ns

    from tollway.cli.replay.runs import moved, read_recorded

    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        misuse(f"{', '.join(missing)} is not a file")
    try:
        recorded = list(read_recorded(files))
    except (OSError, EOFError) as error:
        fail(f"the files cannot be read: {error}")
    now_ms = time_ns() // 1_000_000
    lines = moved(recorded, now_ms)
    if not in_real_time or not lines:
        return lines
    # The longest run begins now, and all of them end together.
    return moved(recorded, now_ms + (now_ms - lines[0].at_ms))


def _arrived(api: str | None, sent: "Sent") -> Document:
    """What became of it: charged, refused, or known already."""
    from tollway.contract.moments import format_ms

    charged = unpriced = 0
    reasons: dict[str, Document] = {}
    with Api(api) as client:
        for partition, span in sorted(sent.spans.items()):
            found = client.get(
                "/v1/arrivals",
                partition=partition,
                first=span.first,
                last=span.last,
                since=format_ms(sent.since_ms),
            )
            charged += found["charged"]
            unpriced += found["unpriced"]
            for each in found["refused"]:
                reason = reasons.setdefault(each["reason"], {**each, "records": 0})
                reason["records"] += each["records"]
    refused = sorted(reasons.values(), key=lambda each: -int(each["records"]))
    known = sent.records - charged - sum(each["records"] for each in refused)
    return {"charged": charged, "unpriced": unpriced, "refused": refused, "known": known}


def _text(report: Document) -> str:
    rate = report["sent"] / report["seconds"] if report["seconds"] else 0.0
    lines = [
        f"sent {count(report['sent'])} in {report['seconds']:.1f} s ({count(int(rate))}/s),"
        f" {count(report['failed'])} failed",
        *([_whose(report["workspaces"])] if report["workspaces"] else []),
    ]
    if "charged" in report:
        unpriced = f" ({count(report['unpriced'])} without a price)" if report["unpriced"] else ""
        lines.append(f"{count(report['charged'])} charged{unpriced}")
        lines.extend(
            f"{count(each['records'])} refused: {each['reason']}, such as: {each['example']}"
            for each in report["refused"]
        )
        if report["known"]:
            lines.append(f"{count(report['known'])} known already: not billed twice")
    return "\n".join(lines)


def _whose(workspaces: list[str]) -> str:
    """Whoever sets a budget next must know where."""
    named = ", ".join(workspaces[:NAMED_WORKSPACES])
    more = len(workspaces) - NAMED_WORKSPACES
    rest = f" and {more} more (`tollway spend --by workspace`)" if more > 0 else ""
    return f"workspace {named}{rest}" if len(workspaces) == 1 else f"workspaces {named}{rest}"


def _say(line: str) -> None:
    if sys.stderr.isatty():
        typer.echo(line, err=True)


@contextmanager
def _progress(total: int) -> "Iterator[Callable[[int], None]]":
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("sending", total=total)
        yield lambda done: bar.update(task, completed=done) if done % 256 == 0 else None
        bar.update(task, completed=total)
