"""`make kafka`: one real Apache Kafka in the foreground, whose data is there the next time."""

import argparse
import sys
from pathlib import Path

from tollway.cli.kafka.apache import ApacheKafka, default_kafka_home, fetch_kafka
from tollway.cli.kafka.broker import BrokerFailed
from tollway.cli.signals import Signals

_LOOK_EVERY_S = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="tollway.cli.kafka", description=__doc__)
    home = default_kafka_home()
    parser.add_argument("--dir", type=Path, default=home / "broker", help="Where its data is.")
    parser.add_argument("--port", type=int, default=None, help="Default: a free one.")
    options = parser.parse_args()
    try:
        fetch_kafka(home)
        with Signals() as signals:
            broker = ApacheKafka(options.dir, home=home, port=options.port)
            try:
                broker.start()
                print(_how_to_use(broker), flush=True)
                while not signals.stop_requested and broker.pid is not None:
                    signals.wait(_LOOK_EVERY_S)
            finally:
                broker.stop()
    except BrokerFailed as error:
        print(f"kafka: {error}", file=sys.stderr)
        return 1
    if not signals.stop_requested:
        print(f"kafka: the broker ended by itself; see {broker.log}", file=sys.stderr)
        return 1
    return 0


def _how_to_use(broker: ApacheKafka) -> str:
    return (
        f"{broker.kind} serves {broker.bootstrap} (log: {broker.log})\n"
        f"To use it, in another shell:\n"
        f"  export TOLLWAY_BROKERS={broker.bootstrap}\n"
        f"  tollway topics create\n"
        f"  tollway up --brokers {broker.bootstrap}\n"
        f"Ctrl-C stops it."
    )


if __name__ == "__main__":
    sys.exit(main())
