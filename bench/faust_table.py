"""A stock Faust agent with a table, the way Faust's own documentation writes one.

``python -m bench.faust_table BROKERS GROUP DIRECTORY EVENTS``. Prints one line of JSON when it has
seen so many events, and ends. Spared whatever can be: values are decoded by msgspec, the loop is
uvloop, the table is in memory with its changelog, nothing is priced or looked for twice.
"""

import os
import sys

import faust
import mode.loop
import msgspec
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # the stubs do not re-export
from faust.types import StreamT

from bench.meter import Meter
from tollway.contract.topics import USAGE
from tollway.contract.usage import UsageEvent

_decode = msgspec.json.Decoder(UsageEvent).decode


def build_app(brokers: str, group: str, directory: str, partitions: int, count: int) -> faust.App:
    app = faust.App(
        group,
        broker=f"kafka://{brokers}",
        datadir=directory,
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        topic_replication_factor=1,
        consumer_auto_offset_reset="earliest",
    )
    spent = app.Table("tokens", default=int, partitions=partitions)
    meter = Meter(count)

    async def total(stream: StreamT[bytes]) -> None:
        async for value in stream:
            event = _decode(value)
            spent[event.workspace] += event.input_tokens + event.output_tokens
            if meter.count():
                print(meter.line(), flush=True)
                os._exit(0)

    app.agent(app.topic(USAGE.name, value_type=bytes, value_serializer="raw"))(total)
    return app


def main() -> None:
    brokers, group, directory, count = sys.argv[1:]
    # Faust makes its changelog itself, but waits for it longer than the bench takes.
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    partitions = len(admin.list_topics(timeout=10.0).topics[USAGE.name].partitions)
    changelog = NewTopic(
        f"{group}-tokens-changelog", partitions, 1, config={"cleanup.policy": "compact"}
    )
    admin.create_topics([changelog])[changelog.topic].result(30.0)
    mode.loop.use("uvloop")
    app = build_app(brokers, group, directory, partitions, int(count))
    faust.Worker(
        app, loglevel="WARN", logging_config=None, redirect_stdouts=False, quiet=True
    ).execute_from_commandline()


if __name__ == "__main__":
    main()
