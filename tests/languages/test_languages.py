"""Other languages: their events lie where the SDK's lie, and the ledger charges them."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from ledgers import charges_of
from other_languages import PROGRAMS, Program, cache_directory, run
from tollway.cli.kafka.broker import Broker
from tollway.contract.charge import Charge
from tollway.contract.topics import DEFAULT_PARTITIONS, USAGE, partition_of
from tollway.domain.ledger import Ledger
from tollway.domain.prices import Catalogue, PriceBook

# The first time Go compiles a client and Maven fetches a broker.
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]
DEADLINE_S = 30.0
DOCUMENT = Path(__file__).parents[2] / "docs" / "from-any-language.md"


def _log(bootstrap: str) -> dict[int, list[Message]]:
    """Every record of the usage topic, by partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "languages",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    numbers = range(DEFAULT_PARTITIONS)
    consumer.assign([TopicPartition(USAGE.name, number, OFFSET_BEGINNING) for number in numbers])
    found: dict[int, list[Message]] = {number: [] for number in numbers}
    for partition, message in _until_ends(consumer):
        found[partition].append(message)
    consumer.close()
    return found


def _until_ends(consumer: Consumer) -> Iterator[tuple[int, Message]]:
    ended: set[int | None] = set()
    until_s = time.monotonic() + DEADLINE_S
    while len(ended) < DEFAULT_PARTITIONS:
        assert time.monotonic() < until_s, f"only {len(ended)} partitions came to an end"
        for message in consumer.consume(5000, 0.2):
            partition, error = message.partition(), message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error.str()
                ended.add(partition)
                continue
            assert partition is not None
            yield partition, message


def _bytes(content: str | bytes | None) -> bytes | None:
    return content.encode() if isinstance(content, str) else content


def _charges(partition: int, records: list[Message]) -> list[Charge]:
    """What a ledger that has read the partition charges; every record must be an event of it."""
    ledger = Ledger(partition, DEFAULT_PARTITIONS, PriceBook(Catalogue.bundled()))
    ledger.apply(
        [_bytes(record.value()) for record in records],
        [_bytes(record.key()) for record in records],
        [record.offset() or 0 for record in records],
        [record.timestamp()[1] for record in records],
        records,
    )
    assert (ledger.take_buried(), ledger.take_misrouted()) == ([], [])
    return charges_of(ledger.take_charges())


@pytest.mark.usefixtures("sent_by_the_sdk")
@pytest.mark.parametrize("program", PROGRAMS, ids=[program.name for program in PROGRAMS])
def test_an_event_of_any_language_lies_in_the_partition_of_the_sdks_and_is_charged(
    program: Program, kafka: Broker, workspaces: list[str]
) -> None:
    if missing := program.missing():
        pytest.skip(missing)
    command = program.ready(cache_directory())

    run(command, kafka.bootstrap, workspaces)

    places: dict[str, dict[str, set[int]]] = {"sdk": {}, program.source: {}}
    costs: set[str] = set()
    for partition, records in _log(kafka.bootstrap).items():
        for charge in _charges(partition, records):
            if charge.source in places:
                places[charge.source].setdefault(charge.workspace, set()).add(partition)
            if charge.source == program.source:
                costs.add(charge.cost)
    assert places[program.source] == places["sdk"]
    assert places["sdk"] == {name: {partition_of(name, DEFAULT_PARTITIONS)} for name in workspaces}
    # 200 tokens at $2.50 a million, 1000 from the cache at $1.25, 350 out at $10.
    assert costs == {"0.005250000000"}


def test_the_lines_of_the_document_send_events_that_are_charged(kafka: Broker) -> None:
    if shutil.which("kcat") is None:
        pytest.skip("kcat is not on the PATH")
    lines = re.findall(r"```sh\n(.+?)```", DOCUMENT.read_text(), re.DOTALL)

    for line in lines:
        command = line.replace("localhost:9092", kafka.bootstrap)
        subprocess.run(["sh", "-euc", command], check=True, timeout=DEADLINE_S)

    home = partition_of("acme", DEFAULT_PARTITIONS)
    charged = _charges(home, _log(kafka.bootstrap)[home])
    assert {(one.source, one.id, one.agent) for one in charged if one.workspace == "acme"} == {
        ("demo", "call-1", "bot"),
        ("/my/app", "call-1", "bot"),
    }
    assert len(lines) == 2
