"""`tollway up`: one command that starts a broker, workers, sinks and api, and keeps them up."""

from tollway.cli.up.run import run_up

__all__ = ["run_up"]
