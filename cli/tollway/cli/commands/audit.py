"""`tollway audit`: do the books balance? The exit code says it too."""

import typer

from tollway.cli.client import Api, Document
from tollway.cli.commands.options import ApiOption, JsonOption
from tollway.cli.commands.show import echo_json, short_time, table

__all__ = ["audit"]


def audit(
    workspace: str | None = typer.Option(None, "--workspace", "-w", help="Default: all."),
    api: ApiOption = None,
    json: JsonOption = False,
) -> None:
    """Compare charges, spend and accounts to the last digit; exits with 1 where they differ."""
    with Api(api) as client:
        document = client.get("/v1/audit", workspace=workspace)
    if json:
        echo_json(document)
    else:
        print(_text(document))
    if not document["balanced"]:
        raise typer.Exit(1)


def _text(document: Document) -> str:
    checked, lag = document["checked"], document["lag"]
    scope = f"{checked['hours']} hours and {checked['accounts']} accounts"
    if document["balanced"]:
        lines = [f"balanced: {scope}, charges of ${checked['charges']}"]
    else:
        lines = [
            f"NOT BALANCED: {len(document['differences'])} differences in {scope}",
            _differences(document["differences"]),
        ]
    lines.extend(
        f"lost before it was booked, accepted {short_time(each['time'])}:"
        f" partition {each['partition']}: {each['detail']}"
        for each in document["lost"]
    )
    if lag is None:
        lines.append("how far the sinks are behind is unknown: Kafka does not answer the api")
    elif lag["records"]:
        behind = ", ".join(
            f"{topic} {records}" for topic, records in lag["topics"].items() if records
        )
        lines.append(
            f"the sinks are {lag['records']} records behind ({behind}): differences may be of this"
            " moment; run it again once they have caught up"
        )
    return "\n".join(lines)


def _differences(differences: list[Document]) -> str:
    return table(
        ["WORKSPACE", "WHERE", "$CHARGES", "$AGAINST", "$DIFFERENCE"],
        [
            [
                each["workspace"],
                _where(each),
                each["charges"],
                each["spend"] if each["kind"] == "hour" else each["accounts"],
                each["difference"],
            ]
            for each in differences
        ],
    )


def _where(difference: Document) -> str:
    if difference["kind"] == "hour":
        return f"spend of the hour {short_time(difference['hour'])}"
    since = short_time(difference["window_start"])
    window = f"{difference['window']} {since}".rstrip()
    return f"budget {difference['budget_id']}, {difference['subject']}, {window}"
