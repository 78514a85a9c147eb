"""`tollway topics create` and `tollway migrate`: what must be there before the first event."""

from typing import Annotated

import typer

from tollway.cli.commands.options import BrokersOption
from tollway.cli.commands.processes import ClickHouseOption
from tollway.cli.failing import fail, in_words
from tollway.cli.where import broker_address, clickhouse_address
from tollway.contract.topics import DEFAULT_PARTITIONS

__all__ = ["migrate", "topics_app"]

topics_app = typer.Typer(help="The topics on Kafka.", no_args_is_help=True)


@topics_app.callback()
def _topics() -> None:
    """Keeps `create` a word of its own although it is the only one."""


@topics_app.command("create")
def create(
    brokers: BrokersOption = None,
    partitions: Annotated[int, typer.Option(min=1, max=1024)] = DEFAULT_PARTITIONS,
    replication: Annotated[int, typer.Option(min=1, max=10)] = 1,
) -> None:
    """Make the topics that are missing; those that are there stay as they are."""
    from confluent_kafka import KafkaException

    from tollway.cli.kafka.topics import WrongTopics, create_topics

    where = broker_address(brokers)
    try:
        report = create_topics(where, partitions, replication)
    except WrongTopics as error:
        fail(str(error))
    except KafkaException as error:
        fail(f"the brokers at {where} did not do it: {in_words(error)}")
    for name in report.created:
        print(f"created {name}")
    for name in report.existing:
        print(f"exists  {name}")
    for line in report.differences:
        print(f"differs {line}")


def migrate(clickhouse: ClickHouseOption = None) -> None:
    """Bring the tables and views in ClickHouse up to date."""
    from tollway.sinks.clickhouse import StoreAway, connect, scrubbed
    from tollway.sinks.migrate import DriftedMigration
    from tollway.sinks.migrate import migrate as apply

    where = clickhouse_address(clickhouse)
    try:
        applied = apply(connect(where))
    except (DriftedMigration, StoreAway, ValueError) as error:
        fail(str(error))
    for migration in applied:
        print(f"applied {migration.version:04d}_{migration.name}")
    if not applied:
        print(f"{scrubbed(where)} is up to date")
