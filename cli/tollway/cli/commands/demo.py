"""`tollway demo`: agents like recorded ones, what they spent, and how the runaways were stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tollway.cli.client import Api, Document
from tollway.cli.commands.show import subject_text, table
from tollway.cli.commands.spend import spend_table
from tollway.cli.failing import fail

if TYPE_CHECKING:
    from tollway.cli.demo.playing import Played, Stopped
    from tollway.cli.demo.stage import Stage

__all__ = ["demo"]


def demo(
    seconds: Annotated[
        float,
        typer.Option(
            min=1, max=600, help="How long they work; a runaway longer, until it was stopped once."
        ),
    ] = 20.0,
    seed: Annotated[int, typer.Option(help="Another seed, other runs.")] = 7,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Keep the data there.", show_default=False)
    ] = None,
    keep: Annotated[bool, typer.Option(help="Keep it running until Ctrl-C.")] = False,
) -> None:
    """Start a Tollway of its own, let agents work, and show what was spent and stopped."""
    from tempfile import TemporaryDirectory

    if directory is not None:
        _require_new(directory)
        _show(directory.resolve(), seconds, seed, keep=keep)
        return
    with TemporaryDirectory(prefix="tollway-demo-") as temporary:
        _show(Path(temporary), seconds, seed, keep=keep)


def _require_new(directory: Path) -> None:
    # Its agents' runs have the same names each time: what was blocked then would be blocked now.
    if (directory / ".tollway").exists():
        fail(f"{directory} holds the data of an earlier demo; name another --dir, or remove it")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "up.log").touch()
    except OSError as error:
        fail(f"{directory} cannot hold the data: {error.strerror}; name another --dir")


def _show(directory: Path, seconds: float, seed: int, *, keep: bool) -> None:
    from tollway.cli.demo.stage import stage, wait_until_stored

    typer.echo("starting a broker, a worker, the sinks and the api ...")
    try:
        with stage(directory) as running, Api(running.api) as client:
            played = _play(running, client, seconds, seed)
            spend, audit = wait_until_stored(client, played.events)
            typer.echo(f"\n{played.events} events of {played.runs} runs:\n")
            typer.echo(spend_table(["agent", "model", "connection"], spend))
            typer.echo(f"\n{_told(played)}\n")
            typer.echo(_balance(audit))
            if keep:
                _stay(running.api)
    except KeyboardInterrupt:
        typer.echo("stopped")
        raise
    _judge(played, spend, audit)


def _play(running: "Stage", client: Api, seconds: float, seed: int) -> "Played":
    import warnings

    from tollway import meter
    from tollway.cli.demo.playing import play
    from tollway.cli.demo.stage import START_SECONDS, WORKSPACE, set_up

    # They are counted; on a terminal of the demo each would be a line.
    warnings.simplefilter("ignore", meter.SpendWarning)
    set_up(client)
    meter.init(brokers=running.brokers, workspace=WORKSPACE, on_stale="open")
    try:
        if not meter.ready(START_SECONDS):
            fail(f"what is blocked could not be read from {running.brokers}")
        _introduce(seconds)
        played = play(seconds, seed, typer.echo)
        meter.flush(START_SECONDS)
    except KeyboardInterrupt:
        typer.echo("stopping ...")
        raise
    finally:
        _stop_metering()
    return played


def _balance(audit: Document) -> str:
    balanced = "the books balance" if audit["balanced"] else "THE BOOKS DO NOT BALANCE"
    return f"{balanced}: charges of ${audit['checked']['charges']}"


def _judge(played: "Played", spend: Document, audit: Document) -> None:
    """Fails where the demo does not show what it is there to show."""
    look = "; with `tollway demo --dir demo` the logs are kept, in demo/.tollway/logs"
    stored = spend["total"]["events"]
    if stored != played.events:
        fail(f"{played.events} events were sent, {stored} are in the books{look}")
    if not audit["balanced"]:
        fail(f"the books do not balance{look}")
    if played.never_stopped:
        fail(f"{', '.join(sorted(played.never_stopped))} ran away and nobody stopped it{look}")


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
    typer.echo(
        f"for {seconds:g} s these agents work as in recorded runs, a runaway until it is stopped:\n"
    )
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
            "" if each.events_between is None else str(each.events_between),
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
