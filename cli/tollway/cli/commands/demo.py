"""`tollway demo`: agents like recorded ones, what they spent, and how the runaways were stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tollway.cli.client import Api
from tollway.cli.commands.show import subject_text, table
from tollway.cli.commands.spend import spend_table

if TYPE_CHECKING:
    from tollway.cli.demo.playing import Played, Stopped

__all__ = ["demo"]


def demo(
    seconds: Annotated[float, typer.Option(min=1, max=600, help="How long they work.")] = 20.0,
    seed: Annotated[int, typer.Option(help="Another seed, other runs.")] = 7,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Keep the data there.", show_default=False)
    ] = None,
    keep: Annotated[bool, typer.Option(help="Keep it running until Ctrl-C.")] = False,
) -> None:
    """Start a Tollway of its own, let agents work, and show what was spent and stopped."""
    from tempfile import TemporaryDirectory

    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        _show(directory.resolve(), seconds, seed, keep=keep)
        return
    with TemporaryDirectory(prefix="tollway-demo-") as temporary:
        _show(Path(temporary), seconds, seed, keep=keep)


def _show(directory: Path, seconds: float, seed: int, *, keep: bool) -> None:
    import warnings

    from tollway import meter
    from tollway.cli.demo.playing import play
    from tollway.cli.demo.stage import WORKSPACE, set_up, stage, wait_until_stored

    # They are counted; on a terminal of the demo each would be a line.
    warnings.simplefilter("ignore", meter.SpendWarning)
    typer.echo("starting a broker, a worker, the sinks and the api ...")
    with stage(directory) as running, Api(running.api) as client:
        set_up(client)
        meter.init(brokers=running.brokers, workspace=WORKSPACE)
        meter.ready(10.0)
        _introduce(seconds)
        played = play(seconds, seed, typer.echo)
        meter.flush(10.0)
        _stop_metering()
        spend = wait_until_stored(client, played.events)
        audit = client.get("/v1/audit")
        typer.echo(f"\n{played.events} events of {played.runs} runs:\n")
        typer.echo(spend_table(["agent", "model", "connection"], spend))
        typer.echo(f"\n{_told(played)}\n")
        balanced = "the books balance" if audit["balanced"] else "THE BOOKS DO NOT BALANCE"
        typer.echo(f"{balanced}: charges of ${audit['checked']['charges']}")
        if keep:
            _stay(running.api)


def _stop_metering() -> None:
    """Before its broker goes: else the SDK says that it has gone."""
    from tollway.producers.process import install

    metering = install(None)
    if metering is not None:
        metering.close(2.0)


def _introduce(seconds: float) -> None:
    from tollway.cli.demo.agents import CAST
    from tollway.cli.demo.profiles import profiles

    fitted = profiles()
    typer.echo(f"for {seconds:g} s these agents work as in recorded runs:\n")
    lines = [
        [role.agent, f"{fitted[role.agent].runs} runs", fitted[role.agent].chosen, role.ends]
        for role in CAST
    ]
    typer.echo(table(["AGENT", "#FITTED TO", "WHICH", "ENDS"], lines) + "\n")


def _told(played: "Played") -> str:
    if not played.stopped:
        return "nobody was stopped"
    lines = [
        [
            each.session,
            each.decision.rule,
            subject_text(each.decision.subject),
            str(each.events),
            str(each.events_between),
            "" if each.latency_ms is None else f"{each.latency_ms:.0f} ms",
            each.decision.message,
        ]
        for each in played.stopped
    ]
    columns = ["STOPPED", "RULE", "BLOCKED", "#EVENTS", "#TOO LATE", "#AFTER", "WHY"]
    return f"{table(columns, lines)}\n\n{_latency(played.stopped)}, {played.warnings} warnings"


def _latency(stopped: "list[Stopped]") -> str:
    # A decision that stopped two runs was made once.
    once = {each.decision.id: each.latency_ms for each in stopped if each.latency_ms is not None}
    latencies = sorted(once.values())
    if not latencies:
        return "no block was caused by an event"
    middle = latencies[len(latencies) // 2]
    return (
        f"from an event to the block it caused, in the agent: {middle:.0f} ms in the middle,"
        f" {latencies[-1]:.0f} ms at most, of {len(latencies)} blocks"
    )


def _stay(api: str) -> None:
    from signal import pause

    typer.echo(f"\nstill running; in another shell: export TOLLWAY_API={api}; Ctrl-C stops it")
    try:
        pause()
    except KeyboardInterrupt:
        typer.echo("stopping")
