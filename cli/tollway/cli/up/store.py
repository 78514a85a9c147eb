"""Sinks and api in one process: an embedded chDB belongs to one process alone."""

import argparse
import logging
import os
import signal
import sys
from threading import Event, Thread

from prometheus_client import CollectorRegistry

from tollway.api.clickhouse import connect_reader
from tollway.api.run import run_api
from tollway.api.settings import ApiSettings
from tollway.sinks.clickhouse import Client, connect
from tollway.sinks.health import Health
from tollway.sinks.metrics import SinkMetrics
from tollway.sinks.migrate import migrate
from tollway.sinks.run import SinkSettings, run_sinks

__all__ = ["main"]

# A join of a group on the embedded broker takes half of it.
EMBEDDED_SESSION_MS = 6_000
DRAIN_S = 10.0
_LOOK_EVERY_S = 0.05


def main(arguments: list[str] | None = None) -> int:
    """Until SIGTERM or SIGINT, or until the sinks fail: then 1, and the supervisor repairs."""
    options = _parse(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level="INFO")
    # Both signals raise: also before the api has begun to listen for them.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        writer = connect(options.clickhouse)
        migrate(writer)
        return _serve(options, writer)
    except KeyboardInterrupt:
        return 0


def _serve(options: argparse.Namespace, writer: Client) -> int:
    stop, health = Event(), Health()
    ended_well: list[bool] = []

    def sink() -> None:
        try:
            run_sinks(
                _sink_settings(options),
                writer,
                stop,
                health=health,
                metrics=SinkMetrics(CollectorRegistry()),
            )
            ended_well.append(True)
        finally:
            # An api whose sinks have ended would show yesterday's books for ever.
            os.kill(os.getpid(), signal.SIGTERM)

    sinks = Thread(target=sink, name="sinks")
    sinks.start()
    try:
        # Ready means ready: an api that answers before would promise rows that nobody writes yet.
        while sinks.is_alive() and not health.report().ready:
            sinks.join(_LOOK_EVERY_S)
        run_api(_api_settings(options), connect_reader(options.clickhouse))
    except KeyboardInterrupt:
        pass
    finally:
        # From here on the sinks' own end is no news.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        asked_to_stop = not ended_well and sinks.is_alive()
        stop.set()
        sinks.join()
    return 0 if asked_to_stop and ended_well else 1


def _sink_settings(options: argparse.Namespace) -> SinkSettings:
    if options.raw_life is None:
        return SinkSettings(brokers=options.brokers)
    return SinkSettings(
        brokers=options.brokers,
        session_timeout_ms=EMBEDDED_SESSION_MS,
        keep_raw_life=options.raw_life,
        drain_s=DRAIN_S,
    )


def _api_settings(options: argparse.Namespace) -> ApiSettings:
    workspace = os.environ.get("TOLLWAY_WORKSPACE") or None
    return ApiSettings(brokers=options.brokers, workspace=workspace, port=options.port)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tollway.cli.up.store", description=__doc__)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--clickhouse", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--raw-life", type=int)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
