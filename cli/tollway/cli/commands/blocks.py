"""`tollway block` and `tollway unblock`: the kill switch, and its way back."""

from typing import Annotated

import typer

from tollway.cli.client import Api
from tollway.cli.commands.budgets import confirmed
from tollway.cli.commands.options import (
    ApiOption,
    JsonOption,
    ReasonOption,
    WorkspaceOption,
    actor,
    moment,
    subject,
)
from tollway.cli.commands.show import subject_text
from tollway.cli.failing import misuse
from tollway.cli.where import workspace_name

__all__ = ["block", "unblock"]

SubjectArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME=VALUE...", help="Such as agent=bot; all of them must match."),
]
AllOption = Annotated[bool, typer.Option("--all", help="The whole workspace.")]


def block(
    pairs: SubjectArgument = None,
    all_: AllOption = False,
    for_: Annotated[str | None, typer.Option("--for", help="90m, 24h, 7d.")] = None,
    until: Annotated[str | None, typer.Option(help="2026-01-31, or RFC 3339.")] = None,
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    api: ApiOption = None,
    json: JsonOption = False,
) -> None:
    """Block a subject until it is unblocked, or for a time."""
    if for_ is not None and until is not None:
        misuse("give --for or --until, not both")
    named = _named(pairs, all_)
    body = {
        "subject": named,
        "expires_at": moment(for_ or until, ahead=True),
        "reason": reason,
        "actor": actor(),
        "workspace": workspace_name(workspace),
    }
    with Api(api) as client:
        confirmed(client.post("/v1/blocks", body), f"{_words(named)} is blocked", json)


def unblock(
    pairs: SubjectArgument = None,
    all_: AllOption = False,
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    api: ApiOption = None,
    json: JsonOption = False,
) -> None:
    """Lift whatever blocks exactly this subject, whichever rule made it."""
    named = _named(pairs, all_)
    body = {
        "action": "unblock",
        "subject": named,
        "reason": reason,
        "actor": actor(),
        "workspace": workspace_name(workspace),
    }
    with Api(api) as client:
        # Not "is unblocked": what blocks a part of it, or more than it, still does.
        line = f"whatever blocked exactly {_words(named)} is lifted"
        confirmed(client.post("/v1/blocks", body), line, json)


def _words(named: dict[str, str]) -> str:
    return subject_text(named) if named else "everything"


def _named(pairs: list[str] | None, all_: bool) -> dict[str, str]:
    if bool(pairs) == all_:
        misuse("name a subject such as agent=bot, or --all for the workspace")
    return subject(pairs or [])
