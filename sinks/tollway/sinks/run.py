"""Runs the sinks: topics in, rows out, until told to stop."""

from threading import Event

import msgspec

from tollway.sinks.clickhouse import ClickHouseStore, Client
from tollway.sinks.health import Health
from tollway.sinks.kafka import KafkaLetters, KafkaSource
from tollway.sinks.metrics import SinkMetrics
from tollway.sinks.pump import Pump
from tollway.sinks.writer import Writer

__all__ = ["GROUP", "SinkSettings", "run_sinks"]

GROUP = "tollway-sinks"


class SinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`keep_raw_life` is the life of an embedded broker's log (`raw_records.next_life`); None
    keeps no raw records. `drain_s`: how long, once told to stop, to read on to the topics' ends,
    for a broker that forgets them.
    """

    brokers: str
    group: str = GROUP
    session_timeout_ms: int = 10_000
    keep_raw_life: int | None = None
    drain_s: float = 0.0


def run_sinks(
    settings: SinkSettings, client: Client, stop: Event, *, health: Health, metrics: SinkMetrics
) -> None:
    """Returns once `stop` is set and what was read is stored and committed.

    The tables must be there (`migrate`). Sets `stop` itself when it leaves, whatever the reason;
    an exception that leaves it is for the process to end with.
    """
    source = KafkaSource(settings.brokers, settings.group, settings.session_timeout_ms, metrics)
    try:
        writer = Writer(
            ClickHouseStore(client), KafkaLetters(settings.brokers), stop, health, metrics
        )
        Pump(
            source,
            writer,
            health,
            metrics,
            raw_life=settings.keep_raw_life,
            drain_s=settings.drain_s,
        ).run(stop)
    finally:
        source.close()
