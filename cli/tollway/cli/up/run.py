"""`tollway up`, from a directory to an exit code."""

import sys
from pathlib import Path

from confluent_kafka import KafkaException

from tollway.cli.failing import in_words
from tollway.cli.kafka.broker import BrokerFailed, free_port, is_taken
from tollway.cli.kafka.embedded import EmbeddedBroker
from tollway.cli.kafka.topics import WrongTopics
from tollway.cli.signals import Signals
from tollway.cli.up.commands import Commands, Place
from tollway.cli.up.directory import AlreadyRunning, RunDirectory, Unusable
from tollway.cli.up.member import GaveUp
from tollway.cli.up.supervise import Ports, Supervisor
from tollway.contract.topics import DEFAULT_PARTITIONS

__all__ = ["run_up"]

_LAST_PORT = 65_535


def run_up(
    directory: Path,
    *,
    port: int = 0,
    brokers: str | None = None,
    workers: int = 1,
    partitions: int = DEFAULT_PARTITIONS,
    commands: Commands | None = None,
) -> int:
    """Returns when stopped: 0 on request, 1 when it could not start or go on.

    Runs in the main thread only: signals come there, and children die with the thread that
    started them. `port` is the api's; 0 takes a free one. `brokers` None starts the embedded one.
    """
    run_directory = RunDirectory(directory)
    try:
        with run_directory.locked(), Signals() as signals:
            _require_free(port)
            broker = EmbeddedBroker(run_directory.logs) if brokers is None else None
            place = Place(
                directory=run_directory.path,
                brokers=broker.bootstrap if broker is not None else str(brokers),
                embedded=broker is not None,
                clickhouse=run_directory.clickhouse,
                partitions=partitions,
            )
            ports = Ports(
                api=port or free_port(), workers=tuple(free_port() for _ in range(workers))
            )
            Supervisor(
                run_directory, place, ports, broker, commands or Commands(), signals, _say
            ).run()
    except (AlreadyRunning, BrokerFailed, GaveUp, Unusable, WrongTopics) as error:
        _complain(str(error))
        return 1
    except KafkaException as error:
        _complain(_unanswered(brokers, error))
        return 1
    _say("stopped")
    return 0


def _unanswered(brokers: str | None, error: KafkaException) -> str:
    way = "is --brokers right, and does Kafka listen there?"
    return f"the brokers at {brokers} do not answer as they should: {in_words(error)}; {way}"


def _require_free(port: int) -> None:
    if not 0 <= port <= _LAST_PORT:
        raise GaveUp(f"--port {port} is no port: 1 to {_LAST_PORT}, or 0 for a free one")
    if port and is_taken(port):
        raise GaveUp(f"port {port} is taken; name another --port, or none for a free one")


def _say(line: str) -> None:
    print(line, flush=True)


def _complain(line: str) -> None:
    print(f"tollway up: {line}", file=sys.stderr, flush=True)
