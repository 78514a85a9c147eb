"""Options that several commands share, and how their values are read."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from tollway.cli.failing import misuse
from tollway.contract.moments import MalformedMoment, parse_ms
from tollway.contract.subjects import DIMENSIONS

__all__ = [
    "ApiOption",
    "BrokersOption",
    "JsonOption",
    "ReasonOption",
    "WorkspaceOption",
    "actor",
    "moment",
    "subject",
]

ApiOption = Annotated[
    str | None, typer.Option("--api", help="Address of the api.", show_default=False)
]
BrokersOption = Annotated[
    str | None, typer.Option("--brokers", help="host:port of Kafka.", show_default=False)
]
WorkspaceOption = Annotated[
    str | None,
    typer.Option("--workspace", "-w", help="Default: TOLLWAY_WORKSPACE.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="The api's document.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="For the audit trail.")]

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(text: str | None, *, ahead: bool = False) -> str | None:
    """RFC 3339 as it is, a day as its first moment in UTC; ``90m``, ``24h``, ``7d`` as the moment
    that long ago, or `ahead`.
    """
    if text is None:
        return None
    match = _AGO.fullmatch(text)
    if match is None:
        return _said(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    length = timedelta(**{_UNITS[match[2]]: int(match[1])})
    now = datetime.now(UTC)
    return (now + length if ahead else now - length).isoformat(timespec="milliseconds")


def _said(text: str) -> str:
    try:
        parse_ms(text)
    except MalformedMoment as error:
        misuse(f"{error}; or a day such as 2026-01-31, or a length such as 90m, 24h, 7d")
    return text


def subject(pairs: list[str]) -> dict[str, str]:
    """``agent=bot`` and the like, as a subject."""
    named: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not value or name not in DIMENSIONS:
            misuse(f"{pair!r} is not NAME=VALUE with a name of {', '.join(DIMENSIONS)}")
        if name in named:
            misuse(f"{name} is named twice")
        named[name] = value
    return named


def actor() -> str:
    """Who runs the command, for the audit trail."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
