"""The console script `tollway`: which command is where."""

import errno
import sys
from io import TextIOWrapper
from typing import Annotated

try:
    import typer
    from typer.core import TyperGroup
except ModuleNotFoundError:
    sys.exit("tollway: the command line is not installed: pip install 'tollway[cli]'")

from tollway.cli.commands.audit import audit
from tollway.cli.commands.blocks import block, unblock
from tollway.cli.commands.budgets import app as budget_app
from tollway.cli.commands.decisions import decisions, findings
from tollway.cli.commands.demo import demo
from tollway.cli.commands.doctor import doctor
from tollway.cli.commands.policies import policy_app, price_app
from tollway.cli.commands.processes import api, sink, up, worker
from tollway.cli.commands.rebuild import rebuild
from tollway.cli.commands.replay import replay
from tollway.cli.commands.setup import migrate, topics_app
from tollway.cli.commands.spend import spend
from tollway.cli.commands.tail import tail
from tollway.cli.commands.top import top
from tollway.cli.failing import Failed, missing_extra

__all__ = ["app"]


_FULL = {errno.ENOSPC, errno.EDQUOT}


class _Commands(TyperGroup):
    """Turns what a person can act on into one line; everything else keeps its traceback."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # its base is private
        for stream in (sys.stdout, sys.stderr):
            # A terminal that lacks a letter of a name shows another; it is no reason to fail.
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except Failed as error:
            line, exit_code = str(error), error.exit_code
        except OSError as error:
            if error.errno not in _FULL:
                raise
            line, exit_code = f"the output cannot be written: {error.strerror}", 1
        except ImportError as error:
            missing = missing_extra(error)
            if missing is None:
                raise
            line, exit_code = missing, 1
        typer.echo(f"tollway: {line}", err=True)
        raise typer.Exit(exit_code)


app = typer.Typer(
    cls=_Commands,
    help="Meters, attributes and stops what AI agents spend.",
    no_args_is_help=True,
    # A traceback with local variables could show a secret.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_RUN, _ASK, _SET = "Run", "Ask", "Set"


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"tollway {version('tollway')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Meters, attributes and stops what AI agents spend."""


for _command, _panel in (
    (up, _RUN),
    (worker, _RUN),
    (sink, _RUN),
    (api, _RUN),
    (migrate, _RUN),
    (demo, _RUN),
    (doctor, _RUN),
    (replay, _RUN),
    (rebuild, _RUN),
    (spend, _ASK),
    (decisions, _ASK),
    (findings, _ASK),
    (audit, _ASK),
    (tail, _ASK),
    (top, _ASK),
    (block, _SET),
    (unblock, _SET),
):
    app.command(rich_help_panel=_panel)(_command)
app.add_typer(topics_app, name="topics", rich_help_panel=_RUN)
app.add_typer(budget_app, name="budget", rich_help_panel=_SET)
app.add_typer(policy_app, name="policy", rich_help_panel=_SET)
app.add_typer(price_app, name="price", rich_help_panel=_SET)

if __name__ == "__main__":
    app()
