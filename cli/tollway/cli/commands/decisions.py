"""`tollway decisions` and `tollway findings`: what was said, newest first."""

from typing import Annotated

import typer

from tollway.cli.client import Api, Document
from tollway.cli.commands.options import ApiOption, JsonOption, WorkspaceOption
from tollway.cli.commands.show import NONE, echo_json, short_time, subject_text, table
from tollway.cli.where import workspace_name

__all__ = ["decisions", "decisions_table", "findings", "findings_table"]

AgentOption = Annotated[str | None, typer.Option("--agent")]
SessionOption = Annotated[str | None, typer.Option("--session", help="One run.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=1000)]
CursorOption = Annotated[str | None, typer.Option("--cursor", help="next_cursor of a page.")]


def decisions(
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", help="In force now, or no more.")
    ] = None,
    agent: AgentOption = None,
    session: SessionOption = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    workspace: WorkspaceOption = None,
    api: ApiOption = None,
    json: JsonOption = False,
) -> None:
    """Warnings, blocks and their liftings."""
    with Api(api) as client:
        document = client.get(
            "/v1/decisions",
            active=active,
            agent=agent,
            session=session,
            limit=limit,
            cursor=cursor,
            workspace=workspace_name(workspace),
        )
    _echo(document, json, decisions_table(document["rows"]), "no decisions")


def findings(
    agent: AgentOption = None,
    session: SessionOption = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    workspace: WorkspaceOption = None,
    api: ApiOption = None,
    json: JsonOption = False,
) -> None:
    """What the detectors saw."""
    with Api(api) as client:
        document = client.get(
            "/v1/findings",
            agent=agent,
            session=session,
            limit=limit,
            cursor=cursor,
            workspace=workspace_name(workspace),
        )
    _echo(document, json, findings_table(document["rows"]), "no findings")


def decisions_table(rows: list[Document]) -> str:
    return table(
        ["ISSUED", "ACTION", "SUBJECT", "RULE", "UNTIL", "WHY"],
        [
            [
                short_time(row["issued_at"]),
                row["action"] + (" (observed)" if row["mode"] == "observe" else ""),
                subject_text(row["subject"]),
                row["rule"],
                short_time(row["expires_at"]) or ("" if row["action"] == "allow" else "lifted"),
                row["message"],
            ]
            for row in rows
        ],
    )


def findings_table(rows: list[Document]) -> str:
    return table(
        ["TIME", "LEVEL", "DETECTOR", "AGENT", "SESSION", "#STEP", "WHAT"],
        [
            [
                short_time(row["time"]),
                row["level"],
                row["detector"],
                row["agent"],
                row["session"] or NONE,
                "" if row["step"] is None else str(row["step"]),
                row["message"],
            ]
            for row in rows
        ],
    )


def _echo(document: Document, json: bool, text: str, nothing: str) -> None:
    if json:
        echo_json(document)
        return
    print(text if document["rows"] else nothing)
    if document["next_cursor"] is not None:
        typer.echo(f"(more: --cursor {document['next_cursor']})", err=True)
